"""How a stage ends: the snapshot becomes current there, or the passage ends with an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from airlock.exceptions import Conflict
from airlock.orchestration.configuration import Settings
from airlock.orchestration.passage_task import PassageTask
from airlock.orchestration.placement import ENDED, Placement, undeploy
from airlock.orchestration.traffic import direct_all, return_traffic
from airlock.spec import Stage

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import Outcome, RolloutRecord


def reject_if_checks_failed(task: PassageTask, stage: Stage) -> None:
    """End the passage where a check failed.

    :raises AirflowSkipException: the passage is rejected by its checks.
    :raises Conflict: a check of this stage has no result.
    """
    results = {row.check_name: row for row in task.registry.evidence.results(task.passage.id, stage.name)}
    missing = [check.name for check in stage.checks if check.name not in results]
    if missing:
        raise Conflict(
            f"{stage.name} has no result of {', '.join(missing)}.",
            mend="Clear those check tasks to run them.",
        )
    failed = [
        f"{check.name}: {results[check.name].result['summary']}"
        for check in stage.checks
        if results[check.name].status == "fail"
    ]
    if failed:
        end_passage(task, "rejected_by_checks", f"{stage.name}: " + "; ".join(failed))


def end_passage(task: PassageTask, outcome: Outcome, reason: str) -> NoReturn:
    """End a passage that goes no further: an outcome, not a crash. What it has running is taken away.

    Its versions at stages that it had passed stay: they are current there.

    :raises AirflowSkipException: always; what follows in the DAG is skipped.
    """
    registry = task.registry
    for rollout in registry.rollouts.list(task.passage.id):
        if rollout.outcome is None:
            stop_rollout(task.settings, registry, rollout, reason)
    for deployment in registry.deployments.list(passage_id=task.passage.id):
        current = registry.history.current(deployment.service, deployment.stage, deployment.mode)
        is_current = current is not None and current.deployment_id == deployment.id
        if deployment.state not in ENDED and not is_current:
            undeploy(task.settings, registry, deployment, f"the passage ended: {outcome}")
    registry.passages.finish(task.passage.id, outcome, reason)
    raise AirflowSkipException(f"{task.passage.snapshot_name} goes no further, {outcome}: {reason}")


def stop_rollout(settings: Settings, registry: Registry, rollout: RolloutRecord, reason: str) -> None:
    """All traffic back to the current version, then the new one off its runtime.

    Where somebody has directed the traffic since (another rollout, a rollback), it stays as that one says.
    """
    rollout = registry.rollouts.end(rollout.id, "stopped", reason)
    return_traffic(registry, rollout, reason)
    new = registry.deployments.get(rollout.deployment_id)
    if new.state not in ENDED:
        undeploy(settings, registry, new, reason)


def become_current(task: PassageTask, placement: Placement) -> None:
    """The stage's version is now this snapshot: it gets the requests, and what it replaces ends.

    What a rollout replaced stays for its drain: the task ``retire`` ends it.
    """
    registry, passage = task.registry, task.passage
    end_if_left(task, placement)
    deployments = placement.all()
    registry.history.make_current(
        passage_id=passage.id,
        deployment_id=deployments[-1].id if deployments else None,
        service=passage.service,
        stage=placement.stage,
        mode=placement.mode,
        snapshot_digest=passage.snapshot_digest,
    )
    if placement.mode == "online":
        direct_all(registry, deployments[-1], f"{passage.snapshot_name} is the version in {placement.stage}")
    draining = {
        rollout.current_deployment_id
        for rollout in registry.rollouts.list(passage.id, placement.stage)
        if rollout.outcome == "completed"
    }
    for old in registry.deployments.live(passage.service, stage=placement.stage, mode=placement.mode):
        if old.purpose == "passage" and old.passage_id != passage.id and old.id not in draining:
            undeploy(task.settings, registry, old, f"replaced by {passage.snapshot_name}")


def end_if_left(task: PassageTask, placement: Placement) -> None:
    """End the passage of a version that people have gone back from: it does not come into use by itself.

    :raises AirflowSkipException: they have.
    """
    passage = task.passage
    left = task.registry.rollbacks.left_since(
        passage.service, placement.stage, placement.mode, passage.snapshot_digest, passage.started_at
    )
    if left is not None:
        reason = f"{left.requested_by} went back to {left.to_name} in {placement.stage}: {left.reason}"
        end_passage(task, "rolled_back", reason)


def retire_promoted(task: PassageTask, stages: Sequence[Stage]) -> None:
    """Take the passage's online deployments away from stages that it has left, where the stage says so."""
    leave = {stage.name for stage in stages if stage.retire == "when_promoted"}
    for deployment in task.registry.deployments.live(task.passage.service, mode="online"):
        if deployment.passage_id == task.passage.id and deployment.stage in leave:
            undeploy(task.settings, task.registry, deployment, "promoted")
