"""One container from its start to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from airlock.runtimes.local.limits import Limits

from ..quantities import amount
from ..resources import Object
from ..store import now
from .images import Image
from .logs import last_lines, pump

_PROGRAM = Path(__file__).with_name("container.py")
_MACHINE = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")
_NO_LIMIT_MEMORY = 1 << 40
_NO_LIMIT_CPU = 64.0
_OOM_LOOK_SECONDS = 0.02


class Container:
    """A container that was started; what became of it is in ``ended``.

    :param folder: of this container, for its root, log and termination message.
    :param number: how often it was started before.
    """

    def __init__(
        self,
        specification: Object,
        image: Image,
        *,
        pod: Object,
        folder: Path,
        number: int,
        network: str,
        mounts: list[tuple[str, str, bool]],
        environment: dict[str, str],
        identity: str,
    ) -> None:
        self.specification = specification
        self.identity = identity
        self.started_at = now()
        self.began = time.monotonic()
        self.ended: Object | None = None
        self.process: int | None = None
        self.log = folder / f"{number}.log"
        self._killed = False
        self._ran_out = False
        root = folder / f"root-{number}"
        root.mkdir(parents=True)
        self._message = folder / f"message-{number}"
        self._message.write_bytes(b"")
        self._message.chmod(0o666)
        limits = specification["resources"].get("limits") or {}
        self._limits = Limits(
            f"kube-{identity[:16]}",
            cpu=float(amount(limits["cpu"])) if "cpu" in limits else _NO_LIMIT_CPU,
            memory=int(amount(limits["memory"])) if "memory" in limits else _NO_LIMIT_MEMORY,
        )
        document = self._describe(image, pod, root, network, mounts, environment)
        path = folder / f"spec-{number}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        self._start(path)

    def _describe(
        self,
        image: Image,
        pod: Object,
        root: Path,
        network: str,
        mounts: list[tuple[str, str, bool]],
        environment: dict[str, str],
    ) -> dict[str, Any]:
        own, shared = (
            self.specification.get("securityContext") or {},
            pod["spec"].get("securityContext") or {},
        )
        user = own.get("runAsUser", shared.get("runAsUser", image.user))
        group = own.get("runAsGroup", shared.get("runAsGroup", image.group if user == image.user else 0))
        groups = [
            *({shared["fsGroup"]} if "fsGroup" in shared else ()),
            *(shared.get("supplementalGroups") or ()),
        ]
        command = self.specification.get("command") or image.entrypoint
        arguments = self.specification.get("args") or (
            [] if self.specification.get("command") else image.command
        )
        links = {path: os.readlink(path) for path in _MACHINE if os.path.islink(path)}
        folders = [(path, path, True) for path in _MACHINE if os.path.isdir(path) and path not in links]
        folders += [(source, target, True) for target, source in image.folders.items()]
        message = self.specification.get("terminationMessagePath") or "/dev/termination-log"
        return {
            "groups_of_control": [str(group) for group in self._limits.groups],
            "network": network,
            "root": str(root),
            "links": links,
            # Shorter paths first: a mount may stand inside another.
            "mounts": [
                *sorted(folders, key=lambda one: one[1]),
                *sorted(mounts, key=lambda one: one[1]),
                (str(self._message), message, False),
            ],
            "read_only": bool(own.get("readOnlyRootFilesystem")),
            "working_folder": self.specification.get("workingDir") or "/",
            "host_name": pod["metadata"]["name"][:63],
            "groups": groups,
            "gid": group,
            "uid": user,
            "no_new_privileges": own.get("allowPrivilegeEscalation") is False,
            "command": [*command, *arguments],
            "environment": {
                "HOME": "/",
                "HOSTNAME": pod["metadata"]["name"],
                **image.environment,
                **environment,
            },
        }

    def _start(self, path: Path) -> None:
        reading, writing = os.pipe()
        self._runner = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_PROGRAM), "run", str(path), str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            env={},
        )
        os.close(writing)
        assert self._runner.stdout is not None
        self._pump = pump(self._runner.stdout, self.log)
        self._reports = os.fdopen(reading, "r", encoding="utf-8")
        word, _, rest = self._reports.readline().rstrip("\n").partition(" ")
        if word != "started":
            self._runner.wait()
            self._finish(128, "StartError", _start_error(rest))
            return
        # As this process sees it: the runner's only child.
        self.process = int(rest)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        watching = threading.Thread(target=self._watch_memory, daemon=True)
        watching.start()
        _, _, code = self._reports.readline().rstrip("\n").partition(" ")
        self._runner.wait()
        watching.join()
        self._pump.join(timeout=5)
        number = int(code) if code else 137
        if self._ran_out:
            self._finish(137, "OOMKilled", "")
        else:
            self._finish(number, "Completed" if number == 0 else "Error", "")

    def _watch_memory(self) -> None:
        """The node ends the whole container when one process of it goes over the limit."""
        while self._runner.poll() is None:
            self._look_at_memory()
            time.sleep(_OOM_LOOK_SECONDS)
        self._look_at_memory()

    def _look_at_memory(self) -> None:
        if not self._ran_out and self._limits.memory_ran_out():
            self._ran_out = True
            self.signal(signal.SIGKILL)

    def _finish(self, code: int, reason: str, message: str) -> None:
        self._limits.close()
        self._reports.close()
        text = self._message.read_text(encoding="utf-8", errors="replace")[:4096] or message
        fall_back = self.specification.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not text and code != 0 and fall_back:
            text = last_lines(self.log)
        self.ended = {
            "exitCode": code,
            "reason": reason,
            "startedAt": self.started_at,
            "finishedAt": now(),
            "containerID": f"containerd://{self.identity}",
            **({"message": text} if text else {}),
        }

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process; one that has ended needs none."""
        if self.process is not None and self.ended is None:
            try:
                os.kill(self.process, number)
            except ProcessLookupError:
                return

    def state(self) -> Object:
        """As a pod's status holds it."""
        if self.ended is not None:
            return {"terminated": self.ended}
        return {"running": {"startedAt": self.started_at}}


def _start_error(why: str) -> str:
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: "
        f"unable to start container process: error during container init: {why}"
    )
