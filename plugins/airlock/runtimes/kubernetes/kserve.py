"""Online deployments as InferenceServices of KServe: begun, looked at, reached, ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Endpoint, Status
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes import reasons
from airlock.runtimes.kubernetes.cluster import INFERENCE_SERVICE, Cluster, Object
from airlock.runtimes.kubernetes.http_route import Backend
from airlock.runtimes.kubernetes.inference_service import (
    BEGUN,
    CONTAINER,
    PREDICTOR_PORT,
    PREVIOUS,
    failure_in,
    inference_service,
    is_serverless,
    is_shared,
    name_of,
    newest_is_ready,
    predictor_service,
    tagged,
)
from airlock.runtimes.kubernetes.logs import PodLogs
from airlock.runtimes.kubernetes.record import Record
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.runtimes.kubernetes.secrets import Secrets
from airlock.runtimes.kubernetes.server import ready_seconds, server_pod
from airlock.runtimes.kubernetes.servers import pods_of, why_not
from airlock.spec import KubernetesOptions, RuntimeSpec

_TRIES = 5
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class InferenceServices:
    """Drives the InferenceServices of one runtime, in one namespace.

    :param record_of: finds the record of a deployment that is there and stays.
    """

    container = CONTAINER

    def __init__(
        self,
        cluster: Cluster,
        spec: RuntimeSpec,
        options: KubernetesOptions,
        namespace: str,
        record_of: Callable[[str], Record | None],
    ) -> None:
        self._cluster = cluster
        self._spec = spec
        self._options = options
        self._namespace = namespace
        self._record_of = record_of
        self._logs = PodLogs(cluster, namespace, CONTAINER)
        self._secrets = Secrets(cluster, namespace)

    def begin(self, record: Record) -> None:
        """Make the InferenceService of a deployment, or give the shared one this deployment as its newest.

        :raises AdapterError: KServe is not installed, or the cluster refuses.
        """
        self._secrets.apply(record.item)
        self._settle(record, lambda found: (record, self._beside(record, found)))

    def end(self, record: Record) -> None:
        """Let the other deployment of a shared InferenceService answer every request.

        One that nobody shares goes with its record.
        """
        if not is_shared(self._options):
            return
        found = self._get(record)
        if found is None:
            return
        newest, previous = _newest(found), names.annotation(found, PREVIOUS)
        if record.name not in (newest, previous):
            return
        stays = self._record_of(previous if record.name == newest else newest) if previous else None
        if stays is not None:
            self._settle(stays, lambda found: (stays, None))

    def status(self, record: Record) -> Status:
        """Look at a deployment."""
        found = self._get(record)
        if found is None:
            return Status("failed", "Its InferenceService is not there. Deploy it again.")
        status = found.get("status") or {}
        is_ready = reasons.is_true(found, "Ready")
        if _newest(found) != record.name:
            if names.annotation(found, PREVIOUS) == record.name:
                return (
                    Status("ready") if is_ready else Status("starting", "Its InferenceService is not ready.")
                )
            return Status("failed", f"{_newest(found)} has taken its place in the InferenceService.")
        generation = int(found["metadata"].get("generation", 1))
        is_seen = int(status.get("observedGeneration", generation)) >= generation  # not every KServe says it
        if is_seen and is_ready and (self._answers(record, status) or not is_shared(self._options)):
            return Status("ready")
        return self._not_ready(record, found)

    def endpoints(self, record: Record) -> Sequence[Endpoint]:
        """Where a deployment is reached; of a shared InferenceService each has an address of its own."""
        found = self._get(record)
        status = (found or {}).get("status") or {}
        url = str(status.get("url") or "")
        inside = str((status.get("address") or {}).get("url") or "") or None
        if found is not None and is_shared(self._options) and names.annotation(found, PREVIOUS):
            own = tagged(status, "latest" if _newest(found) == record.name else "prev")
            return [Endpoint("rest", own)] if own else []
        return [Endpoint("rest", url, inside)] if url else []

    def backend(self, record: Record) -> Backend:
        """The Service that KServe makes for the predictor, as KServe's own routes name it.

        :raises AdapterError: there is none that a route can lead to, because it is serverless.
        """
        found = self._get(record)
        if found is not None and is_serverless(found):
            raise AdapterError(
                f"The InferenceService {found['metadata']['name']} is serverless: its Service leads back to "
                "Knative's gateway, so that no route can divide requests for it.",
                mend="Let KServe's default mode be Standard, or take 'gateway' out of the runtime's options.",
            )
        return Backend(record, predictor_service(record, self._options), PREDICTOR_PORT)

    def pods(self, record: Record) -> Sequence[Object]:
        """Its pods, oldest first."""
        return pods_of(self._cluster, self._namespace, record, self._spec)

    # --- to begin and end

    def _settle(
        self,
        record: Record,
        choose: Callable[[Object | None], tuple[Record, Record | None]],
    ) -> None:
        """Say what the InferenceService must be like, as long as nobody else says so at the same time."""
        for _ in range(_TRIES):
            found = self._get(record)
            newest, previous = choose(found)
            is_same = found is not None and _newest(found) == newest.name
            begun = names.annotation(found, BEGUN) if found and is_same else datetime.now(UTC).strftime(_TIME)
            secrets = self._secrets.of(newest.object_name)
            pod = server_pod(newest, self._spec, self._options, secrets=secrets, attempt=1)
            item = inference_service(newest, previous, self._spec, self._options, pod, begun=begun)
            if found is not None:
                item["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            try:
                self._cluster.apply(item, INFERENCE_SERVICE, self._namespace)
                return
            except Refused as error:
                if error.status == 404 and "namespaces" not in error.message:
                    raise AdapterError(
                        "The cluster has no InferenceServices.",
                        mend="Install KServe, or take 'kserve' out of the runtime's options.",
                    ) from error
                if error.status != 409:
                    raise
        raise AdapterError(f"The InferenceService of {record.name} changes all the time.", mend="Try again.")

    def _beside(self, record: Record, found: Object | None) -> Record | None:
        """The deployment that goes on answering while this one is a canary."""
        if found is None or not is_shared(self._options):
            return None
        for name in (names.annotation(found, PREVIOUS), _newest(found)):
            if name and name != record.name and (previous := self._record_of(name)) is not None:
                return previous
        return None

    def _get(self, record: Record) -> Object | None:
        found = self._cluster.get(INFERENCE_SERVICE, self._namespace, name_of(record, self._options))
        if found is not None and not names.is_ours(found):
            raise AdapterError(
                f"There is another InferenceService {found['metadata']['name']} in the namespace "
                f"{self._namespace}, which Airlock did not make.",
                mend="Remove it, or give the runtime a namespace of its own.",
            )
        return found

    # --- to look

    def _answers(self, record: Record, status: Mapping[str, Any]) -> bool:
        """Whether the newest deployment of a shared InferenceService is ready, and not only the other one."""
        return newest_is_ready(status) and any(reasons.is_true(pod, "Ready") for pod in self.pods(record))

    def _not_ready(self, record: Record, found: Object) -> Status:
        if failure := failure_in(found.get("status") or {}):
            return Status("failed", failure)
        pods = [pod for pod in self.pods(record) if "deletionTimestamp" not in pod["metadata"]]
        if pods:
            finding, text = why_not(self._cluster, self._namespace, pods, self._logs)
            if finding is not None and finding.is_final:
                return Status("failed", text)
        else:
            ready = reasons.condition_of(found, "Ready") or {}
            text = str(ready.get("message") or "KServe makes its pods.")
        if self._is_late(found):
            return Status("failed", f"It was not ready within {ready_seconds(self._options)} s. {text}")
        return Status("starting", text)

    def _is_late(self, found: Object) -> bool:
        begun = names.annotation(found, BEGUN) or str(found["metadata"].get("creationTimestamp", ""))
        moment = datetime.strptime(begun, _TIME).replace(tzinfo=UTC)
        return (datetime.now(UTC) - moment).total_seconds() > ready_seconds(self._options)


def _newest(found: Object) -> str:
    return names.annotation(found, names.DEPLOYMENT)
