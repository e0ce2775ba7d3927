"""One snapshot, one stage, one mode: its slot on a runtime, its deployment there, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airlock.exceptions import DeploymentFailed, NoSuitableRuntime, NotFound, RuntimeBusy
from airlock.orchestration.configuration import Settings
from airlock.orchestration.streams import stream_content
from airlock.orchestration.traffic import withdraw
from airlock.orchestration.watching import Begun, Watch
from airlock.spec import Kafka, Mode, Resources
from airlock.spec.runtime_options import DockerOptions

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, RuntimeRecord, SnapshotRecord
    from airlock.runtimes.base import Adapter, DeploymentPlan, Endpoint

log = logging.getLogger(__name__)

ENDED = ("retired", "failed")


@dataclass(frozen=True)
class Placement:
    """Where one snapshot is to run, and for whom.

    :param key: what the deployment belongs to (a passage, a scoring run): ids are derived from it, so a
        repeated task finds the slot and the deployment of the try before.
    :param kafka: the topics of a stream.
    :param record_answers: how many answers the deployment keeps to be compared with another version's.
    """

    settings: Settings
    registry: Registry
    snapshot: SnapshotRecord
    service: str
    stage: str
    mode: Mode
    key: str
    purpose: Literal["passage", "scoring"]
    passage_id: str | None = None
    resources: Resources = field(default_factory=Resources)
    kafka: Kafka | None = None
    record_answers: int = 0

    def all(self) -> Sequence[DeploymentRecord]:
        """Every deployment made under this key at this stage, oldest first."""
        return self.registry.deployments.list(key=self.key, stage=self.stage, mode=self.mode)

    def current(self) -> DeploymentRecord:
        """The deployment that tasks work with.

        :raises NotFound: there is none; pick_runtime must run.
        """
        deployments = self.all()
        if not deployments:
            raise NotFound(
                f"{self.snapshot.name} has no deployment at {self.stage}.",
                mend="Clear the pick_runtime task of the stage.",
            )
        return deployments[-1]

    def claim(self) -> DeploymentRecord:
        """Take a slot on the runtime that fits best; a slot taken already is found again.

        A deployment that failed or was retired stays in the history, and the next one has its own id.

        :raises NoSuitableRuntime: none fits, for the reasons listed.
        :raises RuntimeBusy: all that fit are full.
        """
        deployments = self.all()
        if deployments and deployments[-1].state not in ENDED:
            return deployments[-1]
        identity: dict[str, Any] = {
            "key": self.key,
            "attempt": len(deployments) + 1,
            "stage": self.stage,
            "mode": self.mode,
        }
        deployment_id = self.registry.deployments.identify(**identity)
        runtime = self._take_slot(deployment_id)
        return self.registry.deployments.declare(
            **identity,
            passage_id=self.passage_id,
            service=self.service,
            snapshot_digest=self.snapshot.digest,
            runtime=runtime.name,
            purpose=self.purpose,
        )

    def _take_slot(self, deployment_id: str) -> RuntimeRecord:
        """A slot on a runtime that is well now; one that was not well before may be by now."""
        lease: dict[str, Any] = {"deployment_id": deployment_id, "service": self.service}
        lease |= {"stage": self.stage, "mode": self.mode}
        try:
            runtime = self.registry.leases.acquire(**lease)
        except (NoSuitableRuntime, RuntimeBusy):
            if not self._look_at_unwell_runtimes():
                raise
            runtime = self.registry.leases.acquire(**lease)
        while not self._is_well(runtime):
            self.registry.leases.release(deployment_id)
            runtime = self.registry.leases.acquire(**lease)
        return runtime

    def _is_well(self, runtime: RuntimeRecord) -> bool:
        health = self.settings.adapter(runtime.spec).check()
        self.registry.catalog.set_health(runtime.name, health.ok, health.message)
        if not health.ok:
            log.warning("%s is not well: %s", runtime.name, health.message)
        return health.ok

    def _look_at_unwell_runtimes(self) -> bool:
        """Whether one of them, of this stage, has recovered."""
        unwell = [
            runtime
            for runtime in self.registry.catalog.runtimes()
            if not runtime.health.ok and self.stage in runtime.spec.stages
        ]
        recovered = [runtime for runtime in unwell if self._is_well(runtime)]
        return bool(recovered)

    def bring_up(self, deployment: DeploymentRecord, begun: Begun) -> DeploymentRecord:
        """Deploy, and look for a while whether it gets ready; it stays ``deploying`` where it needs longer.

        :param begun: what this try of the task has begun before; it is added to.
        :raises DeploymentFailed: it will not get ready; the slot is given back.
        """
        # Said first: where the passage ends in between, this is refused and nothing is started.
        self.registry.deployments.set_state(deployment.id, "deploying")
        watch = self.watch(deployment.runtime, begun)
        handle = watch.deploy(self.plan(deployment))
        deployment = self.registry.deployments.set_state(deployment.id, "deploying", handle=handle)
        status = watch.deployment(handle, deployment.id)
        if status.state == "starting":
            log.info("%s is starting on %s. %s", deployment.id, deployment.runtime, status.message)
            return deployment
        if status.state == "ready":
            endpoints = [_written(found) for found in watch.adapter.endpoints(handle)]
            return self.registry.deployments.set_state(deployment.id, "ready", endpoints=endpoints)
        reason = status.message or watch.adapter.logs(handle) or f"It is {status.state}."
        end_failed(watch.adapter, self.registry, deployment, reason)
        raise DeploymentFailed(f"{deployment.id} did not get ready on {deployment.runtime}: {reason}")

    def clear(self, reason: str) -> None:
        """Take away whatever of this placement is still there, and give the slots back."""
        for deployment in self.all():
            if deployment.state not in ENDED:
                undeploy(self.settings, self.registry, deployment, reason)
        # A try that was killed between taking the slot and declaring the deployment left only the slot.
        attempt = len(self.all()) + 1
        self.registry.leases.release(
            self.registry.deployments.identify(
                key=self.key, attempt=attempt, stage=self.stage, mode=self.mode
            )
        )

    def adapter(self, runtime: str) -> Adapter:
        """The adapter of a registered runtime."""
        return self.settings.adapter(self.registry.catalog.runtime(runtime).spec)

    def has_other_user(self, runtime: str) -> bool:
        """Whether jobs on this runtime run as another user than Airflow, who writes into its folders."""
        spec = self.registry.catalog.runtime(runtime).spec
        is_told = isinstance(spec.options, DockerOptions) and spec.options.user is not None
        return is_told or spec.kind == "kubernetes"

    def watch(self, runtime: str, begun: Begun) -> Watch:
        """Begins things on a registered runtime, and looks at them as long as a task may in its slot."""
        return Watch(self.adapter(runtime), begun, self.settings.inline_wait.total_seconds())

    def plan(
        self,
        deployment: DeploymentRecord,
        *,
        snapshot: SnapshotRecord | None = None,
        name: str | None = None,
        mode: Mode | None = None,
    ) -> DeploymentPlan:
        """What the adapter is told; another snapshot may be put beside this one, under its own name.

        A stream is told to read nothing: no record is taken before the checks of its stage have passed.

        :raises AdapterError: the connection to the brokers is not there.
        """
        from airlock.runtimes.base import DeploymentPlan
        from airlock.runtimes.streams import IDLE
        from airlock.snapshots.manifest import Manifest

        snapshot = snapshot or self.snapshot
        mode = mode or self.mode
        stream = None
        if self.kafka is not None and mode == "online":
            stream = stream_content(
                self.settings,
                self.kafka,
                service=self.service,
                stage=self.stage,
                deployment=deployment.id,
                role=IDLE,
            )
        return DeploymentPlan(
            name=name or deployment.id,
            digest=snapshot.digest,
            manifest=Manifest.model_validate(snapshot.manifest),
            mode=mode,
            resources=self.resources,
            labels={
                "service": self.service,
                "stage": self.stage,
                "snapshot": snapshot.name,
                self.purpose: self.key,
            },
            image=self.registry.deployments.image_of(snapshot.digest, stream=stream is not None),
            stream=stream,
            record_answers=self.record_answers if stream is None else 0,
        )


def undeploy(settings: Settings, registry: Registry, deployment: DeploymentRecord, reason: str) -> None:
    """End a deployment: its requests first, then off its runtime, then off the books, then the slot back."""
    withdraw(registry, deployment, reason)
    adapter = settings.adapter(registry.catalog.runtime(deployment.runtime).spec)
    for handle in adapter.list():
        if is_of(handle["name"], deployment.id):
            adapter.undeploy(handle)
    for job in adapter.list_jobs():
        if is_of(job["name"], deployment.id):
            adapter.remove_job(job)
    adapter.undeploy(deployment.handle or {"name": deployment.id})
    registry.deployments.set_state(deployment.id, "retired", reason=reason)
    registry.leases.release(deployment.id)


def end_failed(adapter: Adapter, registry: Registry, deployment: DeploymentRecord, reason: str) -> None:
    """End a deployment that has failed: what is left of it off its runtime, and the slot back."""
    adapter.undeploy(deployment.handle or {"name": deployment.id})
    registry.deployments.set_state(deployment.id, "failed", reason=reason)
    registry.leases.release(deployment.id)


def champion_name(deployment_id: str, check: str) -> str:
    """Under which name a champion stands beside the candidate while a check compares them."""
    return f"{deployment_id}-champion-{check}"


def is_of(name: str, deployment_id: str) -> bool:
    """Whether something on a runtime is a deployment, a champion beside it, or a job for it."""
    return name == deployment_id or name.startswith(f"{deployment_id}-")


def _written(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as the registry keeps it."""
    written = {"kind": endpoint.kind, "url": endpoint.url}
    return written if endpoint.inside is None else {**written, "inside": endpoint.inside}
