"""What a job says while it scores."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from airlock_host.batch.progress import Progress, wait_seconds
from host.batch.conftest import Run
from host.building import write_numbers


class Clock:
    """Shows what it is set to, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rows_rate_and_time_to_go() -> None:
    clock = Clock()
    progress = Progress(1_000_000, clock=clock)
    clock.now += 12
    assert progress.in_words() == "the model is still loading, after 12 s"
    progress.loaded()
    assert progress.seconds_loading == 12
    clock.now += 10
    assert progress.in_words() == "0 of 1,000,000 rows (0%), 0 a second"
    progress.scored(25_000)
    assert progress.in_words() == "25,000 of 1,000,000 rows (2%), 2,500 a second, about 6 min to go"
    clock.now += 10
    progress.scored(800_000)
    assert progress.in_words() == "825,000 of 1,000,000 rows (82%), 41,250 a second, about 4 s to go"
    progress.scored(175_000)
    assert progress.in_words() == "1,000,000 of 1,000,000 rows (100%), 50,000 a second"


def test_a_slow_model_and_an_input_of_unknown_length() -> None:
    clock = Clock()
    progress = Progress(None, clock=clock)
    progress.loaded()
    clock.now += 10_000
    progress.scored(25_000)
    assert progress.in_words() == "25,000 rows, 2.5 a second"


def test_it_tells_less_often_the_longer_it_takes() -> None:
    assert [wait_seconds(seconds) for seconds in (0, 50, 100, 600, 36_000)] == [5, 5, 10, 60, 60]


def test_a_job_can_be_followed_in_its_log(
    tmp_path: Path, means: Path, score: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the model says nothing, and to its end."""
    monkeypatch.setattr("airlock_host.batch.progress._LEAST_SECONDS", 0.001)
    (tmp_path / "in").mkdir()
    write_numbers(tmp_path / "in" / "a.parquet", 200_000)
    with caplog.at_level(logging.INFO):
        score(means, batch_rows=1000)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "scoring 200,000 rows in 1 parts with loans, 1 at the same time"
    assert any(line.startswith("the model is loaded, after ") for line in said)
    assert any(" of 200,000 rows (" in line for line in said)
    assert said[-1].startswith("scored 200,000 rows, 0 of them rejected, into 1 files in ")
