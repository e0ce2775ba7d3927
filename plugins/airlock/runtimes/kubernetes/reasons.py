"""Why pods do not run: what the cluster says in status, conditions and events, as sentences.

Pure functions over the cluster's JSON. A finding is *final* where waiting does not help: what has to change
is then in somebody's hands. What may get better by itself is told while one waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlock.runtimes.containers.ending import ending
from airlock.runtimes.kubernetes.quantity import bytes_of
from airlock.runtimes.kubernetes.refusals import explained
from airlock.spec import MiB

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """Why a pod does not run.

    :param reason: the cluster's word for it.
    :param is_final: waiting does not help.
    :param has_log: the container said something before it ended.
    """

    reason: str
    message: str
    is_final: bool
    has_log: bool = False


# --- pods

_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_BAD_IMAGE = frozenset(
    {"InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "SignatureValidationFailed"}
)
_IMAGE_IS_NOT_THERE = re.compile(
    r"not found|manifest unknown|name unknown|does not exist|repository name must|no match(ing manifest)? for"
    r"|no matching manifest|invalid reference",
    re.IGNORECASE,
)
_NO_LOGIN = re.compile(
    r"unauthori[sz]ed|authentication|authorization failed|denied|forbidden|no basic auth", re.IGNORECASE
)
_PASSES = re.compile(
    r"time[d -]*out|deadline exceeded|connection (refused|reset)|no such host|temporary|TLS handshake|i/o "
    r"|unexpected EOF|too ?many ?requests|server misbehaving|service unavailable|bad gateway"
    r"|network is unreach|no route to host|\b50[0234]\b|\b429\b",
    re.IGNORECASE,
)
_LOST = {
    "Evicted": "The node evicted the pod",
    "NodeLost": "The pod's node was lost",
    "NodeShutdown": "The pod's node was shut down",
    "Shutdown": "The pod's node was shut down",
    "Terminated": "The pod's node was shut down",
    "Preempting": "The pod had to give way to a more important one",
    "UnexpectedAdmissionError": "The node refused the pod",
    "NodeAffinity": "The node refused the pod",
    "OutOfcpu": "The node refused the pod: it has no processor to spare",
    "OutOfmemory": "The node refused the pod: it has no memory to spare",
    "OutOfpods": "The node refused the pod: it has too many",
    "DeletionByTaintManager": "The pod's node was lost",
    "DeletionByPodGC": "The pod's node was lost",
    "EvictionByEvictionAPI": "The pod was evicted, as when a node is drained",
    "PreemptionByScheduler": "The pod had to give way to a more important one",
    "TerminationByKubelet": "The pod's node ended it",
}
_TROUBLES_BEFORE_THE_START = {
    "FailedMount": "A volume cannot be mounted",
    "FailedAttachVolume": "A volume cannot be attached",
    "FailedCreatePodSandBox": "The node cannot make the pod's sandbox",
    "FailedScheduling": "No node takes the pod",
}


def of_pod(pod: Json, events: Iterable[Json] = ()) -> Finding | None:
    """Why a pod does not run; ``None`` if nothing is known to be wrong with it.

    :param events: of the namespace; those of other objects do not matter.
    """
    return (
        lost(pod)
        or _of_containers(pod)
        or _of_scheduling(pod)
        or (_of_events(pod, events) if _is_before_the_start(pod) else None)
    )


def memory_limit(pod: Json, container: str) -> int:
    """What a container may have, in bytes; 0 if there is no limit."""
    for found in pod.get("spec", {}).get("containers", []):
        if found.get("name") == container:
            return bytes_of(str(found.get("resources", {}).get("limits", {}).get("memory", "")))
    return 0


def lost(pod: Json) -> Finding | None:
    """Why a pod was taken away by its node or the cluster; ``None`` if it was not."""
    status = pod.get("status", {})
    reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    if reason in _LOST and status.get("phase") != "Running":
        return Finding(reason, _with(_LOST[reason], message), is_final=True)
    for condition in status.get("conditions", []):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            reason = str(condition.get("reason", ""))
            known = _LOST.get(reason, "The pod was taken away")
            return Finding(reason, _with(known, str(condition.get("message", ""))), is_final=True)
    if status.get("phase") == "Unknown" or _is_unreachable(pod):
        node = pod.get("spec", {}).get("nodeName", "")
        message = f"The pod's node {node} does not answer; its pods are made elsewhere once it is given up."
        return Finding("NodeLost", message, is_final=False)
    return None


def _is_unreachable(pod: Json) -> bool:
    """Whether the node's controller has taken the pod's readiness away, because nobody hears of the node.

    It only turns the one condition over; the node itself always gives a reason with it.
    """
    ready, containers = condition_of(pod, "Ready") or {}, condition_of(pod, "ContainersReady") or {}
    return ready.get("status") == "False" and not ready.get("reason") and containers.get("status") == "True"


def _of_containers(pod: Json) -> Finding | None:
    status = pod.get("status", {})
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        state = container.get("state", {})
        memory = memory_limit(pod, str(container.get("name", "")))
        found = None
        if "waiting" in state:
            found = _of_waiting(container, state["waiting"], memory)
        elif state.get("terminated", {}).get("exitCode", 0) != 0:
            found = _of_ending(container, state["terminated"], memory)
        elif not container.get("ready", False) and container.get("restartCount", 0):
            found = _of_ending(container, container.get("lastState", {}).get("terminated", {}), memory)
        if found is not None:
            return found
    return None


def _of_waiting(container: Json, waiting: Json, memory: int) -> Finding | None:
    reason, said = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    image = container.get("image", "")
    if reason in _BAD_IMAGE:
        return Finding(reason, _with(f"The image {image} cannot be used ({reason})", said), is_final=True)
    if reason in _NO_IMAGE:
        return _of_pull(reason, image, said)
    if reason == "CrashLoopBackOff":
        return _of_crashes(container, memory)
    if reason == "CreateContainerConfigError":
        message = _with(f"The container cannot be made ({reason})", said)
        return Finding(reason, message, is_final=True)
    if reason in ("CreateContainerError", "RunContainerError"):
        return Finding(reason, _with(f"The container cannot be started ({reason})", said), is_final=False)
    return None


def _of_pull(reason: str, image: str, said: str) -> Finding:
    beginning = _with(f"The image {image} cannot be pulled ({reason})", _last_parts(said, image))
    if _NO_LOGIN.search(said):
        mend = "If the nodes need a login for the registry, name its secret in the runtime's pull_secrets."
        return Finding(reason, f"{beginning} {mend}", is_final=True)
    if _IMAGE_IS_NOT_THERE.search(said):
        mend = "See that it is in the registry that the runtime's images.registry names."
        return Finding(reason, f"{beginning} {mend}", is_final=True)
    # The first failure is told, and the node tries again; where it goes on, it does not mend itself, unless
    # the message speaks of a network.
    is_final = reason == "ImagePullBackOff" and not _PASSES.search(said)
    return Finding(reason, beginning, is_final=is_final)


def _of_crashes(container: Json, memory: int) -> Finding | None:
    last = container.get("lastState", {}).get("terminated", {})
    found = _of_ending(container, last, memory)
    if found is None:
        message = "The container ended again and again, without an error, but it must go on."
        return Finding("CrashLoopBackOff", message, is_final=True, has_log=True)
    return Finding(found.reason, found.message, is_final=True, has_log=True)


def _of_ending(container: Json, terminated: Json, memory: int) -> Finding | None:
    if not terminated:
        return None
    code = int(terminated.get("exitCode", 0))
    reason = str(terminated.get("reason", "Error"))
    if code == 0 and reason != "OOMKilled":
        return None
    how = ending(
        code, out_of_memory=reason == "OOMKilled", memory=memory, said=str(terminated.get("message", ""))
    )
    times = int(container.get("restartCount", 0))
    often = f", {times} times by now" if times > 1 else ""
    message = f"The container {container.get('name', '')} ended with {how.words}{often}."
    if how.cause == "memory":
        most = f"{memory // MiB} MiB" if memory else "its limit"
        message += f" Give the service more memory than {most}, or make the model smaller."
        reason = "OOMKilled"
    return Finding(reason, message, is_final=False, has_log=True)


def _of_scheduling(pod: Json) -> Finding | None:
    for condition in pod.get("status", {}).get("conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason = str(condition.get("reason", ""))
            # An autoscaler may bring a node, and another pod may go.
            message = _with(f"No node takes the pod ({reason})", str(condition.get("message", "")))
            return Finding(reason, message, is_final=False)
    return None


def _of_events(pod: Json, events: Iterable[Json]) -> Finding | None:
    for event in newest_first(events, of=[pod["metadata"]["uid"]]):
        reason = str(event.get("reason", ""))
        if reason in _TROUBLES_BEFORE_THE_START:
            message = _with(f"{_TROUBLES_BEFORE_THE_START[reason]} ({reason})", str(event.get("message", "")))
            return Finding(reason, message, is_final=False)
    return None


def _is_before_the_start(pod: Json) -> bool:
    status = pod.get("status", {})
    return status.get("phase", "Pending") == "Pending" and not any(
        "running" in container.get("state", {}) for container in status.get("containerStatuses", [])
    )


# --- what should make pods and cannot

_MAY_PASS = re.compile(
    r"exceeded quota|failed calling webhook|Internal error|internal error|try again|timed? ?out"
    r"|object has been modified|status unknown for quota|is being terminated",
)


def of_failed_create(said: str) -> Finding:
    """Why the pods of a Deployment or Job cannot even be made.

    :param said: the message of the condition ``ReplicaFailure`` or of the event ``FailedCreate``.
    """
    message, mend = explained(said)
    text = message if mend is None else f"{message} {mend}"
    reason = "ExceededQuota" if "exceeded quota" in said else "FailedCreate"
    return Finding(reason, f"The pods cannot be made: {text}", is_final=not _MAY_PASS.search(said))


def of_deployment(deployment: Json) -> Finding | None:
    """Why a Deployment has no pods; ``None`` if it has some."""
    failure = condition_of(deployment, "ReplicaFailure")
    if failure is None or failure.get("status") != "True":
        return None
    return of_failed_create(str(failure.get("message", "")))


def of_job(job: Json, events: Iterable[Json]) -> Finding | None:
    """Why a Job has no pods; ``None`` if nothing is said of it."""
    for event in newest_first(events, of=[job["metadata"]["uid"]]):
        if event.get("reason") == "FailedCreate":
            return of_failed_create(str(event.get("message", "")))
        if event.get("reason") == "SuccessfulCreate":
            return None
    return None


# --- conditions and events


def condition_of(item: Json, kind: str) -> Json | None:
    """A condition of an object, by its type."""
    found: Json
    for found in item.get("status", {}).get("conditions") or []:
        if found.get("type") == kind:
            return found
    return None


def is_true(item: Json, kind: str) -> bool:
    """Whether a condition of an object holds."""
    condition = condition_of(item, kind)
    return condition is not None and condition.get("status") == "True"


def newest_first(events: Iterable[Json], *, of: Sequence[str]) -> list[Json]:
    """The events of some objects, by their uid."""
    found = [event for event in events if event.get("involvedObject", {}).get("uid") in of]
    return sorted(found, key=_time_of, reverse=True)


def progress_of(pod: Json) -> str:
    """What a pod is doing before it is ready."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        if "running" in container.get("state", {}):
            return "The model is being loaded."
    if pod.get("spec", {}).get("nodeName"):
        return f"The node {pod['spec']['nodeName']} fetches the image and makes the container."
    return "The pod waits for a node."


def _time_of(event: Json) -> str:
    series = event.get("series") or {}
    for found in (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")):
        if found:
            return str(found)
    return str(event.get("metadata", {}).get("creationTimestamp", ""))


def _last_parts(said: str, image: str) -> str:
    """The end of a chain of errors, each of which repeats what it was about."""
    parts = [part for part in " ".join(said.split()).split(": ") if part and (not image or image not in part)]
    return ": ".join(parts[-3:])


def _with(beginning: str, said: str) -> str:
    """A sentence with what the cluster says after it."""
    line = " ".join(said.split()).rstrip(".")
    return f"{beginning}: {line}." if line else f"{beginning}."
