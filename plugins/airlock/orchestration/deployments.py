"""pick_runtime, deploy and clear: how a snapshot comes to a runtime, and how the runtime is given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airlock.exceptions import Conflict
from airlock.orchestration.failures import claim_or_wait, wait_for
from airlock.orchestration.judge import refuse_entry
from airlock.orchestration.links import ENDPOINT
from airlock.orchestration.passage_task import PassageOperator, PassageTask
from airlock.orchestration.placement import Placement
from airlock.orchestration.rollout_answers import answers_to_record
from airlock.spec import Mode, Stage

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, PassageRecord


class StageOperator(PassageOperator):
    """A task of one stage's task group: it is made with a ``stage``."""

    @property
    def stage(self) -> Stage:
        """The stage that this task belongs to."""
        assert self._stage is not None
        return self._stage

    @property
    def mode(self) -> Mode:
        """How the snapshot runs at this stage."""
        return self.pathway.service.stage_mode(self.stage)

    def placement(self, task: PassageTask) -> Placement:
        """This passage's place at this stage."""
        return Placement(
            settings=task.settings,
            registry=task.registry,
            snapshot=task.snapshot,
            service=task.passage.service,
            stage=self.stage.name,
            mode=self.mode,
            key=task.passage.id,
            purpose="passage",
            passage_id=task.passage.id,
            resources=self.pathway.service.resources,
            record_answers=answers_to_record(self.stage.moves_traffic_by),
        )


class PickRuntime(StageOperator):
    """Takes a slot on the runtime that fits best."""

    def run(self, task: PassageTask) -> str:
        deployment = claim_or_wait(self, self.placement(task))
        self.log.info("%s goes to %s as %s.", task.passage.snapshot_name, deployment.runtime, deployment.id)
        return deployment.runtime


class Deploy(StageOperator):
    """Puts the snapshot on its runtime, once the registry says that this digest may enter this stage.

    This is the lock that counts: whatever Airflow's task states say, it is judged here again.
    """

    operator_extra_links = (ENDPOINT,)

    def run(self, task: PassageTask) -> dict[str, Any]:
        refuse_entry(task.registry, task.settings.runtime_settings().store, task.passage, self.stage.name)
        placement = self.placement(task)
        deployment = placement.bring_up(claim_or_wait(self, placement), task.begun)
        if deployment.state == "deploying":
            wait_for(
                self,
                "deployment settled",
                task.begun,
                runtime=deployment.runtime,
                handle=deployment.handle,
            )
        for endpoint in deployment.endpoints:
            ENDPOINT.set(task.context, endpoint["url"])
            self.log.info("%s answers at %s", task.passage.snapshot_name, endpoint["url"])
        return {"deployment": deployment.id, "endpoints": deployment.endpoints}


class Clear(StageOperator):
    """Gives a batch runtime back, whatever happened before: a teardown."""

    def open(self, registry: Registry, passage: PassageRecord) -> PassageRecord:
        """Also when the passage is over: what it took must be given back."""
        return passage

    def run(self, task: PassageTask) -> None:
        self.placement(task).clear("the stage's jobs are done")


def ready_deployment(placement: Placement) -> DeploymentRecord:
    """The deployment that jobs may be sent to.

    :raises Conflict: it is not ready, or was taken away.
    """
    deployment = placement.current()
    if deployment.state != "ready":
        raise Conflict(
            f"{deployment.id} at {placement.stage} is {deployment.state}, not ready.",
            mend="Clear the deploy task of the stage, with what follows it.",
        )
    return deployment
