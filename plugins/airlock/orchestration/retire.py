"""The version that a rollout replaced stays for its drain, and is undeployed then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airlock.orchestration.deployments import StageOperator
from airlock.orchestration.failures import wait_for
from airlock.orchestration.passage_task import PassageTask
from airlock.orchestration.placement import ENDED, undeploy
from airlock.orchestration.rollout_look import drain_is_over

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import PassageRecord, RolloutRecord


class Retire(StageOperator):
    """Ends the replaced deployment once its drain is over, beside whatever the passage does meanwhile."""

    def open(self, registry: Registry, passage: PassageRecord) -> PassageRecord:
        """Also when the passage is over: it usually is, before the drain."""
        return passage

    def run(self, task: PassageTask) -> None:
        registry = task.registry
        rollout = self._completed(task)
        if rollout is None or rollout.current_deployment_id is None:
            self.log.info("No rollout has replaced a version here.")
            return
        old = registry.deployments.get(rollout.current_deployment_id)
        if old.state in ENDED:
            return
        if not drain_is_over(registry, rollout, datetime.now(UTC)):
            self.log.info("%s stays for its drain, so that people can go back to it.", old.snapshot_name)
            wait_for(self, "drain is over", rollout=rollout.id)
        in_use = registry.history.current(old.service, old.stage, "online")
        if in_use is not None and in_use.deployment_id == old.id:
            self.log.info("%s is the version in use: it stays.", old.snapshot_name)
            return
        undeploy(task.settings, registry, old, f"replaced by {task.passage.snapshot_name}")

    def _completed(self, task: PassageTask) -> RolloutRecord | None:
        rollouts = task.registry.rollouts.list(task.passage.id, self.stage.name)
        completed = [rollout for rollout in rollouts if rollout.outcome == "completed"]
        return completed[-1] if completed else None
