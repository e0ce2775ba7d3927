"""Kind ``docker``: servers and jobs as containers on a Docker engine.

An online deployment is a running container. A batch deployment is one that is never started: it keeps the
image and says what is deployed. A job is a container that runs once. The adapter holds nothing in memory:
names follow from what a container is for, and labels say the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airlock.exceptions import AdapterError, Conflict, IntegrityError
from airlock.runtimes.base import (
    DeploymentPlan,
    Endpoint,
    Handle,
    Health,
    Job,
    JobHandle,
    JobStatus,
    LogLines,
    RuntimeSettings,
    Status,
    WithoutRouter,
    no_stream,
    stream_endpoints,
)
from airlock.runtimes.containers.layout import GID, MODEL_FOLDER, PORT, UID
from airlock.runtimes.docker import container, health, labels, logs, readiness
from airlock.runtimes.docker.engine import Contradiction, Document, Engine, Missing, PortTaken
from airlock.runtimes.docker.jobs import LINES_IN_MESSAGE, Jobs
from airlock.runtimes.docker.mounts import mounts_of_job, mounts_of_volumes
from airlock.runtimes.docker.names import container_name
from airlock.runtimes.docker.network import ensure_network
from airlock.runtimes.docker.ports import pick_port
from airlock.runtimes.docker.stream_files import StreamFiles
from airlock.spec import Resources, RuntimeSpec
from airlock.spec.runtime_options import DockerOptions

if TYPE_CHECKING:
    from airlock.runtimes.images.maker import ImageMaker

_TRIES = 20


class DockerAdapter(WithoutRouter):
    """Drives one runtime of kind ``docker``.

    :raises AdapterError: the runtime is of another kind.
    """

    def __init__(self, spec: RuntimeSpec, settings: RuntimeSettings) -> None:
        if not isinstance(spec.options, DockerOptions):
            raise AdapterError(f"The runtime {spec.runtime} is of the kind {spec.kind}, not docker.")
        self._spec = spec
        self._options = spec.options
        self._settings = settings
        self._engine = Engine(spec.options, spec.connection)
        self._owner = labels.of_runtime(spec.options.project, spec.runtime)
        self._user = _user(spec.options)
        self._jobs = Jobs(self._engine, self._owner, self._user)
        self._stream_files = StreamFiles(self._engine, self._user)

    def check(self) -> Health:
        """Say whether the engine can take work, and what it cannot limit."""
        return health.check(self._engine, self._options)

    # --- deployments

    def deploy(self, plan: DeploymentPlan) -> Handle:
        """Put a snapshot on the engine. Making its image may take minutes, the first time.

        A deployment that failed is made anew, at the same port if possible.

        :raises Conflict: the name is taken by another digest or mode.
        :raises IntegrityError: the snapshot's files are not the recorded bytes.
        :raises AdapterError: the engine cannot be reached or refuses, or the image cannot be made.
        """
        if plan.manifest.digest != plan.digest:
            raise IntegrityError(
                f"The manifest of {plan.name} has the digest {plan.manifest.digest}, not {plan.digest}."
            )
        name = self._name(plan.name)
        taken: set[int] = set()
        image: str | None = None
        tries = 0
        while tries < _TRIES:
            found = self._engine.inspect(name)
            if found is not None:
                _refuse_other(found, plan)
                ports_before = len(taken)
                if self._goes_on(found, plan.stream, taken):
                    return labels.deployment_handle(found["Config"]["Labels"])
                tries += len(taken) == ports_before  # there are only so many ports
                continue
            image = image or self._images.snapshot_image(
                plan.manifest, known=plan.image, stream=plan.stream is not None
            )
            try:
                self._engine.create(self._config(plan, name, image, taken), name)
            except Contradiction:
                tries += 1  # another caller was faster
            except Missing:
                tries, image = tries + 5, None  # somebody removed the image meanwhile
        raise AdapterError(f"The container {name} of {plan.name} is removed as often as it is made.")

    def status(self, handle: Handle) -> Status:
        """Look at a deployment."""
        found = self._engine.inspect(self._name(handle["name"]))
        if found is None:
            return Status("gone")
        status = self._look(found)
        if status.state == "ready" and not _is_batch(found) and not readiness.is_proven(found):
            self._engine.restart_always(found["Id"])
        if status.state == "failed" and (said := self.logs(handle, lines=LINES_IN_MESSAGE)):
            return Status("failed", f"{status.message} Its log:\n{said}")
        return status

    def endpoints(self, handle: Handle) -> Sequence[Endpoint]:
        """Where a ready ``online`` deployment listens, or reads; empty for ``batch``."""
        found = self._engine.inspect(self._name(handle["name"]))
        if found is None or _is_batch(found) or self._look(found).state != "ready":
            return []
        inside = f"http://{readiness.name_of(found)}:{PORT}"
        url = _published_at(found) or inside
        topic = found["Config"]["Labels"].get(labels.STREAM)
        return [Endpoint("rest", url, inside)] if topic is None else stream_endpoints(topic, url, inside)

    def stream(self, handle: Handle, content: Mapping[str, Any]) -> None:
        """Write the stream file of a deployment anew.

        :raises AdapterError: the deployment is not there or is no stream, or the engine cannot be reached.
        """
        found = self._engine.inspect(self._name(handle["name"]))
        if found is None or labels.STREAM not in found["Config"]["Labels"]:
            raise no_stream(handle["name"], self._spec.runtime)
        try:
            self._stream_files.change(found, content)
        except Missing:
            raise no_stream(handle["name"], self._spec.runtime) from None

    def undeploy(self, handle: Handle) -> None:
        """Take a deployment away: its server once it has drained, then its jobs."""
        name = self._name(handle["name"])
        self._engine.stop(name, container.GRACE_SECONDS)
        self._engine.remove(name)
        everything = {**self._owner, labels.DEPLOYMENT: handle["name"]}
        while found := self._engine.containers(everything):
            for one in found:
                self._engine.remove(one["Id"])

    def list(self) -> Sequence[Handle]:
        """Every deployment of which a container is there, and be it only that of a job."""
        found = self._engine.containers({**self._owner, labels.DEPLOYMENT: ""})
        # A deployment's own container says most of it, so that comes last.
        found.sort(key=lambda one: labels.JOB not in one["Labels"])
        handles = {one["Labels"][labels.DEPLOYMENT]: labels.deployment_handle(one["Labels"]) for one in found}
        return [handles[name] for name in sorted(handles)]

    # --- jobs

    def submit(self, job: Job) -> JobHandle:
        """Begin a job and return at once.

        :raises AdapterError: its deployment is gone, a folder that it names cannot be used, or the engine
            cannot be reached or refuses.
        """
        deployment = job.deployment["name"] if job.deployment else None
        around = {} if deployment is None else self._labels_of(deployment, job)
        name = self._name(deployment, job.name)
        document = dict(job.arguments) | ({} if deployment is None else {"model": MODEL_FOLDER})
        self._jobs.begin(name, document, lambda: self._job_config(job, around))
        return labels.job_handle({**self._owner, labels.JOB: job.name, **_only(around, labels.DEPLOYMENT)})

    def job_status(self, handle: JobHandle) -> JobStatus:
        """Look at a job."""
        return self._jobs.status(self._name_of(handle))

    def cancel(self, handle: JobHandle) -> None:
        """End a job with all its processes; one that has ended already is well."""
        self._jobs.cancel(self._name_of(handle))

    def logs(self, handle: Handle | JobHandle, *, lines: int = 50) -> str:
        """The last lines of a deployment's or a job's log."""
        text = self._engine.log(self._name_of(handle), lines=lines)
        return "\n".join(logs.without_times(text)[-lines:])

    def follow(self, handle: Handle | JobHandle, position: str | None = None) -> LogLines:
        """What was logged since ``position``, which names a second and counts lines from there."""
        text = self._engine.log(self._name_of(handle), since=logs.second_of(position))
        return logs.lines_after(text, position)

    def remove_job(self, handle: JobHandle) -> None:
        """Take a job's container away with its volume and its log, killed if it still runs."""
        name = self._name_of(handle)
        self._engine.remove(name)
        same = {**self._owner, labels.JOB: handle["name"]}
        for found in self._engine.containers(same):
            if found["Labels"].get(labels.DEPLOYMENT) == handle.get("deployment"):
                self._engine.remove(found["Id"])

    def list_jobs(self) -> Sequence[JobHandle]:
        """Every job without a deployment of which the container is there."""
        found = self._engine.containers({**self._owner, labels.JOB: ""})
        alone = {
            one["Labels"][labels.JOB]: labels.job_handle(one["Labels"])
            for one in found
            if labels.DEPLOYMENT not in one["Labels"]
        }
        return [alone[name] for name in sorted(alone)]

    # --- parts

    @cached_property
    def _images(self) -> ImageMaker:
        client = self._engine.image_client  # first: it says what is missing
        from airlock.runtimes.images.maker import ImageMaker

        return ImageMaker(
            client,
            self._options.images,
            self._settings.store,
            self._settings.host_source,
            self._engine.login(),
        )

    def _goes_on(self, found: Document, stream: Mapping[str, Any] | None, taken: set[int]) -> bool:
        """Whether a deployment that is there is on its way; what cannot become one is removed.

        :param stream: the stream file of one that was not started yet.
        :param taken: gets the port that could not be had.
        """
        is_new = found["State"]["Status"] == "created" and not _is_batch(found)
        if not is_new and self._look(found).state in ("starting", "ready"):
            return True
        if is_new:
            try:
                if stream is not None:
                    self._stream_files.put(found["Id"], stream)
                self._engine.start(found["Id"])
                return True
            except PortTaken:
                taken.add(int(found["Config"]["Labels"][labels.PORT]))
            except (Missing, Contradiction):  # it is being removed, or its network is gone
                pass
        self._engine.remove(found["Id"])
        return False

    def _look(self, found: Document) -> Status:
        if _is_batch(found) and not self._engine.has_image(found["Image"]):
            return Status("failed", "Its image was removed from the engine. Deploy it again.")
        return readiness.look(found)

    def _config(self, plan: DeploymentPlan, name: str, image: str, taken: set[int]) -> Document:
        own = labels.of_deployment(self._owner, plan, image)
        if plan.mode == "batch":
            return container.placeholder(image, own)
        publish = self._options.publish
        port = None
        if publish is not None:
            others = self._engine.containers({labels.PORT: ""})
            port = pick_port(publish, name, taken | {int(one["Labels"][labels.PORT]) for one in others})
        return container.server(
            self._shape(image, own, plan.resources, mounts_of_volumes(self._options.server_volumes)),
            address=publish.address if publish is not None else None,
            port=port,
            ready_within=self._options.ready_within.total_seconds(),
            api_version=self._engine.api_version,
            record_answers=plan.record_answers,
            stream=plan.stream is not None,
        )

    def _job_config(self, job: Job, around: Mapping[str, str]) -> Document:
        mounts = mounts_of_job(job, self._options.volumes, self._user)
        image = around.get(labels.IMAGE) or self._images.checks_image()
        own = labels.of_job(self._owner, job, around, image)
        shape = self._shape(image, own, job.resources, mounts)
        return container.job(shape, command=job.command, timeout_seconds=job.timeout_seconds)

    def _shape(
        self, image: str, own: Mapping[str, str], resources: Resources, mounts: Sequence[Mapping[str, Any]]
    ) -> container.Shape:
        return container.Shape(
            image=image,
            labels=own,
            cpu=self._options.cpu or resources.cpu,
            memory=self._options.memory or resources.memory,
            user=f"{self._user[0]}:{self._user[1]}",
            network=ensure_network(self._engine, self._options),
            environment=self._options.environment,
            secrets=self._engine.secrets(),
            mounts=mounts,
            bound_log=self._engine.logs_by_file,
        )

    def _labels_of(self, deployment: str, job: Job) -> dict[str, str]:
        found = self._engine.inspect(self._name(deployment))
        if found is None or readiness.look(found).state == "gone":
            raise AdapterError(
                f"The job {job.name} cannot run: "
                f"there is no deployment {deployment} on {self._spec.runtime}.",
                mend="Clear the task that deploys it.",
            )
        return labels.for_jobs(found["Config"]["Labels"])

    def _name(self, deployment: str | None, job: str | None = None) -> str:
        return container_name(self._options.project, self._spec.runtime, deployment, job)

    def _name_of(self, handle: Handle | JobHandle) -> str:
        if "deployment" in handle:
            return self._name(handle["deployment"], handle["name"])
        return self._name(handle["name"])


def _is_batch(found: Document) -> bool:
    return bool(found["Config"]["Labels"].get(labels.MODE) == "batch")


def _refuse_other(found: Document, plan: DeploymentPlan) -> None:
    own = found["Config"]["Labels"]
    there = f"{own.get(labels.DIGEST)} ({'stream' if labels.STREAM in own else own.get(labels.MODE)})"
    wanted = f"{plan.digest} ({plan.mode if plan.stream is None else 'stream'})"
    if there != wanted:
        raise Conflict(
            f"{plan.name} is there already with another snapshot or mode: {there} instead of {wanted}.",
            mend="Undeploy it first, or deploy under another name.",
        )


def _published_at(found: Document) -> str | None:
    """Where a server is reached from outside of its engine's networks; ``None`` if it is not."""
    for binding in (found["HostConfig"].get("PortBindings") or {}).get(f"{PORT}/tcp") or ():
        address = binding["HostIp"]
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{binding['HostPort']}"
    return None


def _user(options: DockerOptions) -> tuple[int, int]:
    if options.user is not None:
        uid, _, gid = options.user.partition(":")
        return int(uid), int(gid)
    return (UID, GID) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def _only(mapping: Mapping[str, str], *keys: str) -> dict[str, str]:
    return {key: mapping[key] for key in keys if key in mapping}
