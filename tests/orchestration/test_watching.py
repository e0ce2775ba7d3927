"""How a task waits for what it begins on a runtime."""

from __future__ import annotations

import json
import logging
from typing import Any, cast

import pytest

from airlock.exceptions import AdapterError
from airlock.orchestration.watching import MOST_CHARACTERS, MOST_LINES, Begun, Watch, excerpt
from airlock.runtimes.base import Adapter, Job, JobHandle, JobStatus, LogLines


class OneJob:
    """An adapter with one job that logs a line at each look, and ends at one of them."""

    def __init__(self, ends_at: int, state: str = "succeeded") -> None:
        self.submitted = 0
        self.looks = 0
        self.log: list[str] = []
        self.log_is_away = False
        self._ends_at = ends_at
        self._state = state

    def submit(self, job: Job) -> JobHandle:
        self.submitted += 1
        return {"name": job.name}

    def job_status(self, handle: JobHandle) -> JobStatus:
        self.looks += 1
        self.log.append(f"line {self.looks}")
        return JobStatus("running" if self.looks < self._ends_at else cast("Any", self._state))

    def follow(self, handle: JobHandle, position: str | None = None) -> LogLines:
        if self.log_is_away:
            raise AdapterError("The log is away.")
        begin = int(position or 0)
        return LogLines(self.log[begin:], str(len(self.log)))


JOB = Job(name="dep-1-smoke-1-score", command="batch", arguments={})


def watch(runtime: OneJob, begun: Begun, seconds: float) -> JobStatus:
    found = Watch(cast("Adapter", runtime), begun, seconds)
    return found.job(found.submit(JOB), "score")


def shown(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="airlock.orchestration.watching")


def test_each_line_of_the_log_is_shown_once_also_over_a_deferral(caplog: pytest.LogCaptureFixture) -> None:
    runtime, begun = OneJob(ends_at=60), Begun()

    assert watch(runtime, begun, seconds=0.3).state == "running"
    carried = Begun(json.loads(json.dumps(begun.entries)))
    runtime.looks = 60
    assert watch(runtime, carried, seconds=0.3).state == "succeeded"

    assert shown(caplog) == [f"score | {line}" for line in runtime.log]


def test_a_job_that_fails_while_the_task_is_away_is_not_begun_anew() -> None:
    runtime, begun = OneJob(ends_at=2, state="failed"), Begun()
    assert watch(runtime, begun, seconds=0).state == "running"

    assert watch(runtime, Begun(begun.entries), seconds=0).state == "failed"
    assert runtime.submitted == 1

    watch(runtime, Begun(), seconds=0)
    assert runtime.submitted == 2, "a further try begins it anew"


def test_a_log_that_cannot_be_read_is_said_once_and_the_work_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = OneJob(ends_at=5)
    runtime.log_is_away = True

    assert watch(runtime, Begun(), seconds=5).state == "succeeded"

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["score | The log cannot be read: The log is away."]


def test_a_flood_is_cut_and_what_was_left_out_is_counted() -> None:
    lines = [f"line {number}" for number in range(1_000_000)]

    found = list(excerpt(lines))

    assert len(found) == MOST_LINES + 1
    assert found[0] == "line 0"
    assert found[MOST_LINES // 2] == f"({1_000_000 - MOST_LINES:,} lines left out)"
    assert found[-1] == "line 999999"


@pytest.mark.parametrize("count", [0, 1, MOST_LINES - 1, MOST_LINES])
def test_what_is_not_too_much_is_shown_whole(count: int) -> None:
    assert list(excerpt(["x"] * count)) == ["x"] * count


def test_a_very_long_line_is_cut() -> None:
    [line] = excerpt(["x" * 1_000_000])

    assert line == "x" * MOST_CHARACTERS + "… (1,000,000 characters)"
