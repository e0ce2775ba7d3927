"""Deployments and their replica sets: rolling updates, availability, progress."""

from __future__ import annotations

import copy
import time
from datetime import UTC, datetime

from ..resources import Object
from ..store import CONTROLLERS, Store
from .pods import is_ready, make_pod, owned_by, owner_of, portion, set_condition, template_hash

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


class Deployments:
    """Deployment -> ReplicaSet -> Pods."""

    def __init__(self) -> None:
        self._progress: dict[str, tuple[object, float]] = {}

    def run(self, store: Store) -> None:
        """One round."""
        for deployment in store.all("deployments"):
            if not deployment["metadata"].get("deletionTimestamp"):
                self._deploy(store, deployment)
        for replica_set in store.all("replicasets"):
            if not replica_set["metadata"].get("deletionTimestamp"):
                _replicate(store, replica_set)

    def _deploy(self, store: Store, deployment: Object) -> None:
        sets = owned_by(store, "replicasets", deployment)
        hashed = template_hash(deployment["spec"]["template"])
        newest = next((one for one in sets if one["metadata"]["labels"].get(_HASH) == hashed), None)
        if newest is None:
            newest = _make_set(store, deployment, hashed, sets)
            sets.append(newest)
        else:
            _take_annotations(store, deployment, newest)
        _roll(store, deployment, newest, [one for one in sets if one is not newest])
        sets = owned_by(store, "replicasets", deployment)
        self._tell(store, deployment, newest, sets)
        _forget_old(store, deployment, newest, sets)

    def _tell(self, store: Store, deployment: Object, newest: Object, sets: list[Object]) -> None:
        spec, name = deployment["spec"], newest["metadata"]["name"]
        new = (store.find("replicasets", newest["metadata"]["namespace"], name) or newest).get("status", {})
        status = copy.deepcopy(deployment.get("status") or {})
        total = {
            key: sum(one.get("status", {}).get(key, 0) for one in sets)
            for key in ("replicas", "readyReplicas", "availableReplicas")
        }
        status |= {**total, "updatedReplicas": new.get("replicas", 0)}
        status["unavailableReplicas"] = max(
            0, max(spec["replicas"], total["replicas"]) - total["availableReplicas"]
        )
        status["observedGeneration"] = deployment["metadata"]["generation"]
        for key in (
            "replicas",
            "readyReplicas",
            "availableReplicas",
            "updatedReplicas",
            "unavailableReplicas",
        ):
            if not status[key]:
                status.pop(key)
        least = spec["replicas"] - _unavailable(spec)
        if total["availableReplicas"] >= least:
            set_condition(
                status, "Available", True, "MinimumReplicasAvailable", "Deployment has minimum availability."
            )
        else:
            set_condition(
                status,
                "Available",
                False,
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        self._tell_progress(deployment, status, new, name, total)
        _tell_failures(status, sets)
        store.set_status("deployments", deployment, status)

    def _tell_progress(
        self, deployment: Object, status: Object, new: Object, name: str, total: Object
    ) -> None:
        spec, uid = deployment["spec"], deployment["metadata"]["uid"]
        complete = (
            new.get("replicas", 0) == spec["replicas"] == total["replicas"]
            and new.get("availableReplicas", 0) == spec["replicas"]
        )
        seen = (
            name,
            new.get("replicas"),
            new.get("readyReplicas"),
            new.get("availableReplicas"),
            total["replicas"],
        )
        known, since = self._progress.get(uid, (None, 0.0))
        if known != seen:
            self._progress[uid] = (seen, since := time.monotonic())
        limit = spec["progressDeadlineSeconds"]
        if complete:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            set_condition(status, "Progressing", True, "NewReplicaSetAvailable", text)
        elif time.monotonic() - since > limit:
            text = f'ReplicaSet "{name}" has timed out progressing.'
            set_condition(status, "Progressing", False, "ProgressDeadlineExceeded", text)
        else:
            set_condition(
                status, "Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
            )


def _make_set(store: Store, deployment: Object, hashed: str, sets: list[Object]) -> Object:
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = copy.deepcopy(spec["template"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[_HASH] = hashed
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[_HASH] = hashed
    revision = 1 + max((int(one["metadata"]["annotations"].get(_REVISION, 0)) for one in sets), default=0)
    surge = spec["replicas"] if not sets or spec["strategy"]["type"] == "Recreate" else 0
    document = {
        "metadata": {
            "name": f"{metadata['name']}-{hashed}",
            "labels": dict(labels),
            "annotations": _copied(metadata) | {_REVISION: str(revision)},
            "ownerReferences": [owner_of(deployment)],
        },
        "spec": {
            "replicas": 0 if spec["strategy"]["type"] == "Recreate" and sets else surge,
            "selector": selector,
            "template": template,
            "minReadySeconds": spec.get("minReadySeconds", 0),
        },
    }
    made = store.create("replicasets", metadata["namespace"], document, CONTROLLERS)
    _number(store, deployment, str(revision))
    if surge:
        _say_scaled(store, deployment, made, 0, surge)
    return made


def _copied(metadata: Object) -> Object:
    left_out = ("kubectl.kubernetes.io/last-applied-configuration", _REVISION)
    return {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in left_out}


def _take_annotations(store: Store, deployment: Object, newest: Object) -> None:
    revision = newest["metadata"]["annotations"].get(_REVISION)
    wanted = _copied(deployment["metadata"]) | {_REVISION: revision}
    if not wanted.items() <= newest["metadata"]["annotations"].items():
        store.edit("replicasets", newest, lambda found: found["metadata"]["annotations"].update(wanted))
    _number(store, deployment, revision)


def _number(store: Store, deployment: Object, revision: str) -> None:
    if (deployment["metadata"].get("annotations") or {}).get(_REVISION) != revision:
        store.edit(
            "deployments",
            deployment,
            lambda found: found["metadata"].setdefault("annotations", {}).update({_REVISION: revision}),
        )


def _unavailable(spec: Object) -> int:
    if spec["strategy"]["type"] == "Recreate":
        return 0
    rolling = spec["strategy"]["rollingUpdate"]
    least = portion(rolling["maxUnavailable"], spec["replicas"], up=False)
    # Neither more nor fewer would mean that nothing can move.
    return least or (0 if portion(rolling["maxSurge"], spec["replicas"], up=True) else 1)


def _roll(store: Store, deployment: Object, newest: Object, old: list[Object]) -> None:
    spec = deployment["spec"]
    wanted = spec["replicas"]
    if spec["strategy"]["type"] == "Recreate":
        for one in old:
            _scale(store, deployment, one, 0)
        gone = not any(owned_by(store, "pods", one) for one in old)
        if gone:
            _scale(store, deployment, newest, wanted)
        return
    total = newest["spec"]["replicas"] + sum(one["spec"]["replicas"] for one in old)
    most = wanted + portion(spec["strategy"]["rollingUpdate"]["maxSurge"], wanted, up=True)
    if newest["spec"]["replicas"] > wanted:
        _scale(store, deployment, newest, wanted)
    elif newest["spec"]["replicas"] < wanted:
        _scale(store, deployment, newest, min(wanted, newest["spec"]["replicas"] + max(0, most - total)))
    newest = store.find("replicasets", newest["metadata"]["namespace"], newest["metadata"]["name"]) or newest
    new_unavailable = newest["spec"]["replicas"] - newest.get("status", {}).get("availableReplicas", 0)
    total = newest["spec"]["replicas"] + sum(one["spec"]["replicas"] for one in old)
    spare = total - (wanted - _unavailable(spec)) - new_unavailable
    for one in sorted(old, key=lambda one: one.get("status", {}).get("availableReplicas", 0)):
        have = one["spec"]["replicas"]
        # What is not available serves nobody: it goes first, and without regard to the rest.
        idle = have - one.get("status", {}).get("availableReplicas", 0)
        down = min(have, max(idle if spare >= idle else 0, min(have, max(0, spare))))
        if down:
            _scale(store, deployment, one, have - down)
            spare -= down


def _scale(store: Store, deployment: Object, replica_set: Object, replicas: int) -> None:
    before = replica_set["spec"]["replicas"]
    if before != replicas:
        store.edit("replicasets", replica_set, lambda found: found["spec"].update(replicas=replicas))
        _say_scaled(store, deployment, replica_set, before, replicas)


def _say_scaled(store: Store, deployment: Object, replica_set: Object, before: int, after: int) -> None:
    way = "up" if after > before else "down"
    text = f"Scaled {way} replica set {replica_set['metadata']['name']} from {before} to {after}"
    store.event(deployment, "Normal", "ScalingReplicaSet", text, "deployment-controller")


def _tell_failures(status: Object, sets: list[Object]) -> None:
    for one in sets:
        for failure in one.get("status", {}).get("conditions") or ():
            if failure["type"] == "ReplicaFailure":
                set_condition(status, "ReplicaFailure", True, failure["reason"], failure["message"])
                return
    status["conditions"] = [one for one in status["conditions"] if one["type"] != "ReplicaFailure"]


def _forget_old(store: Store, deployment: Object, newest: Object, sets: list[Object]) -> None:
    empty = [
        one
        for one in sets
        if one["metadata"]["name"] != newest["metadata"]["name"]
        and not one["spec"]["replicas"]
        and not one.get("status", {}).get("replicas")
    ]
    empty.sort(key=lambda one: int(one["metadata"]["annotations"].get(_REVISION, 0)))
    for one in empty[: max(0, len(empty) - deployment["spec"]["revisionHistoryLimit"])]:
        store.drop("replicasets", one)


def _replicate(store: Store, replica_set: Object) -> None:
    mine = owned_by(store, "pods", replica_set)
    for pod in mine:
        if pod["status"].get("phase") in ("Failed", "Succeeded"):
            store.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
    alive = [
        pod
        for pod in mine
        if not pod["metadata"].get("deletionTimestamp")
        and pod["status"].get("phase") not in ("Failed", "Succeeded")
    ]
    wanted, failure = replica_set["spec"]["replicas"], ""
    for _ in range(wanted - len(alive)):
        prefix = f"{replica_set['metadata']['name']}-"
        failure = make_pod(store, replica_set, prefix=prefix, component="replicaset-controller")
        if failure:
            break
    # The unready and the young ones go first.
    alive.sort(key=lambda pod: (is_ready(pod), bool(pod["spec"].get("nodeName"))))
    for pod in alive[: max(0, len(alive) - wanted)]:
        store.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        text = f"Deleted pod: {pod['metadata']['name']}"
        store.event(replica_set, "Normal", "SuccessfulDelete", text, "replicaset-controller")
    _tell_set(store, replica_set, failure)


def _tell_set(store: Store, replica_set: Object, failure: str) -> None:
    alive = [
        pod
        for pod in owned_by(store, "pods", replica_set)
        if not pod["metadata"].get("deletionTimestamp")
        and pod["status"].get("phase") not in ("Failed", "Succeeded")
    ]
    least = replica_set["spec"].get("minReadySeconds", 0)
    ready = [pod for pod in alive if is_ready(pod)]
    status = copy.deepcopy(replica_set.get("status") or {})
    status |= {
        "replicas": len(alive),
        "fullyLabeledReplicas": len(alive),
        "readyReplicas": len(ready),
        "availableReplicas": sum(_ready_seconds(pod) >= least for pod in ready),
        "observedGeneration": replica_set["metadata"]["generation"],
    }
    if failure:
        set_condition(status, "ReplicaFailure", True, "FailedCreate", failure)
    elif status.get("conditions") and len(alive) >= replica_set["spec"]["replicas"]:
        status.pop("conditions")
    store.set_status("replicasets", replica_set, status)


def _ready_seconds(pod: Object) -> float:
    since = next(one["lastTransitionTime"] for one in pod["status"]["conditions"] if one["type"] == "Ready")
    return (datetime.now(UTC) - datetime.fromisoformat(since.replace("Z", "+00:00"))).total_seconds()
