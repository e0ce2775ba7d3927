"""A look at both versions of a rollout: what the guards say now, and what is next.

The task and the triggerer look with the same eyes, so that the task finds what it was woken for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pydantic

from airlock.exceptions import CheckError
from airlock.gates import gather_question, question_about
from airlock.orchestration.rollout_answers import compare_answers
from airlock.orchestration.version_server import ask_server
from airlock.rollouts import (
    Answer,
    Compared,
    Facts,
    Finding,
    GuardResult,
    Look,
    Measured,
    Move,
    Reading,
    difference,
    due,
    judge,
    next_move,
    read,
    steps,
    worst,
)
from airlock.spec import Guarded, MetricGuard, Rollout, SideBySide
from airlock.spec.rollout import AnyRollout

if TYPE_CHECKING:
    from airlock.orchestration.configuration import Settings
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, RolloutRecord
    from airlock.runtimes.base import Status

_ROLLOUT: pydantic.TypeAdapter[Rollout] = pydantic.TypeAdapter(AnyRollout)

AskRuntime = Callable[["DeploymentRecord"], "Status"]
"""How a deployment is, as its runtime has it."""


@dataclass(frozen=True)
class View:
    """What one look found.

    :param evidence: it in plain JSON, to be kept with the move.
    """

    rollout: RolloutRecord
    results: Sequence[GuardResult]
    move: Move
    evidence: dict[str, Any]

    @property
    def reason(self) -> str:
        """Why the move is made: what the guards say that brought it about."""
        telling = [result for result in self.results if result.status == worst(self.verdicts)]
        if self.move.kind == "roll_back" and worst(self.verdicts) != "fail":
            return f"{self.move.reason}."
        return f"{self.move.reason}: " + " ".join(f"{each.guard}: {each.summary}" for each in telling)

    @property
    def verdicts(self) -> list[Any]:
        """Of each guard."""
        return [result.status for result in self.results]


def ask_runtime(settings: Settings, registry: Registry) -> AskRuntime:
    """Asks the runtime that a deployment is on."""

    def ask(deployment: DeploymentRecord) -> Status:
        spec = registry.catalog.runtime(deployment.runtime).spec
        return settings.adapter(spec).status(deployment.handle or {"name": deployment.id})

    return ask


def strategy_of(rollout: RolloutRecord) -> Rollout:
    """The rollout as its life cycle wrote it when it began."""
    return _ROLLOUT.validate_python(rollout.strategy)


def read_metrics(registry: Registry, deployment: DeploymentRecord) -> Reading:
    """What a deployment has counted until now, with what gateways have seen it leave without an answer.

    :raises CheckError: it shows no metrics.
    """
    reading = read(ask_server(deployment, "/metrics").text, datetime.now(UTC))
    return reading.with_unanswered(registry.traffic.unanswered(deployment.id))


def first_readings(registry: Registry, rollout: RolloutRecord) -> dict[str, Any]:
    """What both versions have counted when a step begins, in plain JSON."""
    keep = _watched(strategy_of(rollout))
    new, current = _versions(registry, rollout)
    return {
        "new": read_metrics(registry, new).to_json(keep),
        "current": read_metrics(registry, current).to_json(keep),
    }


def look(registry: Registry, rollout: RolloutRecord, ask_runtime: AskRuntime) -> View:
    """Measure both versions since the step began, let the guards judge, and say what is next."""
    strategy, now = strategy_of(rollout), datetime.now(UTC)
    results: list[GuardResult] = []
    evidence: dict[str, Any] = {"step": str(steps(strategy)[rollout.step])}
    planned = False
    if isinstance(strategy, Guarded) and rollout.since is not None and rollout.readings is not None:
        planned = now >= due(strategy, rollout.step, rollout.since, rollout.extended)
        new, current = _versions(registry, rollout)
        try:
            did = difference(Reading.from_json(rollout.readings["new"]), read_metrics(registry, new))
            others = difference(
                Reading.from_json(rollout.readings["current"]), read_metrics(registry, current)
            )
        except CheckError as error:
            results = [out_of_reach(registry, rollout, ask_runtime, error)]
        else:
            sight = Look(planned, strategy.least_requests)
            evidence |= _counts(did, others, new, current)
            compared = Compared()
            if (guard := strategy.compares_answers) is not None:
                compared = compare_answers(registry, rollout, guard, new, current, now)
                evidence["answers"] = compared.to_json()
            results = judge(strategy.guard, did, others, sight, compared)
    move = next_move(
        Facts(
            rollout=strategy,
            step=rollout.step,
            since=rollout.since,
            extended=rollout.extended,
            now=now,
            verdict=worst(result.status for result in results),
            asked=rollout.asked is not None,
            answer=_answer(registry, rollout, now),
            ended=rollout.outcome is not None,
        )
    )
    evidence |= {
        "planned": planned,
        "looked_at": now.isoformat(),
        "reason": move.reason,
        "guards": [_written(result) for result in results],
    }
    return View(rollout, results, move, evidence)


def drain_is_over(registry: Registry, rollout: RolloutRecord, now: datetime) -> bool:
    """Whether the version that a completed rollout replaced need not be kept any longer.

    Its drain has passed, and the new one has become the stage's version, or will not any more.
    """
    strategy = strategy_of(rollout)
    assert isinstance(strategy, SideBySide)
    assert rollout.ended_at is not None
    versions = registry.history.versions(rollout.service, rollout.stage, "online")
    has_taken_over = any(version.deployment_id == rollout.deployment_id for version in versions)
    is_finished = registry.passages.get(rollout.passage_id).state == "finished"
    return now >= rollout.ended_at + strategy.drain and (has_taken_over or is_finished)


def _versions(registry: Registry, rollout: RolloutRecord) -> tuple[DeploymentRecord, DeploymentRecord]:
    assert rollout.current_deployment_id is not None
    return (
        registry.deployments.get(rollout.deployment_id),
        registry.deployments.get(rollout.current_deployment_id),
    )


def _watched(strategy: Rollout) -> list[str]:
    guards = strategy.guard if isinstance(strategy, Guarded) else []
    return [guard.metric for guard in guards if isinstance(guard, MetricGuard)]


def out_of_reach(
    registry: Registry, rollout: RolloutRecord, ask_runtime: AskRuntime, error: CheckError
) -> GuardResult:
    """Without numbers, the new version has failed where its runtime says that it is gone."""
    status = ask_runtime(registry.deployments.get(rollout.deployment_id))
    broken = status.state in ("failed", "gone")
    said = f"The new version is {status.state}. {status.message}".strip() if broken else str(error)
    finding = Finding("answers", "fail" if broken else "inconclusive", None, None, "", "it runs", said)
    return GuardResult("alive", "alive", finding.status, (finding,))


def _answer(registry: Registry, rollout: RolloutRecord, now: datetime) -> Answer | None:
    passage = registry.passages.get(rollout.passage_id)
    question = gather_question(registry, passage, rollout.stage)
    if rollout.asked is not None and question.answer is not None:
        return "go on" if question.answer == "approve" else "roll back"
    if not question.candidates:
        return "nobody"
    for gate in registry.gates_open.open_for(passage_id=rollout.passage_id):
        is_this = (gate.stage, gate.evidence_digest) == (question_about(rollout.stage), rollout.asked)
        if is_this and gate.expires_at is not None and now >= gate.expires_at:
            return "expired"
    return None


def _counts(
    did: Measured, others: Measured, new: DeploymentRecord, current: DeploymentRecord
) -> dict[str, Any]:
    def of(measured: Measured, deployment: DeploymentRecord) -> dict[str, Any]:
        return {
            "deployment": deployment.id,
            "snapshot": deployment.snapshot_name,
            "requests": measured.requests,
            "errors": measured.errors,
            "restarted": measured.restarted,
        }

    return {
        "interval": [did.since.isoformat(), did.until.isoformat()],
        "new": of(did, new),
        "current": of(others, current),
    }


def _written(result: GuardResult) -> dict[str, Any]:
    return {**asdict(result), "findings": [asdict(finding) for finding in result.findings]}
