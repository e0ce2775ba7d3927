"""Limits: what is set where control groups can be made, and what where they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.runtimes.local import limits as local_limits
from airlock.runtimes.local.limits import Limits, describe
from airlock.spec import MiB

ALLOCATE = "import sys; block = bytearray(int(sys.argv[1]) * 2**20); print('had enough')"


def run(limits: Limits, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, preexec_fn=limits.apply, env=limits.variables(), capture_output=True, text=True
    )


@pytest.fixture
def no_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_limits, "_hierarchy", lambda controller: None)


@pytest.fixture
def limits() -> Iterator[Limits]:
    limits = Limits(uuid.uuid4().hex, cpu=0.5, memory=128 * MiB)
    yield limits
    limits.close()
    assert not any(group.exists() for group in limits.groups)


def test_little_memory_is_enough_for_who_needs_little(limits: Limits) -> None:
    assert run(limits, sys.executable, "-c", ALLOCATE, "16").stdout == "had enough\n"
    assert not limits.memory_ran_out()


def test_more_memory_than_the_limit_is_not_given(limits: Limits) -> None:
    ended = run(limits, sys.executable, "-c", ALLOCATE, "512")

    assert ended.returncode != 0
    assert limits.memory_ran_out() or "MemoryError" in ended.stderr


@pytest.mark.usefixtures("no_control_groups")
def test_without_control_groups_each_process_is_limited() -> None:
    limits = Limits("alone", cpu=1, memory=128 * MiB)

    ended = run(limits, sys.executable, "-c", ALLOCATE, "512")

    assert "MemoryError" in ended.stderr
    assert limits.groups == []
    assert not limits.memory_ran_out()


@pytest.mark.usefixtures("no_control_groups")
def test_without_control_groups_memory_that_is_only_reserved_does_not_count() -> None:
    limits = Limits("alone", cpu=1, memory=128 * MiB)
    reserve = "import mmap; mmap.mmap(-1, 2**30, prot=mmap.PROT_READ); print('reserved')"

    assert run(limits, sys.executable, "-c", reserve).stdout == "reserved\n"


@pytest.mark.usefixtures("no_control_groups")
def test_without_control_groups_whole_cores_are_given() -> None:
    program = "import os; print(len(os.sched_getaffinity(0)))"
    available = len(os.sched_getaffinity(0))

    for cpu, cores in ((0.5, 1), (1.5, min(2, available)), (1000, available)):
        limits = Limits("alone", cpu=cpu, memory=512 * MiB)
        assert run(limits, sys.executable, "-c", program).stdout == f"{cores}\n"


@pytest.mark.parametrize(("cpu", "threads"), [(0.25, "1"), (1, "1"), (2, "2"), (2.5, "3")])
def test_libraries_start_as_many_threads_as_there_are_cores_for_them(cpu: float, threads: str) -> None:
    limits = Limits(uuid.uuid4().hex, cpu=cpu, memory=128 * MiB)

    assert limits.variables()["OMP_NUM_THREADS"] == threads
    assert limits.variables()["OPENBLAS_NUM_THREADS"] == threads
    limits.close()


class TestControlGroups:
    """With folders that look like the kernel's, as no machine has both versions."""

    @pytest.fixture
    def version_1(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        own = tmp_path / "own"
        own.mkdir()
        (own / "cgroup.procs").touch()
        monkeypatch.setattr(local_limits, "_own_groups", lambda controller: iter([(1, tmp_path, own)]))
        return own

    @pytest.fixture
    def version_2(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        parent = tmp_path / "app.slice"
        own = parent / "terminal.scope"
        own.mkdir(parents=True)
        for group, controllers in ((parent, "memory cpu pids"), (own, "")):
            (group / "cgroup.procs").touch()
            (group / "cgroup.subtree_control").write_text(controllers)
        monkeypatch.setattr(local_limits, "_own_groups", lambda controller: iter([(2, tmp_path, own)]))
        return parent

    @pytest.fixture
    def kernel(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Fills new groups as the kernel does."""
        mkdir = Path.mkdir

        def make(self: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
            mkdir(self, mode, parents, exist_ok)
            for name in ("memory.swap.max", "memory.oom.group", "memory.memsw.limit_in_bytes"):
                (self / name).touch()
            (self / "memory.events").write_text("low 0\noom_kill 0\n")
            (self / "memory.oom_control").write_text("under_oom 0\noom_kill 0\n")

        monkeypatch.setattr(Path, "mkdir", make)

    @pytest.mark.usefixtures("kernel")
    def test_version_2_is_made_beside_our_own_group(self, version_2: Path) -> None:
        assert "Memory is limited by control groups v2" in describe()

        limits = Limits("dep", cpu=1.5, memory=64 * MiB)

        [group] = set(limits.groups)
        assert group.parent == version_2
        assert (group / "memory.max").read_text() == str(64 * MiB)
        assert (group / "memory.swap.max").read_text() == "0"
        assert (group / "cpu.max").read_text() == "150000 100000"
        (group / "memory.events").write_text("low 0\noom_kill 1\n")
        assert limits.memory_ran_out()

    @pytest.mark.usefixtures("kernel")
    def test_version_1_is_made_inside_our_own_group(self, version_1: Path) -> None:
        limits = Limits("dep", cpu=0.001, memory=64 * MiB)

        [group] = set(limits.groups)
        assert group.parent == version_1
        assert (group / "memory.limit_in_bytes").read_text() == str(64 * MiB)
        assert (group / "memory.memsw.limit_in_bytes").read_text() == str(64 * MiB)
        assert (group / "cpu.cfs_quota_us").read_text() == "1000"  # the least that the kernel takes
        (group / "memory.oom_control").write_text("under_oom 0\noom_kill 2\n")
        assert limits.memory_ran_out()

    @pytest.mark.usefixtures("kernel")
    def test_a_controller_that_is_not_handed_down_is_not_used(self, version_2: Path) -> None:
        (version_2 / "cgroup.subtree_control").write_text("pids")

        limits = Limits("dep", cpu=1, memory=64 * MiB)

        assert limits.groups == []
        assert "RLIMIT_DATA of each process" in describe()
        assert "affinity" in describe()
