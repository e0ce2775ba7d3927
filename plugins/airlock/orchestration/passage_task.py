"""What every task of a life cycle shares: it finds its passage, and it fails in words."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airlock.exceptions import AirlockError, Conflict
from airlock.orchestration.configuration import Settings, load_settings, open_registry
from airlock.orchestration.failures import failing_in_words
from airlock.orchestration.traffic import return_traffic
from airlock.orchestration.watching import Begun
from airlock.spec import Lifecycle, Service, Stage, digest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.registry import Registry
    from airlock.registry.records import PassageRecord, SnapshotRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pathway:
    """A life cycle joined with a service: what one DAG is made from."""

    lifecycle: Lifecycle
    service: Service

    @cached_property
    def digest(self) -> str:
        """Changes with any change of either; a passage that meets another digest than it began with stops."""
        return digest({"lifecycle": self.lifecycle.digest, "service": self.service.digest})


@dataclass(frozen=True)
class PassageTask:
    """A running task's view of its passage.

    :param begun: what this try of the task has begun on runtimes.
    """

    context: Context
    settings: Settings
    registry: Registry
    passage: PassageRecord
    begun: Begun

    @cached_property
    def snapshot(self) -> SnapshotRecord:
        """The snapshot that is on its way."""
        return self.registry.snapshots.get(self.passage.snapshot_digest)


class PassageOperator(BaseOperator):
    """Base of the tasks of a life cycle.

    Subclasses implement :meth:`run`, which must be safe to repeat at any line: it is run again after a
    retry, after a kill, and after each wait.
    """

    # One __init__ for all: Airflow copies the default arguments anew at each level of a class hierarchy,
    # which is most of the time that building a DAG takes.
    def __init__(self, *, pathway: Pathway, stage: Stage | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pathway = pathway
        self._stage = stage

    def execute(self, context: Context) -> Any:
        return self.go_on(context, Begun())

    def resume(
        self, context: Context, event: Any = None, begun: dict[str, dict[str, Any]] | None = None
    ) -> Any:
        """After a wait: look again at everything, as a first try would, but begin nothing twice."""
        return self.go_on(context, Begun(begun))

    def go_on(self, context: Context, begun: Begun) -> Any:
        """Find the passage, and do the task's work."""
        settings, registry = load_settings(), open_registry()
        run_id = context["dag_run"].run_id
        with failing_in_words(context, record_failure):
            passage = registry.passages.by_run(self.pathway.service.service, run_id)
            if passage is None:
                raise Conflict(
                    f"DAG run {run_id} has no passage in the registry.",
                    mend="Its first task, begin_passage, must run first: clear that one.",
                )
            return self.run(PassageTask(context, settings, registry, self.open(registry, passage), begun))

    def run(self, task: PassageTask) -> Any:
        """The task's work."""
        raise TypeError(f"{type(self).__name__} does not implement run()")

    def open(self, registry: Registry, passage: PassageRecord) -> PassageRecord:
        """Make sure that the passage may go on.

        :raises AirflowSkipException: the passage has its outcome already (superseded, rejected, …).
        :raises Conflict: it is complete; or life cycle or service are not those that it began with.
        """
        if passage.state == "finished" and passage.outcome == "failed":
            passage = registry.passages.resume(passage.id)
        if passage.outcome == "completed":
            raise Conflict(
                f"The passage of {passage.snapshot_name} is over: {passage.reason}",
                mend="Promote the snapshot again to repeat any of it.",
            )
        if passage.state == "finished":
            raise AirflowSkipException(f"This passage is over: {passage.outcome}. {passage.reason or ''}")
        if passage.lifecycle_digest != self.pathway.digest:
            raise Conflict(
                f"{passage.snapshot_name} began under life cycle {passage.lifecycle_digest} and now finds "
                f"{self.pathway.digest}: the life cycle or the service was edited while it was under way.",
                mend="Promote it again to go by the new one, or restore the old files and clear this task. "
                "A git bundle keeps running passages on the files they began with.",
            )
        return passage


def record_failure(context: Context, reason: str) -> None:
    """Put the reason of a final failure on the passage's record; a version on trial gets no more requests."""
    registry = open_registry()
    run = context["dag_run"]
    passage = registry.passages.by_run(run.dag_id, run.run_id)
    if passage is not None and passage.state != "finished":
        end_trials(registry, passage, reason)
        registry.passages.finish(passage.id, "failed", reason)


def end_trials(registry: Registry, passage: PassageRecord, reason: str) -> None:
    """Send the requests of rollouts that are under way back; they go on where they were if it is resumed."""
    for rollout in registry.rollouts.list(passage.id):
        if rollout.outcome is None:
            try:
                return_traffic(registry, rollout, f"the passage failed: {reason}")
            except AirlockError as error:  # the failure must be recorded all the same
                log.warning("The traffic of %s stays as it is: %s", rollout.id, error)


def passage_failed(context: Context) -> None:
    """DAG callback, for runs that end without any task being able to say why (a worker killed for good)."""
    record_failure(context, f"Airflow ended the run: {context.get('reason', 'a task failed')}")
