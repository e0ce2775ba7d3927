"""Processes: recognised with certainty, ended to the last one, and never a stranger."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import psutil  # type: ignore[import-untyped]
import pytest

from airlock.runtimes.local.process import OWNER, die_with_parent, end_all, identify, owned_by

from ..waiting import wait_for

Start = Callable[..., subprocess.Popen[bytes]]

DEAF = "trap '' TERM; echo ready; while :; do sleep 600; done"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a shell that belongs to an owner; what it runs must print a line once it is ready."""
    started: list[subprocess.Popen[bytes]] = []

    def shell(owner: str, command: str = "echo ready; sleep 600") -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["sh", "-c", command],
            env={**os.environ, OWNER: owner},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield shell
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.communicate()


def test_a_process_is_known_by_more_than_its_id() -> None:
    itself = identify(os.getpid())

    assert itself is not None
    assert itself.is_running()
    assert not itself._replace(started=itself.started - 1).is_running()
    assert not itself._replace(boot="the boot before").is_running()


def test_a_process_that_only_waits_to_be_collected_does_not_run() -> None:
    child = subprocess.Popen(["true"])
    wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)

    assert identify(child.pid) is None
    child.wait()


def test_a_name_with_brackets_and_spaces_does_not_confuse(tmp_path: object) -> None:
    script = f"{tmp_path}/a) Z 1 (b"
    os.symlink("/bin/sleep", script)
    child = subprocess.Popen([script, "600"])
    try:
        wait_for(lambda: psutil.Process(child.pid).name() != "python")
        identity = identify(child.pid)
        assert identity is not None
        assert identity.is_running()
    finally:
        child.kill()
        child.wait()


def test_owners_nest_by_prefix(start: Start) -> None:
    first, second = start("/ws//dep-1/job-1/"), start("/ws//dep-1/job-2/")
    other = start("/ws//dep-10/")

    assert first.pid in owned_by("/ws//dep-1/job-1/")
    assert {first.pid, second.pid} <= set(owned_by("/ws//dep-1/"))
    assert other.pid not in owned_by("/ws//dep-1/")
    assert {first.pid, second.pid, other.pid} <= set(owned_by("/ws//"))


def test_end_all_asks_first(start: Start) -> None:
    process = start("/ws//polite/", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")

    end_all("/ws//polite/", grace_seconds=10)

    assert process.wait() == 5


def test_end_all_kills_what_does_not_listen(start: Start) -> None:
    process = start("/ws//deaf/", DEAF)
    began = time.monotonic()

    end_all("/ws//deaf/", grace_seconds=0.3)

    assert time.monotonic() - began >= 0.3
    assert process.wait() == -9
    assert owned_by("/ws//deaf/") == []


def test_end_all_finds_what_left_its_parent_and_its_group(start: Start) -> None:
    start("/ws//escaped/", "setsid sh -c 'sleep 600 & sleep 600' & sleep 0.05; echo ready").wait()
    assert owned_by("/ws//escaped/")

    end_all("/ws//escaped/", grace_seconds=0)

    assert owned_by("/ws//escaped/") == []


def test_end_all_spares_strangers_and_whoever_calls_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = start("/ws//other/")

    end_all("/ws//nobody/", grace_seconds=0)

    assert stranger.poll() is None


def test_a_child_dies_with_its_parent() -> None:
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        middle = os.getpid()
        child = subprocess.Popen(["sleep", "600"], preexec_fn=lambda: die_with_parent(middle))
        os.write(writing, f"{child.pid}\n".encode())
        time.sleep(600)
    child = psutil.Process(int(os.read(reading, 20)))

    os.kill(parent, 9)
    os.waitpid(parent, 0)

    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_child_whose_parent_is_dead_already_does_not_begin() -> None:
    child = os.fork()
    if child == 0:
        die_with_parent(os.getppid() + 1)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
