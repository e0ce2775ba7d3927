"""Compares what both workers of a shadow answered to the same records, in a job: once its time is over.

Topics are too long to be read at each look. The job runs in the checks environment, without any model's code.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airlock.orchestration.streams import is_worker, stream_content
from airlock.rollouts import Compared, Comparison, due
from airlock.runtimes.streams import StreamRole
from airlock.spec import Guarded, Rollout, Shadow, Stage

if TYPE_CHECKING:
    from airlock.orchestration.configuration import Settings
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, JsonObject, RolloutRecord
    from airlock.runtimes.base import Job, JobStatus
    from airlock.spec import AnswersGuard

_SECONDS = 1800.0

_NOT_YET = Compared(of="records", why="The answers are compared when the shadow's time is over.")


def guard_of_records(strategy: Rollout, new: DeploymentRecord) -> AnswersGuard | None:
    """The guard that has the answers of two workers compared, where there is one."""
    return strategy.compares_answers if isinstance(strategy, Guarded) and is_worker(new) else None


def found(rollout: RolloutRecord) -> Compared:
    """What the last comparison found."""
    kept = _kept(rollout)
    return Comparison.from_json(kept).found if kept else _NOT_YET


def is_due(strategy: Rollout, rollout: RolloutRecord, now: datetime) -> bool:
    """Whether answers are to be compared: at the end of the shadow's time, and each time it was prolonged."""
    if rollout.since is None or _kept(rollout).get("extended") == rollout.extended:
        return False
    return now >= due(strategy, rollout.step, rollout.since, rollout.extended)


def kept(rollout: RolloutRecord, status: JobStatus) -> JsonObject:
    """What a job's ending leaves with the rollout."""
    if status.state == "succeeded" and status.result is not None:
        compared = Compared.from_json({**status.result, "of": "records"})
    else:
        said = status.message or f"The job is {status.state}."
        compared = Compared(of="records", why=f"The answers could not be compared: {said}")
    return {**Comparison(found=compared).to_json(), "extended": rollout.extended}


def comparison(
    settings: Settings,
    registry: Registry,
    rollout: RolloutRecord,
    strategy: Rollout,
    guard: AnswersGuard,
) -> Job:
    """The job that compares all answers since the shadow began."""
    from airlock.runtimes.base import Job

    assert isinstance(strategy, Shadow)
    assert rollout.since is not None
    new = registry.deployments.get(rollout.deployment_id)
    current = registry.deployments.get(str(rollout.current_deployment_id))
    service = registry.catalog.service(rollout.service)
    kafka = service.stage_kafka(Stage(rollout.stage, mode="online"))
    assert kafka is not None
    roles = {
        "stream": (current, StreamRole("input")),
        "shadow": (new, StreamRole("shadow", shadow_percent=strategy.percent)),
    }
    files = {
        name: stream_content(
            settings,
            kafka,
            service=rollout.service,
            stage=rollout.stage,
            deployment=deployment.id,
            role=role,
        )
        for name, (deployment, role) in roles.items()
    }
    return Job(
        name=f"{current.id}-{rollout.id}-{rollout.extended}",
        command="check",
        arguments={
            "kind": "shadow",
            **files,
            "output": registry.snapshots.get(new.snapshot_digest).manifest["output_schema"],
            "atol": guard.tolerance,
            "since": rollout.since.timestamp(),
        },
        resources=service.resources,
        timeout_seconds=_SECONDS,
        is_secret=True,
    )


def _kept(rollout: RolloutRecord) -> JsonObject:
    kept: JsonObject = (rollout.readings or {}).get("answers") or {}
    return kept
