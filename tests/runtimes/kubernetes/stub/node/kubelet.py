"""The kubelet: a worker for each pod of the node, and the node's own object."""

from __future__ import annotations

import threading
from pathlib import Path

from ..quantities import amount
from ..resources import Object
from ..store import Store, now
from .images import Images
from .pod import KUBELET, PodWorker, condition

NODE = "node-1"
_CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}


class Kubelet(threading.Thread):
    """Runs the pods that were given to the node."""

    def __init__(self, store: Store, images: Images, folder: Path) -> None:
        super().__init__(name="kubelet", daemon=True)
        self._store = store
        self._images = images
        self._folder = folder
        self._workers: dict[str, PodWorker] = {}
        self._is_stopped = threading.Event()
        self._is_lost = False
        self._addresses = 0

    def register(self) -> None:
        """Make the node known."""
        node = {
            "metadata": {
                "name": NODE,
                "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"},
            }
        }
        made = self._store.create("nodes", "", node, KUBELET)
        ready = condition(
            None, "Ready", True, {"reason": "KubeletReady", "message": "kubelet is posting ready status"}
        )
        status = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": [ready]}
        self._store.set_status("nodes", made, status, KUBELET)

    def worker(self, pod: Object) -> PodWorker | None:
        """What runs a pod, if this node can be reached."""
        return None if self._is_lost else self._workers.get(pod["metadata"]["uid"])

    @property
    def is_lost(self) -> bool:
        return self._is_lost

    def lose(self) -> None:
        """Fall silent: the containers go on, and nobody hears of them."""
        self._is_lost = True
        for worker in self._workers.values():
            worker.is_cut_off.set()
        self._tell(False, {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."})

    def come_back(self) -> None:
        """Be heard again."""
        self._is_lost = False
        for worker in self._workers.values():
            worker.is_cut_off.clear()
        self._tell(True, {"reason": "KubeletReady", "message": "kubelet is posting ready status"})

    def _tell(self, is_ready: bool, why: Object) -> None:
        """What the node's controller makes of it: the condition, and the taint."""
        node = self._store.find("nodes", "", NODE)
        assert node is not None
        ready = {
            "type": "Ready",
            "status": "True" if is_ready else "Unknown",
            "lastTransitionTime": now(),
            **why,
        }
        self._store.set_status("nodes", node, {**node["status"], "conditions": [ready]})
        effects = () if is_ready else ("NoSchedule", "NoExecute")
        taints = [{"key": "node.kubernetes.io/unreachable", "effect": effect} for effect in effects]
        self._store.edit("nodes", node, lambda found: found.setdefault("spec", {}).update(taints=taints))
        if is_ready:
            return
        for pod in self._store.all("pods"):
            if pod["spec"].get("nodeName") == NODE and pod["status"].get("conditions"):
                conditions = [
                    {**one, "status": "False", "lastTransitionTime": now()} if one["type"] == "Ready" else one
                    for one in pod["status"]["conditions"]
                ]
                self._store.set_status("pods", pod, {**pod["status"], "conditions": conditions})
                self._store.event(pod, "Warning", "NodeNotReady", "Node is not ready", "node-controller")

    def run(self) -> None:
        """Start a worker for each pod that is new here."""
        while not self._is_stopped.is_set():
            with self._store.changed:
                self._store.changed.wait(0.5)
                pods = self._store.all("pods")
            if self._is_lost:
                continue
            for uid, worker in [*self._workers.items()]:
                if not worker.is_alive():
                    del self._workers[uid]
            for pod in pods:
                is_mine = pod["spec"].get("nodeName") == NODE and pod["metadata"]["uid"] not in self._workers
                if is_mine and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                    self._begin(pod)
                elif is_mine and pod["metadata"].get("deletionTimestamp"):
                    self._store.drop("pods", pod)

    def _begin(self, pod: Object) -> None:
        self._addresses += 1
        address = f"10.244.{self._addresses // 250 % 250}.{self._addresses % 250 + 2}"
        worker = PodWorker(self._store, self._images, pod, self._folder, address)
        self._workers[pod["metadata"]["uid"]] = worker
        worker.start()

    def stop(self) -> None:
        """End every container."""
        self._is_stopped.set()
        for worker in self._workers.values():
            worker.is_stopped.set()
        for worker in [*self._workers.values()]:
            worker.join(timeout=20)


def room(pods: list[Object]) -> dict[str, float]:
    """What the pods on the node leave of it."""
    left = {name: float(amount(value)) for name, value in _CAPACITY.items()}
    for pod in pods:
        if pod["spec"].get("nodeName") == NODE and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            left["pods"] -= 1
            for name, value in requests(pod).items():
                left[name] = left.get(name, 0.0) - value
    return left


def requests(pod: Object) -> dict[str, float]:
    """What a pod asks for."""
    asked: dict[str, float] = {}
    for container in pod["spec"]["containers"]:
        for name, value in (container["resources"].get("requests") or {}).items():
            asked[name] = asked.get(name, 0.0) + float(amount(value))
    return asked
