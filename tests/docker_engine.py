"""A Docker engine of the tests' own: the real dockerd, with all that it keeps in one folder.

It needs root, and no network: it has no bridge and sets no firewall rules. Containers on user networks
reach each other, and published ports go through Docker's own proxy process. Several engines run side by side.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker  # type: ignore[import-untyped]
import docker.errors  # type: ignore[import-untyped]

SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 60.0

_LONGEST_SOCKET_PATH = 100
_PREFIX = "airlock-engine-"
_POOL = "10.214.0.0/16"
"""Addresses of networks: of 256, so that bridges which killed test runs left are no harm."""


class NoDocker(RuntimeError):
    """This machine cannot run a Docker engine; the message says what is missing."""


class DockerEngine:
    """One engine, which is not started yet.

    :param folder: where it keeps its images, its containers and its socket; a short path, because sockets
        need one. What is in it is kept over :meth:`stop`, :meth:`kill` and :meth:`start`.
    :param pool: the addresses of its networks, which have 256 each.
    """

    def __init__(self, folder: Path, pool: str = _POOL) -> None:
        self.folder = folder
        self._pool = pool
        self._socket = folder / "engine.sock"
        self._process: subprocess.Popen[bytes] | None = None
        if len(str(folder / "exec/containerd/containerd-debug.sock")) > _LONGEST_SOCKET_PATH:
            raise ValueError(f"{folder} is too long a path for the sockets of an engine")

    @classmethod
    def in_new_folder(cls, pool: str = _POOL) -> DockerEngine:
        """An engine in a new folder for temporary files, which :meth:`remove` removes."""
        return cls(Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")), pool)

    @property
    def url(self) -> str:
        """The engine's address, for clients on this machine."""
        return f"unix://{self._socket}"

    @property
    def log(self) -> Path:
        """What the engine writes."""
        return self.folder / "log"

    def client(self, timeout: float = 60.0) -> docker.APIClient:
        """A new client of this engine."""
        return docker.APIClient(base_url=self.url, version="auto", timeout=timeout)

    def start(self) -> None:
        """Start it, again where it was stopped or killed, and wait until it answers.

        :raises NoDocker: this machine has no dockerd, or may not run it.
        """
        _require_dockerd()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "dockerd.pid").unlink(missing_ok=True)  # of one that was killed
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    f"--host={self.url}",
                    f"--data-root={self.folder / 'data'}",
                    f"--exec-root={self.folder / 'exec'}",
                    f"--pidfile={self.folder / 'dockerd.pid'}",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--bridge=none",
                    f"--default-address-pool=base={self._pool},size=24",
                    "--shutdown-timeout=5",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop it in order: its containers end too, and those that restart come back at the start."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill it, as a crash does: its containers run on until the next start ends them."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            _end_containerd(self.folder)

    def remove(self) -> None:
        """Kill it with all of its containers, and remove its networks and its folder."""
        if self._process is not None:
            with suppress(docker.errors.DockerException, OSError):
                self._remove_networks()
        self.kill()
        _remove(self.folder)

    def _remove_networks(self) -> None:
        """Their bridges would stay on this machine, with their addresses."""
        client = self.client()
        for container in client.containers(all=True):
            with suppress(docker.errors.APIError):
                client.remove_container(container["Id"], force=True, v=True)
        for network in client.networks():
            if network["Driver"] == "bridge":
                client.remove_network(network["Id"])

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            if self._process.poll() is None and self._socket.exists():
                with suppress(docker.errors.DockerException, OSError):
                    self.client().ping()
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
                self.kill()
                raise NoDocker("The Docker engine did not start. It says:\n" + "\n".join(lines))
            time.sleep(0.1)


def remove_leftovers() -> None:
    """Remove the engines of test runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            _remove(folder)


def _require_dockerd() -> None:
    if shutil.which("dockerd") is None:
        raise NoDocker("There is no dockerd here. Run scripts/prepare-test-machine, which installs it.")
    if os.geteuid() != 0:
        raise NoDocker("Only root can start a Docker engine: run these tests as root.")


def _end_containerd(folder: Path) -> None:
    """The kernel kills it with its engine, but a moment later; until then the next engine would take it."""
    while any(process.name == "containerd" for process in _processes_of(folder)):
        time.sleep(0.01)
    # Where nobody collects the dead, its number still seems to be in use.
    (folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    # The engine itself first: it would start again what ends.
    for wanted in ("dockerd", "containerd", ""):
        for process in _processes_of(folder):
            if wanted in process.name:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
    for mount in sorted(_mounts_under(folder), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)


class _Process:
    def __init__(self, pid: int, arguments: list[str]) -> None:
        self.pid = pid
        self.arguments = arguments
        self.name = Path(arguments[0]).name if arguments else ""


def _processes_of(folder: Path) -> Iterator[_Process]:
    """The engine that keeps its things in a folder, its containerd, and what runs in its containers."""
    found: list[_Process] = []
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
            status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
            found.append(_Process(int(entry.name), arguments))
    engines = ("dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2", "docker-proxy")
    own = {
        process.pid
        for process in found
        if process.name in engines and any(str(folder) in part for part in process.arguments)
    }
    for process in found:
        pid = process.pid
        while pid in parents and pid not in own:
            pid = parents[pid]
        if pid in own:
            yield process


def _mounts_under(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if point.startswith(f"{folder}/")]
