"""The version that a rollout replaced stays for its drain, and is undeployed then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airlock.orchestration.deployments import StageOperator
from airlock.orchestration.failures import wait_for
from airlock.orchestration.passage_task import PassageTask
from airlock.orchestration.placement import ENDED, undeploy
from airlock.orchestration.rollout_look import strategy_of
from airlock.spec import SideBySide

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
        if rollout is None or rollout.current_deployment_id is None or rollout.ended_at is None:
            self.log.info("No rollout has replaced a version here.")
            return
        old = registry.deployments.get(rollout.current_deployment_id)
        if old.state in ENDED:
            return
        strategy = strategy_of(rollout)
        assert isinstance(strategy, SideBySide)
        until = rollout.ended_at + strategy.drain
        in_use = registry.history.current(old.service, old.stage, "online")
        is_in_use = in_use is not None and in_use.deployment_id == old.id
        passage_is_over = registry.passages.get(task.passage.id).state == "finished"
        if datetime.now(UTC) < until or (
            is_in_use and not passage_is_over and not self._took_over(task, rollout)
        ):
            self.log.info("%s stays until %s, for a rollback.", old.snapshot_name, f"{until:%H:%M:%S} UTC")
            wait_for(self, "drain is over", rollout=rollout.id, until=until.isoformat())
        if is_in_use:
            self.log.info("%s is the version in use: it stays.", old.snapshot_name)
            return
        undeploy(task.settings, registry, old, f"replaced by {task.passage.snapshot_name}")

    def _completed(self, task: PassageTask) -> RolloutRecord | None:
        rollouts = task.registry.rollouts.list(task.passage.id, self.stage.name)
        completed = [rollout for rollout in rollouts if rollout.outcome == "completed"]
        return completed[-1] if completed else None

    def _took_over(self, task: PassageTask, rollout: RolloutRecord) -> bool:
        """Whether the new version has ever been the stage's: if so, people have gone back to the old one."""
        versions = task.registry.history.versions(rollout.service, rollout.stage, "online")
        return any(version.deployment_id == rollout.deployment_id for version in versions)
