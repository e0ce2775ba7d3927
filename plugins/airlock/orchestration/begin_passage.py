"""The first task of a run: which snapshot, and may it set out now?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airlock.exceptions import Conflict, NotFound
from airlock.orchestration.configuration import load_settings, open_registry
from airlock.orchestration.failures import failing_in_words, wait_for
from airlock.orchestration.passage_task import PassageOperator, PassageTask, end_trials, record_failure
from airlock.orchestration.watching import Begun

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.registry import Registry
    from airlock.registry.records import PassageRecord, SnapshotRecord


class BeginPassage(PassageOperator):
    """Registers the passage of one snapshot.

    Where the same snapshot is under way already, this run ends at once, skipped, and names the other.
    Where another snapshot of the service is under way, the service's ``on_newer`` says what happens.
    """

    def go_on(self, context: Context, begun: Begun) -> Any:
        """Register the passage instead of finding it."""
        with failing_in_words(context, record_failure):
            registry = open_registry()
            snapshot = self._snapshot(registry, context["params"].get("snapshot"))
            passage = self._begin(registry, snapshot, context)
            passage = self.open(registry, passage)
            return self.run(PassageTask(context, load_settings(), registry, passage, begun))

    def run(self, task: PassageTask) -> dict[str, str]:
        passage = task.passage
        if passage.state == "queued" and not task.registry.passages.promote_queued(passage.id):
            self.log.info("%s waits in line: another snapshot is under way.", passage.snapshot_name)
            wait_for(self, "first in line", passage_id=passage.id)
        self.log.info("%s sets out, requested by %s.", passage.snapshot_name, passage.requested_by)
        return {"snapshot": passage.snapshot_name, "digest": passage.snapshot_digest, "passage": passage.id}

    def _snapshot(self, registry: Registry, reference: str | None) -> SnapshotRecord:
        service = self.pathway.service.service
        if not reference:
            newest = registry.snapshots.newest(service)
            if newest is None:
                raise NotFound(
                    f"No snapshot serves {service}.",
                    mend=f"Make one: airlock snapshot create FOLDER --service {service}",
                )
            return newest
        snapshot = registry.snapshots.get(reference)
        if service not in snapshot.services:
            raise Conflict(
                f"{snapshot.name} does not serve {service}, but {', '.join(snapshot.services) or 'nothing'}.",
                mend=f"airlock snapshot create FOLDER --service {service} adds the tag.",
            )
        self._modes_fit(snapshot)
        return snapshot

    def _modes_fit(self, snapshot: SnapshotRecord) -> None:
        needed = {self.pathway.service.stage_mode(stage) for stage in self.pathway.lifecycle.stages}
        if missing := sorted(needed - set(snapshot.modes)):
            raise Conflict(
                f"{snapshot.name} cannot run in mode {', '.join(missing)}, which this life cycle asks for.",
                mend="List the mode under `modes` in its model.yaml and make a new snapshot.",
            )

    def _begin(self, registry: Registry, snapshot: SnapshotRecord, context: Context) -> PassageRecord:
        run = context["dag_run"]

        def begin() -> PassageRecord:
            return registry.passages.begin(
                service=self.pathway.service.service,
                snapshot_digest=snapshot.digest,
                lifecycle_digest=self.pathway.digest,
                lifecycle=self.pathway.lifecycle.model_dump(mode="json"),
                run_id=run.run_id,
                by=run.triggering_user_name or f"airflow:{run.run_type}",
                on_newer=self.pathway.service.on_newer,
            )

        self._release_abandoned(registry, context)
        try:
            return begin()
        except Conflict as conflict:
            self.log.info("%s", conflict)
            raise AirflowSkipException(str(conflict)) from None

    def _release_abandoned(self, registry: Registry, context: Context) -> None:
        """A passage whose run was deleted, or was ended by hand, must not hold the door for ever."""
        service = self.pathway.service.service
        for passage in registry.passages.list(service):
            if passage.state == "finished" or passage.run_id == context["dag_run"].run_id:
                continue
            state = _state_of_run(context, service, passage.run_id)
            if state not in ("queued", "running"):
                reason = f"Its DAG run {passage.run_id} is {state}."
                end_trials(registry, passage, reason)
                registry.passages.finish(passage.id, "failed", reason)


def _state_of_run(context: Context, dag_id: str, run_id: str) -> str:
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        return context["ti"].get_dagrun_state(dag_id=dag_id, run_id=run_id)
    except AirflowRuntimeError:
        return "gone"
