"""Processes of the local kind: recognised with certainty, ended to the last one.

Every process that is started carries its owner in its environment (:data:`OWNER`), and all it starts
inherit it: the workspace, then the deployment, then the job. So whatever was left by a killed supervisor is
found again, also when it left its process group, and no stranger that got a used process id is ever hit.

Standard library only: the supervisor runs without Airlock's dependencies.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

OWNER = "AIRLOCK_OWNER"
"""Variable that names the owner: ``<workspace>//<deployment or job>/[<job>/]``, so owners nest by prefix."""

_PR_SET_PDEATHSIG = 1
_SECONDS_AFTER_KILL = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


class StillRunning(Exception):
    """Processes did not end although they were killed (they hang in the kernel)."""


class Identity(NamedTuple):
    """A process, told apart from a later one with the same id.

    :param started: clock ticks between the machine's boot and the start of the process.
    :param boot: the machine's boot, so that an identity from before a reboot never matches.
    """

    pid: int
    started: int
    boot: str

    def is_running(self) -> bool:
        """Whether this very process runs (one that only waits to be collected does not)."""
        return identify(self.pid) == self


class _Process(NamedTuple):
    pid: int
    parent: int
    started: int


def identify(pid: int) -> Identity | None:
    """The process that has this id now, or ``None`` if none runs."""
    found = _look_at(pid)
    return None if found is None else Identity(pid, found.started, boot())


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; called between fork and exec.

    :param parent: the expected parent: if it is dead already, this process ends here.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def owned_by(owner: str) -> list[int]:
    """Ids of the processes whose owner begins with this, without the one that asks."""
    return [process.pid for process in _processes_of(owner)]


def end_all(owner: str, *, grace_seconds: float) -> None:
    """End every process whose owner begins with this; returns once none is left.

    First each process whose parent is not among them is asked to end (a supervisor ends its own children);
    after the grace time all that are left are killed.

    :raises StillRunning: some could not be killed.
    """
    asked: set[_Process] = set()
    deadline = time.monotonic() + grace_seconds
    pause = 0.005
    while found := list(_processes_of(owner)):
        late = time.monotonic() - deadline
        if late > _SECONDS_AFTER_KILL:
            raise StillRunning(
                f"processes {', '.join(str(process.pid) for process in found)} cannot be killed"
            )
        pids = {process.pid for process in found}
        for process in found:
            if late >= 0:
                _send(process, owner, signal.SIGKILL)
            elif process.parent not in pids and process not in asked:
                asked.add(process)
                _send(process, owner, signal.SIGTERM)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def _processes_of(owner: str) -> Iterator[_Process]:
    own = os.getpid()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != own and _has_owner(int(entry), owner):
            process = _look_at(int(entry))
            if process is not None:
                yield process


def _has_owner(pid: int, owner: str) -> bool:
    """Processes of other users, and those that ended meanwhile, cannot be read: they are not ours."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            variables = stream.read()
    except OSError:
        return False
    return b"\0" + f"{OWNER}={owner}".encode() in b"\0" + variables


def _look_at(pid: int) -> _Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            # The name in brackets may hold anything, also brackets and spaces.
            state, parent, *rest = stream.read().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else _Process(pid, int(parent), int(rest[17]))


def _send(process: _Process, owner: str, number: signal.Signals) -> None:
    """Signal this very process: held by a descriptor, looked at again, and only then signalled."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        # It ended, or the kernel is older than 5.3: then a moment stays in which its id could be reused.
        if _look_at(process.pid) == process:
            _kill(process.pid, number)
        return
    try:
        if _look_at(process.pid) == process and _has_owner(process.pid, owner):
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def boot() -> str:
    """The machine's boot: another after each restart."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()
