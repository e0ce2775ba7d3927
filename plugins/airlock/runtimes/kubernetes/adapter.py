"""Kind ``kubernetes``: servers and jobs as pods in a namespace of a cluster.

A deployment is a record that owns all its objects (:mod:`airlock.runtimes.kubernetes.record`); the cluster
itself keeps what runs running. The adapter holds nothing in memory: it says what there must be, and reads
what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    Routed,
    RuntimeSettings,
    Split,
    Status,
    no_stream,
)
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import CONFIG_MAP, RULES_REVIEW, Cluster, Object
from airlock.runtimes.kubernetes.http_route import Backend
from airlock.runtimes.kubernetes.images import Images
from airlock.runtimes.kubernetes.jobs import Jobs
from airlock.runtimes.kubernetes.kserve import InferenceServices
from airlock.runtimes.kubernetes.logs import PodLogs
from airlock.runtimes.kubernetes.namespace import in_namespace, namespace_of
from airlock.runtimes.kubernetes.permissions import missing, needed
from airlock.runtimes.kubernetes.pod import HOST
from airlock.runtimes.kubernetes.record import Record, record_of
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.runtimes.kubernetes.routes import Routes
from airlock.runtimes.kubernetes.servers import Servers
from airlock.runtimes.kubernetes.streams import Streams
from airlock.runtimes.kubernetes.waiting import wait_until_gone
from airlock.spec import KubernetesOptions, Resources, RuntimeSpec

_TRIES = 5
_UNCHANGEABLE = 422


class KubernetesAdapter:
    """Drives one runtime of kind ``kubernetes``.

    :param image_of: gives the image of a plan, where it is neither known nor to be made.
    :param checks_image: the image of the checks environment, where it is not to be made.
    """

    def __init__(
        self,
        spec: RuntimeSpec,
        settings: RuntimeSettings,
        *,
        image_of: Callable[[DeploymentPlan], str] | None = None,
        checks_image: str | None = None,
    ) -> None:
        assert isinstance(spec.options, KubernetesOptions)
        self._spec = spec
        self._options: KubernetesOptions = spec.options
        self._namespace = namespace_of(spec, self._options)
        self._cluster = Cluster(spec.connection, self._options.context)
        images = Images(self._cluster, spec, self._options, settings)
        self._image_of = image_of or images.of
        self._checks_image: Callable[[], str] = (lambda: checks_image) if checks_image else images.for_checks
        place = (self._cluster, spec, self._options, self._namespace)
        self._streams = Streams(*place)
        self._servers: Servers | InferenceServices = (
            InferenceServices(*place, self._staying) if self._options.kserve else Servers(*place)
        )
        self._routes = (
            Routes(self._cluster, spec, self._options.gateway, self._namespace, self._backend)
            if self._options.gateway is not None
            else None
        )
        self._jobs = Jobs(*place)

    def check(self) -> Health:
        """Say whether the cluster answers and lets this user do what the runtime needs."""
        try:
            version = self._cluster.version()
            lacks = self._missing_permissions()
        except AdapterError as error:
            return Health(False, str(error))
        if lacks:
            more = f" and {len(lacks) - 5} more" if len(lacks) > 5 else ""
            return Health(
                False,
                f"In the namespace {self._namespace} this user may not: {', '.join(lacks[:5])}{more}. "
                "docs/run-on-kubernetes.md has the role it needs.",
            )
        return Health(True, f"Kubernetes {version}, namespace {self._namespace}.")

    # --- deployments

    def deploy(self, plan: DeploymentPlan) -> Handle:
        """Begin to put a snapshot on the cluster and return at once; the cluster does the rest.

        A deployment that failed is started again, with the same image.

        :raises Conflict: the name is taken by another digest or mode.
        :raises IntegrityError: the snapshot's files are not the recorded bytes.
        :raises AdapterError: the cluster cannot be reached or refuses.
        """
        if plan.manifest.digest != plan.digest:
            raise IntegrityError(
                f"The manifest of {plan.name} has the digest {plan.manifest.digest}, not {plan.digest}."
            )
        record = in_namespace(
            self._cluster, self._namespace, lambda: self._recorded(plan), runtime=self._spec.runtime
        )
        if plan.stream is not None:
            self._streams.begin(record, plan.stream)
        elif record.mode == "online":
            self._servers.begin(record)
        return record.handle(self._spec)

    def status(self, handle: Handle) -> Status:
        """Look at a deployment."""
        record = self._record(handle["name"])
        if record is None:
            return Status("gone")
        if record.is_going:
            return Status("failed", "It is being taken away.")
        return self._online(record).status(record) if record.mode == "online" else Status("ready")

    def endpoints(self, handle: Handle) -> Sequence[Endpoint]:
        """Where a ready ``online`` deployment is reached, or reads; empty for ``batch``."""
        record = self._record(handle["name"])
        if record is None or record.is_going or record.mode != "online":
            return []
        online = self._online(record)
        return online.endpoints(record) if online.status(record).state == "ready" else []

    def stream(self, handle: Handle, content: Mapping[str, Any]) -> None:
        """Write the stream file of a deployment anew. Nodes pass it on within seconds, or a minute or two.

        :raises AdapterError: the deployment is not there or is no stream, or the cluster refuses.
        """
        record = self._staying(handle["name"])
        if record is None or record.topic is None:
            raise no_stream(handle["name"], self._spec.runtime)
        self._streams.change(record, content)

    def address(self, service: str, stage: str) -> str | None:
        """Where applications reach a service at a stage, if the runtime names a gateway."""
        return self._routes.address(service, stage) if self._routes is not None else None

    def route(self, split: Split) -> Routed:
        """Let the gateway of the cluster divide requests, and look whether it does by now.

        :raises AdapterError: it cannot divide them so, or the cluster cannot be reached or refuses.
        """
        return Routed(True) if self._routes is None else self._routes.follow(split)

    def undeploy(self, handle: Handle) -> None:
        """Take a deployment away with all its objects and jobs, and wait a while until they are gone.

        :raises AdapterError: they do not go, or the cluster refuses.
        """
        record = self._record(handle["name"])
        if record is not None:
            if record.mode == "online":
                self._online(record).end(record)
            self._take_away(record)

    def list(self) -> Sequence[Handle]:
        """Every deployment of this runtime of which anything is still there."""
        found = self._cluster.find(
            CONFIG_MAP,
            self._namespace,
            labelSelector=names.selector(self._spec.runtime, names.ROLE_RECORD),
        )
        return sorted(
            (Record(item).handle(self._spec) for item in found), key=lambda handle: str(handle["name"])
        )

    # --- jobs

    def submit(self, job: Job) -> JobHandle:
        """Begin a job and return at once.

        :raises AdapterError: its deployment is gone, it names files that pods do not see, or the cluster
            cannot be reached or refuses.
        """
        record, deployment = None, None
        if job.deployment is not None:
            deployment = str(job.deployment["name"])
            record = self._record(deployment)
            if record is None or record.is_going:
                raise AdapterError(
                    f"The job {job.name} cannot run: there is no deployment {deployment} on "
                    f"{self._spec.runtime}.",
                    mend="Clear the task that deploys it.",
                )
        image = record.image if record is not None else self._checks_image()
        resources = self._limited(job.resources)
        in_namespace(
            self._cluster,
            self._namespace,
            lambda: self._jobs.begin(job, record, image=image, resources=resources),
            runtime=self._spec.runtime,
        )
        return self._jobs.handle(job.name, deployment)

    def job_status(self, handle: JobHandle) -> JobStatus:
        """Look at a job."""
        return self._jobs.status(handle["name"])

    def cancel(self, handle: JobHandle) -> None:
        """End a job; one that has ended already is well."""
        self._jobs.cancel(handle["name"])

    def logs(self, handle: Handle | JobHandle, *, lines: int = 50) -> str:
        """The last lines of the logs of a deployment's or a job's pods."""
        logs, pods = self._logs_of(handle)
        return logs.last_lines(pods, lines)

    def follow(self, handle: Handle | JobHandle, position: str | None = None) -> LogLines:
        """What the pods of a deployment or job said since ``position``."""
        logs, pods = self._logs_of(handle)
        return logs.since(pods, position)

    def remove_job(self, handle: JobHandle) -> None:
        """Take a job away with its pod, its log and its file.

        :raises AdapterError: it does not go, or the cluster refuses.
        """
        self._jobs.remove(handle["name"])

    def list_jobs(self) -> Sequence[JobHandle]:
        """Every job without a deployment that is in the cluster."""
        return self._jobs.without_deployment()

    # --- records

    def _recorded(self, plan: DeploymentPlan) -> Record:
        """The record of a plan, found or made.

        :raises Conflict: there is another one of its name.
        """
        object_name = names.object_name(plan.name)
        for _ in range(_TRIES):
            found = self._record(plan.name)
            if found is not None and found.is_going:
                self._take_away(found)
                continue
            if found is not None:
                _refuse_other(found, plan)
                return found
            resources = self._limited(plan.resources)
            wanted = record_of(plan, self._image_of(plan), resources, self._spec)
            try:
                made = Record(self._cluster.apply(wanted, CONFIG_MAP, self._namespace))
            except Refused as error:
                if error.status in (409, _UNCHANGEABLE) and self._record(plan.name) is not None:
                    continue  # another caller was faster: its record counts
                raise
            if not made.is_going:
                return made
        raise AdapterError(f"{object_name} is removed as often as it is begun.", mend="Find out by whom.")

    def _record(self, name: str) -> Record | None:
        object_name = names.object_name(name)
        found = self._cluster.get(CONFIG_MAP, self._namespace, object_name)
        if found is None:
            return None
        if not names.is_ours(found) or names.annotation(found, names.DEPLOYMENT) != name:
            raise AdapterError(
                f"There is another ConfigMap {object_name} in the namespace {self._namespace}, which is not "
                f"the deployment {name} of Airlock.",
                mend="Remove it, or give the runtime a namespace of its own.",
            )
        return Record(found)

    def _online(self, record: Record) -> Servers | InferenceServices:
        """What drives an online deployment. A stream gets no requests, so KServe has no part in it."""
        return self._servers if record.topic is None else self._streams

    def _staying(self, name: str) -> Record | None:
        """The record of a deployment that is not being taken away."""
        record = self._record(name)
        return None if record is None or record.is_going else record

    def _backend(self, name: str) -> Backend:
        record = self._staying(name)
        if record is None or record.mode != "online":
            raise AdapterError(
                f"No requests can be sent to {name}: it is not online on {self._spec.runtime}.",
                mend="Clear the task that deploys it.",
            )
        return self._servers.backend(record)

    def _take_away(self, record: Record) -> None:
        name, uid = record.object_name, record.uid
        self._cluster.delete(CONFIG_MAP, self._namespace, name, uid=uid)
        wait_until_gone(self._cluster, CONFIG_MAP, self._namespace, name, uid=uid)

    # --- the rest

    def _limited(self, resources: Resources) -> Resources:
        """What the runtime gives, where it says so, instead of what the service asks for."""
        options = self._options
        return Resources(cpu=options.cpu or resources.cpu, memory=options.memory or resources.memory)

    def _logs_of(self, handle: Mapping[str, Any]) -> tuple[PodLogs, Sequence[Object]]:
        if "deployment" in handle:
            return PodLogs(self._cluster, self._namespace, HOST), self._jobs.pods(handle["name"])
        record = self._record(handle["name"])
        if record is None or record.mode != "online":
            return PodLogs(self._cluster, self._namespace, HOST), []
        online = self._online(record)
        return PodLogs(self._cluster, self._namespace, online.container), online.pods(record)

    def _missing_permissions(self) -> Sequence[str]:
        review = {
            "apiVersion": RULES_REVIEW.api,
            "kind": RULES_REVIEW.name,
            "spec": {"namespace": self._namespace},
        }
        status = self._cluster.create(review, RULES_REVIEW).get("status") or {}
        if status.get("incomplete"):
            return ()  # the cluster decides by more than roles, and does not say by what
        has_secrets = bool(self._cluster.extra.get("environment"))
        wanted = needed(self._options, self._spec.modes, has_secrets=has_secrets)
        return tuple(missing(status.get("resourceRules") or [], wanted))


def _refuse_other(found: Record, plan: DeploymentPlan) -> None:
    wanted = f"{plan.digest} ({plan.mode if plan.stream is None else 'stream'})"
    if found.what != wanted:
        raise Conflict(
            f"{plan.name} is there already with another snapshot or mode: {found.what} instead of {wanted}.",
            mend="Undeploy it first, or deploy under another name.",
        )
