"""The end of the last stage: the snapshot becomes the service's active version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airlock.orchestration.deployments import StageOperator
from airlock.orchestration.outcomes import become_current, reject_if_checks_failed, retire_promoted
from airlock.orchestration.passage_task import PassageTask

if TYPE_CHECKING:
    from pydantic import JsonValue

    from airlock.registry import Registry
    from airlock.registry.records import PassageRecord


class Activate(StageOperator):
    """Makes the snapshot active, retires the version it replaces, and emits the asset event for it."""

    def open(self, registry: Registry, passage: PassageRecord) -> PassageRecord:
        """A try that was killed after it had completed the passage is repeated, not skipped."""
        return passage if passage.outcome == "completed" else super().open(registry, passage)

    def run(self, task: PassageTask) -> dict[str, Any]:
        reject_if_checks_failed(task, self.stage)
        placement = self.placement(task)
        become_current(task, placement)
        if self.pathway.service.schedule is not None and self.mode != "batch":
            become_current(task, replace(placement, mode="batch"))
        retire_promoted(task, self.pathway.lifecycle.before(self.stage.name))
        task.registry.passages.finish(
            task.passage.id, "completed", f"{task.passage.snapshot_name} is active in {self.stage.name}."
        )
        version: dict[str, JsonValue] = {
            "service": task.passage.service,
            "stage": self.stage.name,
            "snapshot": task.passage.snapshot_name,
            "digest": task.passage.snapshot_digest,
        }
        for outlet in self.outlets:
            task.context["outlet_events"][outlet].extra = version
        self.log.info("%s is the active version of %s.", task.passage.snapshot_name, task.passage.service)
        return version
