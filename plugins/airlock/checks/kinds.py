"""Plan and judge a check of any kind."""

from __future__ import annotations

from collections.abc import Mapping

from airlock.checks import contract, latency, performance, performance_steps, smoke
from airlock.checks.context import CheckContext
from airlock.checks.result import CheckResult
from airlock.checks.steps import Measurement, Step
from airlock.exceptions import CheckError
from airlock.spec import Check, Contract, Latency, Performance, Smoke


def plan(check: Check, context: CheckContext) -> list[Step]:
    """The jobs that measure what ``check`` asks, in their order.

    :raises CheckError: it cannot be measured on this deployment; the message says what to change.
    """
    match check:
        case Smoke():
            return smoke.plan(check, context)
        case Contract():
            return contract.plan(check, context)
        case Performance():
            return performance_steps.plan(check, context)
        case Latency():
            return latency.plan(check, context)
    raise _unknown(check)


def judge(
    check: Check, measurements: Mapping[str, Measurement], context: CheckContext, *, seconds: float = 0.0
) -> CheckResult:
    """Hold the measurements of the planned steps against the limits of ``check``.

    :param measurements: by step; of one whose job did not succeed, what :func:`airlock.checks.failed` made.
    :param seconds: how long it all took.
    """
    match check:
        case Smoke():
            result = smoke.judge(check, measurements, context)
        case Contract():
            result = contract.judge(check, measurements, context)
        case Performance():
            result = performance.judge(check, measurements, context)
        case Latency():
            result = latency.judge(check, measurements, context)
        case _:
            raise _unknown(check)
    if result.status == "fail" and check.on_fail == "warn":
        notes = ("The life cycle says that a failure of this check only warns.", *result.notes)
        result = result.model_copy(update={"status": "warn", "notes": notes})
    return result.model_copy(update={"seconds": seconds})


def _unknown(check: Check) -> CheckError:
    return CheckError(f"{check.name!r} is a check of the kind {check.kind!r}, which cannot be measured.")
