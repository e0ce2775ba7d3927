"""Jobs that end before their time, and what they leave behind."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from airlock_host.report import frames
from host.building import MEAN, NUMBERS, build_snapshot, write_numbers
from host.serving.live import wait_for

# Tells that it is at work and never comes back.
STUCK = """
    import os, time
    def score(rows):
        print("a line of the model", flush=True)
        open({at_work!r} + str(os.getpid()), "w").close()
        while True:
            {wait}
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts jobs as processes of their own."""
    started: list[subprocess.Popen[str]] = []

    def start_job(model: Path, *options: str, **job: Any) -> subprocess.Popen[str]:
        write_job(tmp_path, model, **job)
        process = subprocess.Popen(
            [sys.executable, "-m", "airlock_host", "batch", "--job", str(tmp_path / "job.json"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start_job
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def inputs(tmp_path: Path) -> None:
    """Two files, enough for two processes."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_numbers(tmp_path / "in" / f"{name}.parquet", 200_000)


@pytest.fixture
def stuck(tmp_path: Path, inputs: None) -> Path:
    """A model that waits for ever."""
    return build_stuck(tmp_path, "time.sleep(0.01)")


def write_job(folder: Path, model: Path, **job: Any) -> None:
    places = {
        "model": str(model),
        "input": str(folder / "in"),
        "output": str(folder / "out"),
        "result": str(folder / "result.json"),
    }
    (folder / "job.json").write_text(json.dumps({**places, **job}))


def build_stuck(tmp_path: Path, wait: str) -> Path:
    source = STUCK.format(at_work=str(tmp_path / "at_work."), wait=wait)
    return build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)


def at_work(folder: Path, processes: int) -> list[int]:
    """The processes of the job that score, as soon as there are so many."""

    def found() -> list[int]:
        return [int(path.suffix[1:]) for path in folder.glob("at_work.*")]

    wait_for(lambda: len(found()) == processes, "processes at work")
    return found()


def in_session(leader: int) -> list[int]:
    """The processes that a job has left."""
    found = []
    for process in psutil.pids():
        with suppress(ProcessLookupError):
            if os.getsid(process) == leader:
                found.append(process)
    return found


def error(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "result.json").read_text())["error"]
    return told


def reported(output: str) -> Any:
    """What a report says: the last complete set of its frames."""
    found = [line.split(" ") for line in output.splitlines() if line.startswith("airlock-result ")]
    assert [frame[1] for frame in found] == [f"{number}/{len(found)}" for number in range(1, len(found) + 1)]
    return json.loads(zlib.decompress(base64.b64decode("".join(frame[2] for frame in found))))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_all_processes_and_is_told(
    tmp_path: Path, stuck: Path, start: Start, processes: int, number: signal.Signals, code: int
) -> None:
    job = start(stuck, "--report", processes=processes)
    workers = at_work(tmp_path, processes)

    job.send_signal(number)

    output, log = job.communicate(timeout=60)
    assert job.returncode == code, log
    assert error(tmp_path) == {
        "type": "Interrupted",
        "message": f"the job was ended by {number.name} from outside",
    }
    assert reported(output) == {"error": error(tmp_path)}
    assert not any(psutil.pid_exists(worker) for worker in workers)
    assert [*(tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_to_the_whole_group_is_told_as_such(
    tmp_path: Path, stuck: Path, start: Start, number: signal.Signals, code: int
) -> None:
    """As from a terminal: the workers may well be gone before the process that started them acts on it."""
    job = start(stuck, processes=2)
    workers = at_work(tmp_path, 2)

    os.killpg(job.pid, number)

    _, log = job.communicate(timeout=60)
    assert job.returncode == code, log
    assert error(tmp_path)["type"] == "Interrupted"
    assert not any(psutil.pid_exists(worker) for worker in workers)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_over_its_deadline_ends_with_all_processes(
    tmp_path: Path, stuck: Path, start: Start, processes: int
) -> None:
    job = start(stuck, "--deadline", "4", "--report", processes=processes)

    output, log = job.communicate(timeout=60)

    assert job.returncode == 124, log
    assert error(tmp_path) == {
        "type": "DeadlineExceeded",
        "message": "the job took longer than its 4 seconds",
    }
    assert reported(output) == {"error": error(tmp_path)}
    assert "the job took longer than its 4 seconds" in log
    assert in_session(job.pid) == []


def test_a_model_that_catches_everything_ends_too(tmp_path: Path, inputs: None, start: Start) -> None:
    model = build_stuck(tmp_path, "\n            ".join(["try: time.sleep(9)", "except BaseException: pass"]))
    job = start(model, processes=1)
    at_work(tmp_path, 1)

    job.send_signal(signal.SIGINT)

    assert job.wait(60) == 130


@pytest.mark.slow
def test_a_model_that_never_lets_go_of_the_interpreter_ends_after_its_deadline(
    tmp_path: Path, inputs: None, start: Start
) -> None:
    """It cannot even be told then, but the process does not stay."""
    model = build_stuck(tmp_path, "import ctypes; ctypes.PyDLL(None).sleep(600)")
    job = start(model, "--deadline", "4", processes=1)

    _, log = job.communicate(timeout=60)

    assert job.returncode == 1
    assert "Timeout" in log
    assert "in score" in log


def test_processes_that_a_model_forks_have_their_signals_to_themselves(
    tmp_path: Path, inputs: None, start: Start
) -> None:
    source = """
        import multiprocessing
        import time
        def score(rows):
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
            child.start()
            child.terminate()
            child.join()
            assert child.exitcode == -15, child.exitcode
            return rows.mean(axis=1)
    """
    model = build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)
    job = start(model, processes=1, batch_rows=200_000)

    _, log = job.communicate(timeout=60)

    assert job.returncode == 0, log


def test_the_result_is_reported_beside_what_the_model_prints(
    tmp_path: Path, inputs: None, start: Start
) -> None:
    source = """
        import os
        print("airlock-result 1/1 not this one")
        os.write(1, b"a line without end")
        def score(rows):
            return rows.mean(axis=1)
    """
    model = build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)
    job = start(model, "--report", "--deadline", "600", processes=1)

    output, log = job.communicate(timeout=60)

    assert job.returncode == 0, log
    assert reported(output) == json.loads((tmp_path / "result.json").read_text())
    assert reported(output)["rows_out"] == 400_000
    assert "not this one" in log
    assert "a line without end" in log


def test_errors_are_reported_too(tmp_path: Path, start: Start) -> None:
    job = start(tmp_path / "no-model", "--report")

    output, _ = job.communicate(timeout=60)

    assert job.returncode == 1
    assert reported(output) == {"error": error(tmp_path)}
    assert error(tmp_path)["type"] == "SnapshotUnusable"


def test_a_result_that_cannot_be_written_is_still_reported(
    tmp_path: Path, inputs: None, start: Start
) -> None:
    source = "def score(rows):\n    return rows.mean(axis=1)\n"
    model = build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)
    job = start(model, "--report", result="/dev/null/result.json", processes=1)

    output, log = job.communicate(timeout=60)

    assert job.returncode == 1
    assert reported(output)["rows_out"] == 400_000
    assert "airlock-host: the result cannot be written to /dev/null/result.json: " in log.splitlines()[-1]


def test_a_job_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "airlock_host", "check", "--job", str(tmp_path / "none.json"), "--report"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "cannot be read" in reported(ended.stdout)["error"]["message"]


def test_long_results_take_several_lines_of_a_bounded_length() -> None:
    content = json.dumps({"noise": base64.b64encode(os.urandom(30_000)).decode()}).encode()

    lines = frames(content)

    assert len(lines) > 5
    assert all(len(line) < 4096 for line in lines)
    assert reported("".join(lines)) == json.loads(content)


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "inf", "nan"])
def test_a_deadline_is_a_number_of_seconds(tmp_path: Path, seconds: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "airlock_host", "batch", "--job", "x", f"--deadline={seconds}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert f"'{seconds}' is no number of seconds above 0" in ended.stderr


# --- the first process of a container, which gets only those signals that it asks for


def _may_unshare() -> bool:
    tried = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False)
    return tried.returncode == 0


first_process = pytest.mark.skipif(
    shutil.which("unshare") is None or not _may_unshare(), reason="needs the right to make a PID namespace"
)


def _alone(command: list[str], log: Path) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """Start a process as number 1 of a PID namespace."""
    with log.open("wb") as file:
        outer = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", *command], stdout=file, stderr=file
        )
    wait_for(lambda: bool(psutil.Process(outer.pid).children()), "the inner process")
    return outer, psutil.Process(outer.pid).children()[0]


@first_process
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_a_job_that_is_the_first_process(
    tmp_path: Path, stuck: Path, number: signal.Signals, code: int
) -> None:
    write_job(tmp_path, stuck, processes=2)
    command = [sys.executable, "-m", "airlock_host", "batch", "--job", str(tmp_path / "job.json")]
    outer, inner = _alone(command, tmp_path / "log")
    wait_for(lambda: len([*tmp_path.glob("at_work.*")]) == 2, "processes at work")
    workers = inner.children()
    assert len(workers) == 2

    inner.send_signal(number)

    assert outer.wait(60) == code, (tmp_path / "log").read_text()
    assert error(tmp_path)["type"] == "Interrupted"
    assert not any(worker.is_running() for worker in workers)


@first_process
def test_a_server_that_is_the_first_process_finishes_what_was_begun(tmp_path: Path) -> None:
    source = f"""
        import time
        def score(rows):
            open({str(tmp_path / "at_work.")!r} + str(time.monotonic_ns()), "w").close()
            time.sleep(1)
            return rows.mean(axis=1)
    """
    model = build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)
    port = tmp_path / "port"
    outer, inner = _alone(
        [
            *(sys.executable, "-m", "airlock_host", "serve", "--model", str(model)),
            *("--port", "0", "--port-file", str(port)),
        ],
        tmp_path / "log",
    )
    wait_for(port.exists, "the port file")
    url = f"http://127.0.0.1:{int(port.read_text())}"
    wait_for(lambda: httpx.get(f"{url}/v2/health/ready").status_code == 200, "readiness")
    before = len([*tmp_path.glob("at_work.*")])
    with ThreadPoolExecutor(1) as threads:
        record = {entry["name"]: 1.0 for entry in NUMBERS}
        answer = threads.submit(httpx.post, f"{url}/score", json=record, timeout=60)
        wait_for(lambda: len([*tmp_path.glob("at_work.*")]) > before, "a request at work")

        inner.send_signal(signal.SIGTERM)

        assert answer.result().json() == {"mean": 1.0}
    assert outer.wait(60) == 0, (tmp_path / "log").read_text()
