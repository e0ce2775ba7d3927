"""Processes that die while they score."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from airlock_host.batch.run import MANIFEST
from airlock_host.exceptions import WorkerDied
from host.batch.conftest import Run
from host.batch.test_run import everything_in
from host.building import MEAN, NUMBERS, build_snapshot, write_numbers
from host.serving.live import wait_for

# Waits in a batch until a file is gone, and tells by another that it does.
WAITING = """
    import os, time
    def score(rows):
        while os.path.exists("{hold}"):
            open("{waiting}." + str(os.getpid()), "w").close()
            time.sleep(0.01)
        return rows.mean(axis=1)
"""


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A snapshot whose model waits while ``hold`` is in the test's folder; two files to score with it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "hold").touch()
    for name in ("a", "b"):
        write_numbers(tmp_path / "in" / f"{name}.parquet", 300_000)
    source = WAITING.replace("{hold}", str(tmp_path / "hold")).replace("{waiting}", str(tmp_path / "at_work"))
    return build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)


def start(folder: Path, model: Path) -> subprocess.Popen[bytes]:
    """A job as a process of its own."""
    job: dict[str, Any] = {
        "model": str(model),
        "input": str(folder / "in"),
        "output": str(folder / "out"),
        "result": str(folder / "result.json"),
        "processes": 2,
    }
    (folder / "job.json").write_text(json.dumps(job))
    return subprocess.Popen(
        [sys.executable, "-m", "airlock_host", "batch", "--job", str(folder / "job.json")]
    )


def at_work(folder: Path) -> list[int]:
    return [int(path.suffix[1:]) for path in folder.glob("at_work.*")]


def wait_for_workers(folder: Path) -> list[int]:
    wait_for(lambda: len(at_work(folder)) == 2, "two processes at work")
    return at_work(folder)


def test_a_killed_process_ends_the_job_with_a_word_about_it(tmp_path: Path, waiting: Path) -> None:
    job = start(tmp_path, waiting)
    workers = wait_for_workers(tmp_path)
    os.kill(workers[0], signal.SIGKILL)
    assert job.wait(60) == 1
    error = json.loads((tmp_path / "result.json").read_text())["error"]
    assert error["type"] == "WorkerDied"
    assert (
        "was ended by SIGKILL, as the system does when memory runs out, while it scored part-0000"
        in (error["message"])
    )
    wait_for(lambda: not any(psutil.pid_exists(worker) for worker in workers), "the end of all processes")
    assert everything_in(tmp_path / "out") == {}


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_a_killed_job_and_the_next_run_is_whole(
    tmp_path: Path, waiting: Path, signal_number: int
) -> None:
    job = start(tmp_path, waiting)
    workers = wait_for_workers(tmp_path)
    job.send_signal(signal_number)
    job.wait(60)
    wait_for(lambda: not any(psutil.pid_exists(worker) for worker in workers), "the end of all processes")
    assert not list((tmp_path / "out").glob("*.parquet"))
    (tmp_path / "hold").unlink()
    assert start(tmp_path, waiting).wait(120) == 0
    assert everything_in(tmp_path / "out").keys() == {"part-00000.parquet", "part-00001.parquet", MANIFEST}


def test_a_job_killed_between_writing_and_reporting_is_run_again(
    tmp_path: Path, means: Path, score: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash there: all parts are in place, the manifest and the result are not."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_numbers(tmp_path / "in" / f"{name}.parquet", 100)
    score(means)
    complete = everything_in(tmp_path / "out")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("airlock_host.batch.run.write_json", crash)
        with pytest.raises(KeyboardInterrupt):
            score(means)
    assert MANIFEST not in everything_in(tmp_path / "out")
    score(means)
    assert everything_in(tmp_path / "out") == complete


def test_a_process_that_ends_by_itself_is_noticed(tmp_path: Path, score: Run) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_numbers(tmp_path / "in" / f"{name}.parquet", 200_000)
    source = "import os\ndef score(rows):\n    os._exit(7)\n"
    model = build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)
    with pytest.raises(WorkerDied, match=r"ended with code 7, while it scored part-0000"):
        score(model, processes=2)
