"""Jobs: their pods, back-off, deadline, failure policy and time to live."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from ..resources import Object
from ..store import Store, now
from .pods import make_pod, owned_by, set_condition

_TRACKING = "batch.kubernetes.io/job-tracking"
_COMPONENT = "job-controller"


class Jobs:
    """Job -> Pod."""

    def run(self, store: Store) -> None:
        """One round."""
        for job in store.all("jobs"):
            if job["metadata"].get("deletionTimestamp"):
                for pod in owned_by(store, "pods", job):
                    _release(store, pod)
            elif _over(job):
                _settle(store, job)
            elif job["spec"]["suspend"]:
                _hold(store, job)
            else:
                _work(store, job)
        for pod in store.all("pods"):
            if pod["metadata"].get("deletionTimestamp") and _TRACKING in pod["metadata"].get(
                "finalizers", ()
            ):
                owner = next(iter(pod["metadata"].get("ownerReferences") or ()), None)
                if owner is None or store.find("jobs", pod["metadata"]["namespace"], owner["name"]) is None:
                    _release(store, pod)


def _hold(store: Store, job: Object) -> None:
    """A suspended job has no pods; the time that it may take begins when it is resumed."""
    pods = owned_by(store, "pods", job)
    for pod in pods:
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            store.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        _release(store, pod)
    status = copy.deepcopy(job.get("status") or {})
    status.pop("active", None)
    if not any(
        one["type"] == "Suspended" and one["status"] == "True" for one in status.get("conditions") or ()
    ):
        set_condition(status, "Suspended", True, "JobSuspended", "Job suspended")
        store.event(job, "Normal", "Suspended", "Job suspended", _COMPONENT)
    store.set_status("jobs", job, status)


def _over(job: Object) -> Object | None:
    for one in job.get("status", {}).get("conditions") or ():
        if one["type"] in ("Complete", "Failed") and one["status"] == "True":
            return dict(one)
    return None


def _settle(store: Store, job: Object) -> None:
    """After its end: pods are let go, and the job itself goes when its time has passed."""
    for pod in owned_by(store, "pods", job):
        _release(store, pod)
    limit, over = job["spec"].get("ttlSecondsAfterFinished"), _over(job)
    if limit is not None and over is not None and _seconds_since(over["lastTransitionTime"]) >= limit:
        metadata = job["metadata"]
        store.delete("jobs", metadata["namespace"], metadata["name"], policy="Foreground")


def _release(store: Store, pod: Object) -> None:
    if _TRACKING in pod["metadata"].get("finalizers", ()):
        store.edit("pods", pod, lambda found: found["metadata"]["finalizers"].remove(_TRACKING))


def _work(store: Store, job: Object) -> None:
    spec = job["spec"]
    status = copy.deepcopy(job.get("status") or {})
    status.setdefault("startTime", now())
    if any(one["type"] == "Suspended" and one["status"] == "True" for one in status.get("conditions") or ()):
        set_condition(status, "Suspended", False, "JobResumed", "Job resumed")
        status["startTime"] = now()
        store.event(job, "Normal", "Resumed", "Job resumed", _COMPONENT)
    pods = owned_by(store, "pods", job)
    done = [pod for pod in pods if pod["status"].get("phase") == "Succeeded"]
    failed = [pod for pod in pods if pod["status"].get("phase") == "Failed"]
    # A pod that is taken away before it ended has failed.
    failed += [pod for pod in pods if pod["metadata"].get("deletionTimestamp") and pod not in failed + done]
    active = [pod for pod in pods if pod not in done + failed]
    lost = status.get("uncountedTerminatedPods", {}).get("failed", [])
    restarts = sum(
        one.get("restartCount", 0) for pod in active for one in pod["status"].get("containerStatuses") or ()
    )
    verdict = _verdict(job, status, failed, len(failed) + len(lost) + restarts)
    if verdict is not None:
        reason, message = verdict
        for pod in active:
            store.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        set_condition(status, "FailureTarget", True, reason, message)
        left = owned_by(store, "pods", job)
        if all(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in left):
            set_condition(status, "Failed", True, reason, message)
            store.event(job, "Warning", reason, message, _COMPONENT)
        _count(store, job, status, [], done, failed + active)
        return
    if len(done) >= spec["completions"]:
        text = "Reached expected number of succeeded pods"
        set_condition(status, "SuccessCriteriaMet", True, "CompletionsReached", text)
        set_condition(status, "Complete", True, "CompletionsReached", text)
        status["completionTime"] = now()
        store.event(job, "Normal", "Completed", "Job completed", _COMPONENT)
    elif not active and not _is_backing_off(failed):
        make_pod(
            store, job, prefix=f"{job['metadata']['name']}-", component=_COMPONENT, finalizers=[_TRACKING]
        )
        active = [pod for pod in owned_by(store, "pods", job) if pod not in done + failed]
    _count(store, job, status, active, done, failed)


def _verdict(job: Object, status: Object, failed: list[Object], failures: int) -> tuple[str, str] | None:
    spec = job["spec"]
    limit = spec.get("activeDeadlineSeconds")
    begun = next((one for one in status.get("conditions") or () if one["type"] == "FailureTarget"), None)
    if begun is not None:
        return begun["reason"], begun["message"]
    if limit is not None and _seconds_since(status["startTime"]) >= limit:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pod in failed:
            text = _failure(rule, pod, job)
            if text:
                return "PodFailurePolicy", text
    if failures > spec["backoffLimit"]:
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    return None


def _failure(rule: Object, pod: Object, job: Object) -> str | None:
    wanted = rule.get("onExitCodes")
    if rule["action"] != "FailJob" or not wanted:
        return None
    for one in pod["status"].get("containerStatuses") or ():
        code = (one["state"].get("terminated") or {}).get("exitCode", 0)
        if code and (code in wanted["values"]) == (wanted["operator"] == "In"):
            index = job["spec"]["podFailurePolicy"]["rules"].index(rule)
            where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            return (
                f"Container {one['name']} for pod {where} failed with exit code {code} "
                f"matching FailJob rule at index {index}"
            )
    return None


def _is_backing_off(failed: list[Object]) -> bool:
    times = [
        (one["state"].get("terminated") or {}).get("finishedAt")
        for pod in failed
        for one in pod["status"].get("containerStatuses") or ()
    ]
    ended = [time for time in times if time]
    return bool(ended) and _seconds_since(max(ended)) < 10 * 2 ** (len(ended) - 1)


def _count(
    store: Store, job: Object, status: Object, active: list[Object], done: list[Object], failed: list[Object]
) -> None:
    ready = [
        pod
        for pod in active
        if any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in pod["status"].get("conditions") or ()
        )
    ]
    numbers = {"active": len(active), "succeeded": len(done), "failed": len(failed)}
    for name, number in numbers.items():
        if number:
            status[name] = number
        else:
            status.pop(name, None)
    status |= {"ready": len(ready), "terminating": 0, "uncountedTerminatedPods": {}}
    store.set_status("jobs", job, status)
    for pod in [*done, *failed]:
        _release(store, pod)


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment.replace("Z", "+00:00"))).total_seconds()
