"""CPU and memory limits of a process and all it starts, as far as this operating system gives them.

Control groups (version 1 or 2) are used where this user may make one: they limit the host together with its
worker processes. Elsewhere CPU is limited by affinity, and memory by RLIMIT_DATA for each process. Not by
RLIMIT_AS: that one counts addresses, also of shared libraries, of files mapped for reading and of memory that
allocators and thread pools reserve but never touch, so that healthy programs die of it with gigabytes free.

Standard library only: the supervisor runs without Airlock's dependencies.
"""

from __future__ import annotations

import math
import os
import resource
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_PERIOD_MICROSECONDS = 100_000
_SECONDS_TO_EMPTY = 1.0
_SMALLEST_QUOTA_MICROSECONDS = 1_000  # the kernel refuses less
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "ARROW_IO_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


class _Hierarchy(NamedTuple):
    """Where this process may make a control group with a controller in it."""

    version: int
    parent: Path


class Limits:
    """The limits of one deployment or job. Made by its supervisor, applied in the child, closed at the end.

    :param name: like that of no other on this machine.
    :param cpu: cores.
    :param memory: bytes.
    """

    def __init__(self, name: str, *, cpu: float, memory: int) -> None:
        self._cpu = cpu
        self._memory = memory
        self._name = f"airlock-{name}"
        self._groups: dict[str, tuple[int, Path]] = {}
        for controller in ("memory", "cpu"):
            self._make_group(controller)
        self._kills_before = self._kills()

    def apply(self) -> None:
        """Put the calling process under the limits: between fork and exec."""
        for _, group in self._groups.values():
            (group / "cgroup.procs").write_text("0", encoding="ascii")
        if "memory" not in self._groups:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            memory = self._memory if hard == resource.RLIM_INFINITY else min(self._memory, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        if "cpu" not in self._groups:
            os.sched_setaffinity(0, self._cores())

    def variables(self) -> dict[str, str]:
        """Environment variables that keep numeric libraries from starting a thread for every core."""
        return dict.fromkeys(_THREAD_VARIABLES, str(max(1, math.ceil(self._cpu)))) | {
            "OMP_THREAD_LIMIT": str(max(1, math.ceil(self._cpu)))
        }

    def memory_ran_out(self) -> bool:
        """Whether the kernel killed a process for going over the memory limit."""
        return self._kills() > self._kills_before

    @property
    def groups(self) -> list[Path]:
        """The folders of the control groups, to be removed by somebody else if this process is killed."""
        return [group for _, group in self._groups.values()]

    def close(self) -> None:
        """Take the control groups away; every process in them must have ended."""
        remove_groups(self.groups)

    def _make_group(self, controller: str) -> None:
        hierarchy = _hierarchy(controller)
        if hierarchy is None:
            return
        group = hierarchy.parent / self._name
        try:
            group.mkdir(exist_ok=True)
            if controller == "memory":
                self._limit_memory(hierarchy.version, group)
            else:
                self._limit_cpu(hierarchy.version, group)
        except OSError:
            remove_groups([group])
            return  # the other way of limiting is taken
        self._groups[controller] = (hierarchy.version, group)

    def _limit_memory(self, version: int, group: Path) -> None:
        if version == 2:
            _write(group / "memory.max", self._memory)
            _write_if_there(group / "memory.swap.max", 0)
            _write_if_there(group / "memory.oom.group", 1)
        else:
            _write_if_there(group / "memory.memsw.limit_in_bytes", -1)
            _write(group / "memory.limit_in_bytes", self._memory)
            _write_if_there(group / "memory.memsw.limit_in_bytes", self._memory)

    def _limit_cpu(self, version: int, group: Path) -> None:
        quota = max(_SMALLEST_QUOTA_MICROSECONDS, round(self._cpu * _PERIOD_MICROSECONDS))
        if version == 2:
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}", encoding="ascii")
        else:
            _write(group / "cpu.cfs_period_us", _PERIOD_MICROSECONDS)
            _write(group / "cpu.cfs_quota_us", quota)

    def _kills(self) -> int:
        if "memory" not in self._groups:
            return 0
        version, group = self._groups["memory"]
        counters = group / ("memory.events" if version == 2 else "memory.oom_control")
        for line in counters.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0

    def _cores(self) -> list[int]:
        """As many cores as asked for, beginning at one that differs between names."""
        available = sorted(os.sched_getaffinity(0))
        first = zlib.crc32(self._name.encode()) % len(available)
        return (available + available)[first : first + min(len(available), math.ceil(self._cpu))]


def remove_groups(groups: Iterable[Path]) -> None:
    """Remove control groups whose processes have ended; what is gone already is well."""
    deadline = time.monotonic() + _SECONDS_TO_EMPTY
    for group in groups:
        while group.exists():
            try:
                group.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                # The kernel is still taking a killed process down.
                if time.monotonic() > deadline:
                    break
                time.sleep(0.005)


def describe() -> str:
    """Say which limits this operating system gives to this user."""
    memory, cpu = _hierarchy("memory"), _hierarchy("cpu")
    memory_by = f"control groups v{memory.version}" if memory else "RLIMIT_DATA of each process"
    cpu_by = f"control groups v{cpu.version}" if cpu else "affinity, in whole cores"
    return f"Memory is limited by {memory_by}, CPU by {cpu_by}."


def _hierarchy(controller: str) -> _Hierarchy | None:
    for version, mount, group in _own_groups(controller):
        # In version 2 a group that holds processes, such as our own, cannot have limited groups in it: the
        # nearest one above that hands the controller down can.
        for parent in (group, *group.parents) if version == 2 else (group,):
            if not parent.is_relative_to(mount):
                break
            if _hands_down(version, parent, controller):
                return _Hierarchy(version, parent)
    return None


def _hands_down(version: int, parent: Path, controller: str) -> bool:
    if not (os.access(parent, os.W_OK) and os.access(parent / "cgroup.procs", os.W_OK)):
        return False
    if version == 1:
        return True
    try:
        return controller in (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
    except OSError:
        return False


def _own_groups(controller: str) -> Iterator[tuple[int, Path, Path]]:
    """Version, mount point and own group of the hierarchies that could have this controller."""
    try:
        memberships = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in memberships:
        number, controllers, path = line.split(":", 2)
        version = 2 if number == "0" else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for mount in mounts:
            fields, _, kind = mount.partition(" - ")
            root, mount_point = (Path(part) for part in fields.split()[3:5])
            file_system, _, options = kind.split(" ", 2)
            is_it = file_system == "cgroup2" if version == 2 else controller in options.split(",")
            if is_it and Path(path).is_relative_to(root):
                yield version, mount_point, mount_point / Path(path).relative_to(root)


def _write(path: Path, value: int) -> None:
    path.write_text(str(value), encoding="ascii")


def _write_if_there(path: Path, value: int) -> None:
    if path.exists():
        _write(path, value)
