"""What is on disk: plans, states and logs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from airlock.runtimes.local import folder as local_folder
from airlock.runtimes.local.folder import (
    LOG,
    OLDER_LOG,
    EnvironmentPlan,
    Plan,
    State,
    bound_log,
    last_lines,
    sign_lock,
    supervisor_of,
    write_atomically,
)

ENVIRONMENT = EnvironmentPlan("/environments/1", "/lock", "sha256:1", "/python", "/host", "sha256:2", "/uv")


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan(
        name="dep-1",
        purpose="server",
        digest="sha256:3",
        owner="/ws//dep-1.0123456789abcdef/",
        environment=ENVIRONMENT,
        arguments=["serve"],
        variables={"AIRLOCK_STAGE": "DEV"},
        cpu=1.5,
        memory=2**30,
        grace_seconds=10.0,
        timeout_seconds=0.0,
    )

    plan.write(tmp_path)

    assert Plan.read(tmp_path) == plan
    assert plan.token == "0123456789abcdef"


def test_before_the_first_supervisor_the_state_is_attempt_0(tmp_path: Path) -> None:
    assert State.read(tmp_path) == State(attempt=0, state="starting")
    state = State(
        attempt=3, state="failed", cause="memory", exit_code=-9, port=8080, groups=["/sys/fs/cgroup/a"]
    )
    state.write(tmp_path)
    assert State.read(tmp_path) == state


def test_a_state_that_a_power_failure_emptied_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "state.json").touch()

    assert State.read(tmp_path) == State()


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "document.json", {"number": 1})
    monkeypatch.setattr(Path, "replace", lambda self, target: None)  # killed before the rename

    write_atomically(tmp_path / "document.json", {"number": 2})

    assert json.loads((tmp_path / "document.json").read_text()) == {"number": 1}


def test_who_holds_the_lock_is_known_until_it_ends(tmp_path: Path) -> None:
    assert supervisor_of(tmp_path) is None
    child = os.fork()
    if child == 0:
        sign_lock(os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT))
        os._exit(0)
    os.waitpid(child, 0)
    assert supervisor_of(tmp_path) is None

    sign_lock(os.open(tmp_path / "lock", os.O_RDWR))

    found = supervisor_of(tmp_path)
    assert found is not None
    assert found.pid == os.getpid()


def test_the_last_lines_reach_back_into_the_older_log(tmp_path: Path) -> None:
    assert last_lines(tmp_path, 5) == ""
    (tmp_path / OLDER_LOG).write_text("one\ntwo\n")
    (tmp_path / LOG).write_text("three\nfour\n")

    assert last_lines(tmp_path, 3) == "two\nthree\nfour"
    assert last_lines(tmp_path, 1) == "four"
    assert last_lines(tmp_path, 3, since=len("three\n")) == "four"
    assert last_lines(tmp_path, 3, since=1000) == "three\nfour"


def test_a_broken_character_does_not_hide_the_log(tmp_path: Path) -> None:
    (tmp_path / LOG).write_bytes(b"caf\xe9\nend\n")

    assert last_lines(tmp_path, 2).splitlines()[1] == "end"


def test_a_log_that_grows_is_put_aside_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_folder, "LOG_BYTES", 100)
    with (tmp_path / LOG).open("ab", buffering=0) as log:
        log.write(b"x" * 99 + b"\n")
        bound_log(tmp_path)
        assert not (tmp_path / OLDER_LOG).exists()
        log.write(b"y\n")
        bound_log(tmp_path)
        log.write(b"after\n")

    assert (tmp_path / LOG).read_bytes() == b"after\n"
    assert (tmp_path / OLDER_LOG).read_bytes().endswith(b"y\n")
    assert last_lines(tmp_path, 2) == "y\nafter"
