"""Judge a guard of any kind."""

from __future__ import annotations

from collections.abc import Sequence

from airlock.exceptions import CheckError
from airlock.rollouts import answers, error_rate, latency, metric, score_distribution
from airlock.rollouts.answers import Compared
from airlock.rollouts.measured import Measured
from airlock.rollouts.verdict import Finding, GuardResult, Look, worst
from airlock.spec import (
    AnswersGuard,
    ErrorRateGuard,
    Guard,
    LatencyGuard,
    MetricGuard,
    ScoreDistributionGuard,
)

_NOT_COMPARED = Compared()


def judge(
    guards: Sequence[Guard],
    new: Measured,
    current: Measured,
    look: Look,
    compared: Compared = _NOT_COMPARED,
) -> list[GuardResult]:
    """What each guard says of the two versions over the same interval.

    :param compared: their answers to the same requests.
    """
    return [_result(guard, tuple(_findings(guard, new, current, look, compared))) for guard in guards]


def _findings(
    guard: Guard, new: Measured, current: Measured, look: Look, compared: Compared
) -> list[Finding]:
    match guard:
        case ErrorRateGuard():
            return list(error_rate.judge(guard, new, current, look))
        case LatencyGuard():
            return list(latency.judge(guard, new, current, look))
        case ScoreDistributionGuard():
            return list(score_distribution.judge(guard, new, current, look))
        case MetricGuard():
            return list(metric.judge(guard, new, current, look))
        case AnswersGuard():
            return list(answers.judge(guard, compared, look))
    raise CheckError(f"{guard.name!r} is a guard of the kind {guard.kind!r}, which cannot be judged.")


def _result(guard: Guard, findings: tuple[Finding, ...]) -> GuardResult:
    status = worst(finding.status for finding in findings)
    return GuardResult(guard.name, guard.kind, status, findings)
