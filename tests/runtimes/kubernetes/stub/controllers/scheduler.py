"""The scheduler: gives pods to the node, or says why they do not fit."""

from __future__ import annotations

import copy

from ..node.kubelet import NODE, requests, room
from ..node.pod import condition
from ..resources import Object
from ..store import Store

_COMPONENT = "default-scheduler"


class Scheduler:
    """Pods without a node."""

    def run(self, store: Store) -> None:
        """One round."""
        for pod in store.all("pods"):
            if pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
                continue
            why = _misfit(store, pod)
            if why is None:
                self._bind(store, pod)
            else:
                self._refuse(store, pod, why)

    def _bind(self, store: Store, pod: Object) -> None:
        store.edit("pods", pod, lambda found: found["spec"].update(nodeName=NODE))
        bound = store.find("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        assert bound is not None
        _tell(store, bound, True, {})
        text = f"Successfully assigned {pod['metadata']['namespace']}/{pod['metadata']['name']} to {NODE}"
        store.event(pod, "Normal", "Scheduled", text, _COMPONENT)

    def _refuse(self, store: Store, pod: Object, why: str) -> None:
        _tell(store, pod, False, {"reason": "Unschedulable", "message": why})
        if not any(
            one["involvedObject"].get("uid") == pod["metadata"]["uid"] and one["message"] == why
            for one in store.all("events", pod["metadata"]["namespace"])
        ):
            store.event(pod, "Warning", "FailedScheduling", why, _COMPONENT)


def _tell(store: Store, pod: Object, truth: bool, more: Object) -> None:
    status = copy.deepcopy(pod["status"])
    before = next((one for one in status.get("conditions") or () if one["type"] == "PodScheduled"), None)
    others = [one for one in status.get("conditions") or () if one["type"] != "PodScheduled"]
    status["conditions"] = [*others, condition(before, "PodScheduled", truth, more)]
    store.set_status("pods", pod, status, _COMPONENT)


def _misfit(store: Store, pod: Object) -> str | None:
    for volume in pod["spec"].get("volumes") or ():
        claimed = volume.get("persistentVolumeClaim")
        if claimed:
            claim = store.find("persistentvolumeclaims", pod["metadata"]["namespace"], claimed["claimName"])
            if claim is None:
                return _whole(f'persistentvolumeclaim "{claimed["claimName"]}" not found', counted=False)
            if claim.get("status", {}).get("phase") != "Bound":
                return _whole("pod has unbound immediate PersistentVolumeClaims", counted=False)
    node = store.find("nodes", "", NODE)
    if node is None:
        return "no nodes available to schedule pods"
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return _whole("1 node(s) didn't match Pod's node affinity/selector")
    for taint in (node.get("spec") or {}).get("taints") or ():
        if taint["effect"] == "NoSchedule" and not any(
            one.get("key") in (None, taint["key"]) and one.get("effect") in (None, "NoSchedule")
            for one in pod["spec"].get("tolerations") or ()
        ):
            return _whole("1 node(s) had untolerated taint(s)")
    left = room(store.all("pods"))
    short = [f"1 Insufficient {name}" for name, value in requests(pod).items() if value > left.get(name, 0.0)]
    if left["pods"] < 1:
        short.append("1 Too many pods")
    return _whole(", ".join(short)) if short else None


def _whole(why: str, *, counted: bool = True) -> str:
    end = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    if not counted:
        return f"0/1 nodes are available: {why}. {end}"
    if "Insufficient" in why:
        end = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    return f"0/1 nodes are available: {why}. no new claims to deallocate, {end}"
