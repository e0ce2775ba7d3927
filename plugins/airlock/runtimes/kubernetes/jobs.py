"""Jobs of one runtime: begun once, looked at, ended, taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Job, JobHandle, JobStatus
from airlock.runtimes.containers.ending import ending
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes import reasons
from airlock.runtimes.kubernetes.cluster import EVENT, JOB, POD, Cluster, Object
from airlock.runtimes.kubernetes.job import file_object, job_object, kind_of_file
from airlock.runtimes.kubernetes.logs import PodLogs
from airlock.runtimes.kubernetes.pod import HOST
from airlock.runtimes.kubernetes.reasons import Finding
from airlock.runtimes.kubernetes.record import Record
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.runtimes.kubernetes.results import result_in
from airlock.runtimes.kubernetes.secrets import Secrets
from airlock.runtimes.kubernetes.servers import LINES_IN_MESSAGE, why_not
from airlock.runtimes.kubernetes.waiting import wait_until_gone
from airlock.spec import KubernetesOptions, Resources, RuntimeSpec

_TRIES = 5
_TAILS = (400, 4000, None)
"""So many last lines are looked through for a result, before all are."""


class Jobs:
    """Drives the jobs of one runtime, in one namespace."""

    def __init__(
        self, cluster: Cluster, spec: RuntimeSpec, options: KubernetesOptions, namespace: str
    ) -> None:
        self._cluster = cluster
        self._spec = spec
        self._options = options
        self._namespace = namespace
        self._logs = PodLogs(cluster, namespace, HOST)
        self._secrets = Secrets(cluster, namespace)

    def begin(self, job: Job, record: Record | None, *, image: str, resources: Resources) -> None:
        """See that a job is done, being done, or begun again where it failed.

        :raises AdapterError: it cannot run, or the cluster refuses.
        """
        name = names.object_name(job.name)
        for _ in range(_TRIES):
            found = self._cluster.get(JOB, self._namespace, name)
            if found is None:
                found = self._make(job, record, image, resources)
                if found is None:
                    continue  # another caller was faster
            self._refuse_other(job, found)
            if "deletionTimestamp" in found["metadata"] or self._look(found).state == "failed":
                self._take_away(found)
            elif self._start(job, found, has_model=record is not None):
                return
        raise AdapterError(f"{job.name} is removed as often as it is begun.", mend="Find out by whom.")

    def status(self, name: str) -> JobStatus:
        """Look at a job."""
        found = self._cluster.get(JOB, self._namespace, names.object_name(name))
        if found is None or "deletionTimestamp" in found["metadata"]:
            return JobStatus("gone")
        return self._look(found)

    def cancel(self, name: str) -> None:
        """End a job; one that has ended already, or is gone, is well.

        The Job is kept, marked, and its time set to what it has had: so it ends, its pod is ended, and it is
        taken away in time like any other, which one that is only suspended would not be.
        """
        object_name = names.object_name(name)
        for _ in range(_TRIES):
            found = self._cluster.get(JOB, self._namespace, object_name)
            if found is None or _has_ended(found):
                return
            patch = {
                "metadata": {
                    "resourceVersion": found["metadata"]["resourceVersion"],
                    "annotations": {names.CANCELLED: "true"},
                },
                "spec": {"activeDeadlineSeconds": 1},
            }
            try:
                self._cluster.change(JOB, self._namespace, object_name, patch)
                return
            except Refused as error:
                if error.status != 409:
                    raise
        raise AdapterError(f"The job {name} changes all the time and cannot be cancelled.", mend="Try again.")

    def remove(self, name: str) -> None:
        """Take a job away, with its pod, its log and its file; what is gone already is well.

        :raises AdapterError: it does not go, or the cluster refuses.
        """
        found = self._cluster.get(JOB, self._namespace, names.object_name(name))
        if found is not None and names.is_ours(found):
            self._take_away(found)

    def without_deployment(self) -> Sequence[JobHandle]:
        """Every job without a deployment."""
        found = self._cluster.find(
            JOB, self._namespace, labelSelector=names.selector(self._spec.runtime, names.ROLE_JOB)
        )
        return sorted(
            (
                self.handle(names.annotation(item, names.JOB), None)
                for item in found
                if not names.annotation(item, names.DEPLOYMENT)
                and "deletionTimestamp" not in item["metadata"]
            ),
            key=lambda handle: str(handle["name"]),
        )

    def handle(self, name: str, deployment: str | None) -> JobHandle:
        """What finds a job again."""
        return {
            "kind": "kubernetes",
            "runtime": self._spec.runtime,
            "name": name,
            "deployment": deployment,
        }

    def pods(self, name: str) -> list[Object]:
        """Pods of a job, oldest first: one, unless its node was lost."""
        said = names.labels_of({names.JOB: name}, runtime=self._spec.runtime, role=names.ROLE_JOB)
        found = self._cluster.find(
            POD, self._namespace, labelSelector=",".join(f"{key}={value}" for key, value in said.items())
        )
        return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))

    # --- to begin

    def _make(self, job: Job, record: Record | None, image: str, resources: Resources) -> Object | None:
        """Make the Job, suspended; ``None`` if it is there already.

        It is made and not applied: applying would suspend one that another caller has begun meanwhile.
        """
        item = job_object(
            job,
            record,
            self._spec,
            self._options,
            image=image,
            resources=resources,
            secrets=self._secrets.of(names.object_name(job.name), is_job=True),
        )
        try:
            return self._cluster.create(item, JOB, self._namespace)
        except Refused as error:
            if error.status == 409:
                return None
            raise

    def _start(self, job: Job, found: Object, *, has_model: bool) -> bool:
        """Give a Job its file and let it run; whether it is there still."""
        if not found["spec"].get("suspend", False):
            return True
        file = file_object(job, found, has_model=has_model)
        self._cluster.apply(file, kind_of_file(job), self._namespace)
        self._secrets.apply(found, is_job=True)
        patch: dict[str, Any] = {"metadata": {"uid": found["metadata"]["uid"]}, "spec": {"suspend": False}}
        try:
            return self._cluster.change(JOB, self._namespace, found["metadata"]["name"], patch) is not None
        except Refused as error:
            if error.status == 409:  # it is another Job by now
                return False
            raise

    def _refuse_other(self, job: Job, found: Object) -> None:
        if not names.is_ours(found) or names.annotation(found, names.JOB) != job.name:
            raise AdapterError(
                f"There is another Job {found['metadata']['name']} in the namespace {self._namespace}, which "
                f"is not the job {job.name} of Airlock.",
                mend="Remove it, or give the runtime a namespace of its own.",
            )

    def _take_away(self, found: Object) -> None:
        name, uid = found["metadata"]["name"], found["metadata"]["uid"]
        self._cluster.delete(JOB, self._namespace, name, uid=uid)
        wait_until_gone(self._cluster, JOB, self._namespace, name, uid=uid)

    # --- to look

    def _look(self, found: Object) -> JobStatus:
        if names.annotation(found, names.CANCELLED):
            return JobStatus("failed", "It was cancelled.", exit_code=None, cause="cancelled")
        if reasons.is_true(found, "Complete"):
            return self._succeeded(found)
        if reasons.is_true(found, "Failed"):
            return self._failed(found)
        if found["spec"].get("suspend", False):
            return JobStatus("running", "It was begun but not started: submit it again.")
        return self._running(found)

    def _running(self, found: Object) -> JobStatus:
        pods = self._pods_of(found)
        if not pods:
            finding = reasons.of_job(found, self._events_of(found))
            return _waiting(finding, finding.message if finding else "Its pod is being made.")
        if pods[-1].get("status", {}).get("phase") in ("Running", "Succeeded", "Failed"):
            gone = reasons.lost(pods[-1])
            return JobStatus("running", gone.message if gone else "It runs.")
        finding, text = why_not(self._cluster, self._namespace, pods, self._logs)
        return _waiting(finding, text)

    def _succeeded(self, found: Object) -> JobStatus:
        pods = self._pods_of(found)
        result = self._result(pods[-1]) if pods else None
        if result is None:
            where = "log of its pod holds no result" if pods else "pod with its result is gone"
            return JobStatus("failed", f"It ended well, but the {where}. Run it again.", cause="lost")
        return JobStatus("succeeded", exit_code=0, result=result)

    def _failed(self, found: Object) -> JobStatus:
        pods = self._pods_of(found)
        failure = reasons.condition_of(found, "Failed") or {}
        ended = next((end for pod in reversed(pods) if (end := _host_ending(pod)) is not None), None)
        if ended is not None and (int(ended[1].get("exitCode", 0)) or ended[1].get("reason") == "OOMKilled"):
            return self._ended(*ended)
        if failure.get("reason") == "DeadlineExceeded":
            return JobStatus("failed", self._why_late(found, pods), cause="timeout")
        gone = next((finding for pod in pods if (finding := reasons.lost(pod)) is not None), None)
        if gone is not None:
            return JobStatus("failed", gone.message, cause="lost")
        said = str(failure.get("message") or "the cluster does not say why").rstrip(".")
        return JobStatus("failed", f"Its pod is gone: {said}.", cause="lost")

    def _ended(self, pod: Object, terminated: dict[str, Any]) -> JobStatus:
        """How the host ended, when it did not end well."""
        gone = reasons.lost(pod)
        code = int(terminated.get("exitCode", 0))
        said = str(terminated.get("message", ""))
        how = ending(
            code,
            out_of_memory=terminated.get("reason") == "OOMKilled",
            memory=reasons.memory_limit(pod, HOST),
            said=said,
        )
        if gone is not None and how.cause == "signal":
            return JobStatus("failed", gone.message, exit_code=how.code, cause="lost")
        result = self._result(pod)
        error = result.get("error") if result else None
        if isinstance(error, dict) and how.cause != "memory":
            message = f"{error.get('type', 'Error')}: {error.get('message', '')}"
            return JobStatus("failed", message, exit_code=how.code, cause=how.cause)
        log = self._logs.last_lines([pod], LINES_IN_MESSAGE) or said
        return JobStatus("failed", f"It ended with {how.words}.\n{log}", exit_code=how.code, cause=how.cause)

    def _why_late(self, found: Object, pods: Sequence[Object]) -> str:
        seconds = found["spec"].get("activeDeadlineSeconds", 0)
        text = f"It was ended after {seconds} s, with all its waiting."
        events = self._cluster.find(EVENT, self._namespace)
        mine = [
            event["involvedObject"]["uid"]
            for event in events
            if str(event.get("involvedObject", {}).get("name", "")).startswith(found["metadata"]["name"])
            and event.get("type") == "Warning"
            and event.get("reason") != "DeadlineExceeded"
            and "uid" in event.get("involvedObject", {})
        ]
        last = reasons.newest_first([event for event in events if event.get("type") == "Warning"], of=mine)
        if last:
            text += f" The cluster said: {str(last[0].get('message', '')).rstrip('.')}."
        return text

    def _result(self, pod: Object) -> dict[str, Any] | None:
        for tail in _TAILS:
            log = self._logs.whole(pod, tail=tail)
            result = result_in(log)
            if result is not None or (tail is not None and len(log.splitlines()) < tail):
                return result
        return None

    def _pods_of(self, found: Object) -> list[Object]:
        uid = found["metadata"]["uid"]
        return [
            pod
            for pod in self.pods(names.annotation(found, names.JOB))
            if any(reference.get("uid") == uid for reference in pod["metadata"].get("ownerReferences", []))
        ]

    def _events_of(self, found: Object) -> list[Object]:
        uid = found["metadata"]["uid"]
        return self._cluster.find(EVENT, self._namespace, fieldSelector=f"involvedObject.uid={uid}")


def _has_ended(found: Object) -> bool:
    return bool(names.annotation(found, names.CANCELLED)) or any(
        reasons.is_true(found, kind) for kind in ("Complete", "Failed")
    )


def _waiting(finding: Finding | None, text: str) -> JobStatus:
    if finding is not None and finding.is_final:
        return JobStatus("failed", text, cause="error")
    return JobStatus("running", text)


def _host_ending(pod: Object) -> tuple[Object, dict[str, Any]] | None:
    for container in pod.get("status", {}).get("containerStatuses") or []:
        if container.get("name") == HOST and "terminated" in container.get("state", {}):
            return pod, container["state"]["terminated"]
    return None
