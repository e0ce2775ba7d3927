"""Online deployments as Deployments of pods: begun, looked at, reached."""

from __future__ import annotations

from collections.abc import Sequence

from airlock.runtimes.base import Endpoint, Status
from airlock.runtimes.containers.layout import PORT
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes import reasons
from airlock.runtimes.kubernetes.cluster import DEPLOYMENT, EVENT, POD, Cluster, Object
from airlock.runtimes.kubernetes.http_route import Backend
from airlock.runtimes.kubernetes.logs import PodLogs
from airlock.runtimes.kubernetes.pod import HOST
from airlock.runtimes.kubernetes.reasons import Finding
from airlock.runtimes.kubernetes.record import Record
from airlock.runtimes.kubernetes.secrets import Secrets
from airlock.runtimes.kubernetes.server import (
    around,
    deployment,
    inside_address,
    outside_address,
    ready_seconds,
    selector,
    server_pod,
)
from airlock.spec import KubernetesOptions, RuntimeSpec

LINES_IN_MESSAGE = 20


class Servers:
    """Drives the servers of one runtime, in one namespace."""

    container = HOST

    def __init__(
        self, cluster: Cluster, spec: RuntimeSpec, options: KubernetesOptions, namespace: str
    ) -> None:
        self._cluster = cluster
        self._spec = spec
        self._options = options
        self._namespace = namespace
        self._logs = PodLogs(cluster, namespace, HOST)
        self._secrets = Secrets(cluster, namespace)

    def begin(self, record: Record) -> None:
        """Make all objects of a server; those of a server that failed are started anew.

        :raises Refused: the cluster refuses.
        """
        found = self._cluster.get(DEPLOYMENT, self._namespace, record.object_name)
        attempt = int(names.annotation(found, names.ATTEMPT) or 1) if found else 1
        if found is not None and self._look(record, found).state == "failed":
            attempt += 1
        self._secrets.apply(record.item)
        secrets = self._secrets.of(record.object_name)
        pod = server_pod(record, self._spec, self._options, secrets=secrets, attempt=attempt)
        wanted = deployment(record, self._spec, self._options, pod, attempt=attempt)
        made = self._cluster.apply(wanted, DEPLOYMENT, self._namespace)
        for kind, item in around(record, self._spec, self._options, made):
            self._cluster.apply(item, kind, self._namespace)

    def status(self, record: Record) -> Status:
        """Look at a server."""
        found = self._cluster.get(DEPLOYMENT, self._namespace, record.object_name)
        if found is None:
            message = f"The Deployment {self._namespace}/{record.object_name} is not there. Deploy it again."
            return Status("failed", message)
        return self._look(record, found)

    def endpoints(self, record: Record) -> Sequence[Endpoint]:
        """Where a server is reached."""
        inside = inside_address(record, self._namespace)
        return [Endpoint("rest", outside_address(record, self._options) or inside, inside)]

    def backend(self, record: Record) -> Backend:
        """Its Service, as routes name it."""
        return Backend(record, record.object_name, PORT)

    def end(self, record: Record) -> None:
        """Nothing: all its objects go with its record."""

    def pods(self, record: Record) -> Sequence[Object]:
        """Its pods, oldest first."""
        return pods_of(self._cluster, self._namespace, record, self._spec)

    def _look(self, record: Record, found: Object) -> Status:
        wanted = int(found["spec"].get("replicas", 1))
        status = found.get("status", {})
        available = int(status.get("availableReplicas", 0))
        is_seen = int(status.get("observedGeneration", 0)) >= int(found["metadata"].get("generation", 1))
        progress = reasons.condition_of(found, "Progressing") or {}
        was_complete = progress.get("reason") == "NewReplicaSetAvailable"
        is_current = int(status.get("updatedReplicas", 0)) >= min(wanted, 1)
        if is_seen and is_current and available and (available >= wanted or was_complete):
            return Status("ready", "" if available >= wanted else f"{available} of {wanted} pods are ready.")
        finding, text = self._why(record, found)
        if is_seen and (
            (finding is not None and finding.is_final) or progress.get("reason") == "ProgressDeadlineExceeded"
        ):
            if finding is None or not finding.is_final:
                text = f"It was not ready within {ready_seconds(self._options)} s. {text}".strip()
            return Status("failed", text)
        return Status("starting", text)

    def _why(self, record: Record, found: Object) -> tuple[Finding | None, str]:
        """What keeps it from being ready, and that in words with the last lines of its log."""
        finding = reasons.of_deployment(found)
        if finding is not None:
            return finding, finding.message
        attempt = names.annotation(found, names.ATTEMPT)
        pods = [
            pod
            for pod in self.pods(record)
            if "deletionTimestamp" not in pod["metadata"] and names.annotation(pod, names.ATTEMPT) == attempt
        ]
        if not pods:
            return None, "The pods are being made."
        return why_not(self._cluster, self._namespace, pods, self._logs)


def pods_of(cluster: Cluster, namespace: str, record: Record, spec: RuntimeSpec) -> list[Object]:
    """The pods of a deployment, oldest first."""
    said = ",".join(f"{key}={value}" for key, value in selector(record, spec).items())
    found = cluster.find(POD, namespace, labelSelector=said)
    return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def why_not(
    cluster: Cluster, namespace: str, pods: Sequence[Object], logs: PodLogs
) -> tuple[Finding | None, str]:
    """The weightiest reason why pods are not ready, and that in words with the last lines of a log."""
    waiting = [pod for pod in pods if not reasons.is_true(pod, "Ready")]
    events = events_of(cluster, namespace, waiting)
    found = [(pod, reasons.of_pod(pod, events)) for pod in waiting]
    known = [(pod, finding) for pod, finding in found if finding is not None]
    known.sort(key=lambda item: not item[1].is_final)
    if not known:
        return None, reasons.progress_of(
            waiting[-1]
        ) if waiting else "The pods are ready, but not counted yet."
    pod, finding = known[0]
    said = logs.last_words(pod, LINES_IN_MESSAGE) if finding.has_log else ""
    return finding, f"{finding.message} Its log:\n{said}" if said else finding.message


def events_of(cluster: Cluster, namespace: str, pods: Sequence[Object]) -> list[Object]:
    """Events of pods that have not started; of the others the status says all."""
    found: list[Object] = []
    for pod in pods[-3:]:
        if pod.get("status", {}).get("phase", "Pending") == "Pending":
            uid = pod["metadata"]["uid"]
            found += cluster.find(EVENT, namespace, fieldSelector=f"involvedObject.uid={uid}")
    return found
