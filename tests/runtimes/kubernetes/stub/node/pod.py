"""One pod on the node: its volumes, its containers in order, probes, restarts, status and end."""

from __future__ import annotations

import copy
import shutil
import signal
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..resources import Object
from ..store import Store, now
from . import images as image_names
from .images import Image, Images
from .network import PodNetwork
from .probes import Probe, execute
from .running import Container
from .volumes import NotConfigured, NotMounted, mount, renew, variables

KUBELET = "kubelet"
_TICK_SECONDS = 0.05
_FIRST_BACK_OFF_SECONDS = 10.0
_LONGEST_BACK_OFF_SECONDS = 300.0
_PULL_AGAIN_SECONDS = 10.0
_MOUNT_AGAIN_SECONDS = 0.5
_RENEW_SECONDS = 60.0
"""How often volumes are looked at of a pod that nobody changes."""


class _Slot:
    """A container's place in a pod: its starts, one after the other."""

    def __init__(self, specification: Object) -> None:
        self.specification = specification
        self.name: str = specification["name"]
        self.container: Container | None = None
        self.last: Container | None = None
        self.restarts = 0
        self.waiting = {"reason": "ContainerCreating"}
        self.not_before = 0.0
        self.back_off = _FIRST_BACK_OFF_SECONDS
        self.probes: dict[str, Probe] = {}
        self.image_id = ""

    @property
    def is_running(self) -> bool:
        return self.container is not None and self.container.ended is None

    @property
    def has_succeeded(self) -> bool:
        return bool(self.container and self.container.ended and self.container.ended["exitCode"] == 0)

    @property
    def is_started(self) -> bool:
        probe = self.probes.get("startupProbe")
        return self.is_running and (probe is None or probe.verdict is True)

    @property
    def is_ready(self) -> bool:
        probe = self.probes.get("readinessProbe")
        return self.is_started and (probe is None or probe.verdict is True)


class PodWorker(threading.Thread):
    """Keeps one pod running; ends when the pod is gone and nothing of it is left."""

    def __init__(self, store: Store, images: Images, pod: Object, folder: Path, address: str) -> None:
        super().__init__(name=f"pod-{pod['metadata']['name']}", daemon=True)
        self._store = store
        self._images = images
        self._pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.folder = folder / self.uid
        self._address = address
        self._network: PodNetwork | None = None
        self._volumes: dict[str, Path] | None = None
        self._next_mount = 0.0
        self._next_renewal = 0.0
        self._annotations: Object | None = None
        self._began = time.monotonic()
        self._started_at = now()
        self._over: Object | None = None  # phase, reason and message of a pod that the node ended
        self.is_cut_off = threading.Event()
        self.is_stopped = threading.Event()
        spec = pod["spec"]
        self._first = [_Slot(one) for one in spec.get("initContainers") or ()]
        self._main = [_Slot(one) for one in spec["containers"]]

    # --- what others ask

    def network(self) -> PodNetwork | None:
        """The way into the pod, once it has one."""
        return self._network

    def log_of(self, name: str, *, previous: bool) -> Path | str:
        """The file with a container's log, or why there is none."""
        slot = next((slot for slot in [*self._first, *self._main] if slot.name == name), None)
        pod = self._pod["metadata"]["name"]
        if slot is None:
            return f"container {name} is not valid for pod {pod}"
        if previous:
            return (
                slot.last.log
                if slot.last
                else f'previous terminated container "{name}" in pod "{pod}" not found'
            )
        newest = slot.container or slot.last
        if newest is None:
            why = {
                "ErrImagePull": "image can't be pulled",
                "ImagePullBackOff": "trying and failing to pull image",
            }.get(slot.waiting["reason"], slot.waiting["reason"])
            return f'container "{name}" in pod "{pod}" is waiting to start: {why}'
        return newest.log

    # --- its life

    def run(self) -> None:
        """Until the pod is gone, or the node stops."""
        try:
            while not self.is_stopped.is_set():
                if not self.is_cut_off.is_set() and not self._step():
                    break
                self.is_stopped.wait(_TICK_SECONDS)
        finally:
            self._kill_all()
            if self._network is not None:
                self._network.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _step(self) -> bool:
        metadata = self._pod["metadata"]
        found = self._store.find("pods", metadata["namespace"], metadata["name"])
        if found is None or found["metadata"]["uid"] != self.uid:
            return False
        self._pod = found
        if found["metadata"].get("deletionTimestamp"):
            self._terminate(float(found["metadata"].get("deletionGracePeriodSeconds") or 0))
            self._report()
            self._store.drop("pods", found)
            return False
        if self._over is None:
            self._sync()
        self._report()
        return True

    def _sync(self) -> None:
        deadline = self._pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None and time.monotonic() - self._began > deadline:
            self._over = {
                "phase": "Failed",
                "reason": "DeadlineExceeded",
                "message": "Pod was active on the node longer than the specified deadline",
            }
            self._event("Normal", "DeadlineExceeded", self._over["message"])
            self._terminate(float(self._pod["spec"]["terminationGracePeriodSeconds"]))
            return
        if not self._is_prepared():
            return
        self._renew_volumes()
        for slot in self._first:
            self._keep(slot, restart=self._restart_policy() != "Never", until_success=True)
            if not slot.has_succeeded:
                return
        for slot in self._main:
            self._keep(slot, restart=self._restarts(slot), until_success=False)

    def _restart_policy(self) -> str:
        return str(self._pod["spec"]["restartPolicy"])

    def _restarts(self, slot: _Slot) -> bool:
        policy = self._restart_policy()
        return policy == "Always" or (policy == "OnFailure" and not slot.has_succeeded)

    def _is_prepared(self) -> bool:
        if self._network is None:
            self._network = PodNetwork(self._address)
        if self._volumes is None and time.monotonic() >= self._next_mount:
            try:
                self._volumes = mount(self._store, self._pod, self.folder)
            except NotMounted as error:
                self._next_mount = time.monotonic() + _MOUNT_AGAIN_SECONDS
                self._event("Warning", "FailedMount", str(error))
        return self._volumes is not None

    def _renew_volumes(self) -> None:
        """As a kubelet does: soon after somebody changed the pod, and otherwise now and then."""
        annotations = self._pod["metadata"].get("annotations")
        if annotations == self._annotations and time.monotonic() < self._next_renewal:
            return
        self._annotations, self._next_renewal = annotations, time.monotonic() + _RENEW_SECONDS
        with suppress(NotMounted):
            renew(self._store, self._pod, self.folder)

    # --- containers

    def _keep(self, slot: _Slot, *, restart: bool, until_success: bool) -> None:
        if slot.is_running:
            self._probe(slot)
            return
        if slot.container is not None:
            if (until_success and slot.has_succeeded) or not restart:
                return
            self._put_off(slot)
        if time.monotonic() < slot.not_before:
            return
        image = self._image_for(slot)
        if image is None:
            return
        if self._is_refused(slot, image):
            return
        try:
            given = variables(self._store, self._pod, slot.specification)
        except NotConfigured as error:
            slot.waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
            slot.not_before = time.monotonic() + 1
            self._event("Warning", "Failed", f"Error: {error}")
            return
        self._launch(slot, image, given)

    def _put_off(self, slot: _Slot) -> None:
        """The first restart comes at once; the next ones later and later."""
        ended = slot.container
        assert ended is not None
        if slot.last is not None:
            slot.not_before = time.monotonic() + slot.back_off
            whole = f"{self._pod['metadata']['name']}_{self._pod['metadata']['namespace']}({self.uid})"
            text = f"back-off {_written(slot.back_off)} restarting failed container={slot.name} pod={whole}"
            slot.waiting = {"reason": "CrashLoopBackOff", "message": text}
            slot.back_off = min(2 * slot.back_off, _LONGEST_BACK_OFF_SECONDS)
            self._event(
                "Warning", "BackOff", f"Back-off restarting failed container {slot.name} in pod {whole}"
            )
        slot.last, slot.container = ended, None
        slot.restarts += 1

    def _image_for(self, slot: _Slot) -> Image | None:
        reference, policy = slot.specification["image"], slot.specification["imagePullPolicy"]
        if not image_names.is_reference(reference):
            text = (
                f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": '
                "invalid reference format"
            )
            slot.waiting = {"reason": "InvalidImageName", "message": text}
            slot.not_before = time.monotonic() + _PULL_AGAIN_SECONDS
            self._event("Warning", "InspectFailed", text)
            self._event("Warning", "Failed", "Error: InvalidImageName")
            return None
        image = self._images.find(reference)
        if image is not None:
            slot.image_id = f"{image_names.full_reference(reference).split('@')[0]}@sha256:{'0' * 64}"
            if slot.container is None and slot.last is None:
                self._event("Normal", "Pulled", f'Container image "{reference}" already present on machine')
            return image
        if policy == "Never":
            text = f'Container image "{reference}" is not present with pull policy of Never'
            slot.waiting = {"reason": "ErrImageNeverPull", "message": text}
            self._event("Warning", "ErrImageNeverPull", text)
            slot.not_before = time.monotonic() + 1
            return None
        self._fail_to_pull(slot, reference)
        return None

    def _fail_to_pull(self, slot: _Slot, reference: str) -> None:
        full = image_names.full_reference(reference)
        error = (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{full}": '
            f'failed to resolve reference "{full}": {full}: not found'
        )
        if slot.waiting["reason"] == "ErrImagePull":
            text = f'Back-off pulling image "{reference}": ErrImagePull: {error}'
            slot.waiting = {"reason": "ImagePullBackOff", "message": text}
            slot.not_before = time.monotonic() + _PULL_AGAIN_SECONDS
            self._event("Normal", "BackOff", f'Back-off pulling image "{reference}"')
            self._event("Warning", "Failed", "Error: ImagePullBackOff")
            return
        self._event("Normal", "Pulling", f'Pulling image "{reference}"')
        slot.waiting = {"reason": "ErrImagePull", "message": error}
        slot.not_before = time.monotonic() + 1
        self._event("Warning", "Failed", f'Failed to pull image "{reference}": {error}')
        self._event("Warning", "Failed", "Error: ErrImagePull")

    def _is_refused(self, slot: _Slot, image: Image) -> bool:
        own = slot.specification.get("securityContext") or {}
        pod = self._pod["spec"].get("securityContext") or {}
        not_root = own.get("runAsNonRoot", pod.get("runAsNonRoot"))
        if not_root and own.get("runAsUser", pod.get("runAsUser", image.user)) == 0:
            text = "container has runAsNonRoot and image will run as root"
            text += (
                f' (pod: "{self._pod["metadata"]["name"]}_{self._pod["metadata"]["namespace"]}({self.uid})", '
            )
            text += f"container: {slot.name})"
            slot.waiting = {"reason": "CreateContainerConfigError", "message": text}
            slot.not_before = time.monotonic() + 1
            self._event("Warning", "Failed", f"Error: {text}")
            return True
        return False

    def _launch(self, slot: _Slot, image: Image, given: dict[str, str]) -> None:
        assert self._network is not None
        folder = self.folder / slot.name
        folder.mkdir(parents=True, exist_ok=True)
        mounts = []
        for one in slot.specification.get("volumeMounts") or ():
            source = (self._volumes or {})[one["name"]]
            if one.get("subPath"):
                source = source / one["subPath"]
                if not source.exists():
                    source.mkdir(parents=True)
            is_read_only = bool(one.get("readOnly")) or self._is_fixed(one["name"])
            mounts.append((str(source), one["mountPath"], is_read_only))
        slot.container = Container(
            slot.specification,
            image,
            pod=self._pod,
            folder=folder,
            number=slot.restarts,
            network=self._network.namespace,
            mounts=mounts,
            environment=given,
            identity=uuid.uuid4().hex * 2,
        )
        self._event("Normal", "Created", f"Container created: {slot.name}")
        ended = slot.container.ended
        if ended is not None:
            self._event("Warning", "Failed", f"Error: {ended['message']}")
        else:
            self._event("Normal", "Started", f"Container started: {slot.name}")
        kinds = ("startupProbe", "readinessProbe", "livenessProbe")
        slot.probes = {
            kind: Probe(slot.specification[kind], slot.container, self._network)
            for kind in kinds
            if slot.specification.get(kind)
        }

    def _is_fixed(self, name: str) -> bool:
        volume = next(one for one in self._pod["spec"]["volumes"] if one["name"] == name)
        return bool({"configMap", "secret", "projected", "downwardAPI"} & set(volume)) or bool(
            (volume.get("persistentVolumeClaim") or {}).get("readOnly")
        )

    def _probe(self, slot: _Slot) -> None:
        for kind, probe in slot.probes.items():
            if kind == "startupProbe" and probe.verdict is True:
                continue
            if kind != "startupProbe" and not slot.is_started:
                continue
            if not probe.is_due() or probe.look() or not slot.is_running:
                continue
            what = kind.removesuffix("Probe")
            self._event("Warning", "Unhealthy", f"{what.capitalize()} probe failed: {probe.why}")
            if kind != "readinessProbe" and probe.verdict is False:
                self._event(
                    "Normal", "Killing", f"Container {slot.name} failed {what} probe, will be restarted"
                )
                self._end([slot], float(self._pod["spec"]["terminationGracePeriodSeconds"]))
                return

    # --- ending

    def _terminate(self, grace_seconds: float) -> None:
        for slot in self._running():
            self._event("Normal", "Killing", f"Stopping container {slot.name}")
        self._end(self._running(), grace_seconds)

    def _running(self) -> list[_Slot]:
        return [slot for slot in [*self._first, *self._main] if slot.is_running]

    def _end(self, slots: list[_Slot], grace_seconds: float) -> None:
        """Ask, wait, kill; also a shorter grace that is asked for meanwhile counts."""
        ends = time.monotonic() + grace_seconds
        for slot in slots:
            self._before_stop(slot, ends)
        for slot in slots:
            assert slot.container is not None
            slot.container.signal(signal.SIGTERM)
        while any(slot.is_running for slot in slots) and time.monotonic() < ends:
            if self._is_hurried() or self.is_stopped.is_set():
                break
            self._report()
            time.sleep(_TICK_SECONDS)
        self._kill_all(slots)

    def _before_stop(self, slot: _Slot, ends: float) -> None:
        hook = (slot.specification.get("lifecycle") or {}).get("preStop") or {}
        left = max(0.0, ends - time.monotonic())
        if hook.get("sleep"):
            until = time.monotonic() + min(left, float(hook["sleep"]["seconds"]))
            while time.monotonic() < until and slot.is_running and not self._is_hurried():
                self._probe_quietly(slot)
                self._report()
                time.sleep(_TICK_SECONDS)
        elif hook.get("exec") and slot.container is not None:
            try:
                execute(slot.container, hook["exec"]["command"], left)
            except Exception as error:
                self._event("Warning", "FailedPreStopHook", f"PreStopHook failed: {error}")

    def _probe_quietly(self, slot: _Slot) -> None:
        probe = slot.probes.get("readinessProbe")
        if probe is not None and probe.is_due():
            probe.look()

    def _is_hurried(self) -> bool:
        metadata = self._pod["metadata"]
        found = self._store.find("pods", metadata["namespace"], metadata["name"])
        if found is None or found["metadata"]["uid"] != self.uid:
            return True
        return bool(found["metadata"].get("deletionGracePeriodSeconds") == 0)

    def _kill_all(self, slots: list[_Slot] | None = None) -> None:
        for slot in slots if slots is not None else self._running():
            if slot.container is None:
                continue
            while slot.is_running:
                slot.container.signal(signal.SIGKILL)
                time.sleep(0.01)

    # --- telling

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._store.event(self._pod, kind, reason, message, KUBELET)

    def _report(self) -> None:
        if self.is_cut_off.is_set():
            return
        found = self._store.find("pods", self._pod["metadata"]["namespace"], self._pod["metadata"]["name"])
        if found is None or found["metadata"]["uid"] != self.uid:
            return
        status = copy.deepcopy(found.get("status") or {})
        status |= {
            "hostIP": "192.168.0.1",
            "hostIPs": [{"ip": "192.168.0.1"}],
            "startTime": self._started_at,
            "containerStatuses": [self._status_of(slot) for slot in self._main],
        }
        if self._first:
            status["initContainerStatuses"] = [self._status_of(slot) for slot in self._first]
        if self._network is not None:
            status |= {"podIP": self._address, "podIPs": [{"ip": self._address}]}
        status |= self._over or {"phase": self._phase()}
        status["conditions"] = self._conditions(status)
        self._store.set_status("pods", found, status, KUBELET)

    def _status_of(self, slot: _Slot) -> Object:
        status: dict[str, Any] = {
            "name": slot.name,
            "image": slot.specification["image"],
            "imageID": slot.image_id,
            "ready": slot.has_succeeded if slot in self._first else slot.is_ready,
            "started": slot.is_started,
            "restartCount": slot.restarts,
            "state": slot.container.state() if slot.container else {"waiting": self._waiting_of(slot)},
            "lastState": slot.last.state() if slot.last else {},
        }
        newest = slot.container or slot.last
        if newest is not None:
            status["containerID"] = f"containerd://{newest.identity}"
        return status

    def _waiting_of(self, slot: _Slot) -> Object:
        is_first = slot.waiting == {"reason": "ContainerCreating"}
        if is_first and self._first and not all(one.has_succeeded for one in self._first):
            return {"reason": "PodInitializing"}
        return slot.waiting

    def _phase(self) -> str:
        if any(
            slot.container and slot.container.ended and not slot.has_succeeded for slot in self._first
        ) and (self._restart_policy() == "Never"):
            return "Failed"
        begun = [slot for slot in self._main if slot.container or slot.last]
        if len(begun) < len(self._main):
            return "Pending"
        if all(slot.container and slot.container.ended and not self._restarts(slot) for slot in self._main):
            return "Succeeded" if all(slot.has_succeeded for slot in self._main) else "Failed"
        return "Running"

    def _conditions(self, status: Object) -> list[Object]:
        over = status["phase"] in ("Succeeded", "Failed")
        initialised = all(slot.has_succeeded for slot in self._first)
        unready = [slot.name for slot in self._main if not slot.is_ready]
        why: Object = {}
        if over:
            why = {"reason": "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed"}
        elif unready:
            why = {
                "reason": "ContainersNotReady",
                "message": f"containers with unready status: [{' '.join(unready)}]",
            }
        truths: list[tuple[str, bool, Object]] = [
            ("PodReadyToStartContainers", self._network is not None and self._volumes is not None, {}),
            ("Initialized", initialised, {} if initialised else {"reason": "ContainersNotInitialized"}),
            ("Ready", not unready and not over, why),
            ("ContainersReady", not unready and not over, why),
            ("PodScheduled", True, {}),
        ]
        before = {one["type"]: one for one in status.get("conditions") or ()}
        made = [condition(before.get(kind), kind, truth, more) for kind, truth, more in truths]
        kept = [one for kind, one in before.items() if kind not in {kind for kind, _, _ in truths}]
        return made + kept


def condition(before: Object | None, kind: str, truth: bool, more: Object) -> Object:
    """A condition, which keeps the time of its last change."""
    status = "True" if truth else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else now()
    return {"type": kind, "status": status, "lastTransitionTime": since, **more}


def _written(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
