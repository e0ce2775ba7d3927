"""The process that serves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from host.building import GOOD, build_snapshot
from host.serving.live import LiveHost, wait_for

StartHost = Callable[..., LiveHost]

# Loads, and scores, only while a file is there: so a test decides how long each takes.
WAITING = """
    import os, time
    def init():
        while os.path.exists(os.environ["HOLD_INIT"]):
            time.sleep(0.01)
    def score(rows):
        open(os.environ["SCORING"], "w").close()
        while os.path.exists(os.environ["HOLD_SCORE"]):
            time.sleep(0.01)
        return [{"score": 0.5, "decision": "yes"}] * len(rows)
"""


@pytest.fixture
def holds(tmp_path: Path) -> dict[str, str]:
    """The files' names, as the model's environment has them; none of the files is there."""
    return {name: str(tmp_path / name.lower()) for name in ("HOLD_INIT", "HOLD_SCORE", "SCORING")}


def test_it_serves_and_says_where(tmp_path: Path, start_host: StartHost) -> None:
    host = start_host(
        build_snapshot(tmp_path / "snapshot"),
        AIRLOCK_SNAPSHOT="loans@3",
        AIRLOCK_DIGEST="sha256:abc",
        AIRLOCK_DEPLOYMENT="dep-1",
    )
    answer = httpx.post(f"{host.ready()}/score", json=GOOD)
    assert answer.json()["decision"] == "yes"
    assert answer.headers["x-airlock-snapshot"] == "loans@3"
    assert answer.headers["x-airlock-deployment"] == "dep-1"


def test_live_while_it_loads_and_ready_after(
    tmp_path: Path, start_host: StartHost, holds: dict[str, str]
) -> None:
    Path(holds["HOLD_INIT"]).touch()
    host = start_host(build_snapshot(tmp_path / "snapshot", WAITING), **holds)
    url = host.url
    assert httpx.get(f"{url}/v2/health/live").status_code == 200
    assert httpx.get(f"{url}/v2/health/ready").status_code == 503
    assert httpx.get(f"{url}/ping").status_code == 503
    Path(holds["HOLD_INIT"]).unlink()
    assert httpx.get(f"{host.ready()}/ping").status_code == 200


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "def init():\n    raise ValueError('no weights')\ndef score(rows): ...",
            "init raised ValueError: no weights",
        ),
        ("def other(): ...", "model.py has no function 'score'"),
    ],
)
def test_a_model_that_does_not_load_ends_it_with_the_reason_last(
    tmp_path: Path, start_host: StartHost, source: str, reason: str
) -> None:
    host = start_host(build_snapshot(tmp_path / "snapshot", source))
    assert host.process.wait(60) == 1
    assert host.log.splitlines()[-1].startswith("airlock-host: ")
    assert reason in host.log.splitlines()[-1]


def test_a_golden_record_that_cannot_be_scored_ends_it(tmp_path: Path, start_host: StartHost) -> None:
    source = "def score(rows):\n    raise KeyError('weights')\n"
    host = start_host(build_snapshot(tmp_path / "snapshot", source, golden=[GOOD]))
    assert host.process.wait(60) == 1
    assert "the first golden record cannot be scored: the model raised KeyError" in host.log.splitlines()[-1]


def test_a_port_that_is_taken_is_named(tmp_path: Path, start_host: StartHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        host = start_host(build_snapshot(tmp_path / "snapshot"), "--port", str(port))
        assert host.process.wait(60) == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in host.log


def test_sigterm_finishes_what_was_begun(
    tmp_path: Path, start_host: StartHost, holds: dict[str, str]
) -> None:
    host = start_host(build_snapshot(tmp_path / "snapshot", WAITING), **holds)
    url = host.ready()
    Path(holds["SCORING"]).unlink()  # the warm-up left it
    Path(holds["HOLD_SCORE"]).touch()
    answers: list[httpx.Response] = []
    client = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/score", json=GOOD, timeout=60))
    )
    client.start()
    wait_for(Path(holds["SCORING"]).exists, "the model at work")
    host.process.send_signal(signal.SIGTERM)
    wait_for(lambda: refuses(url), "the listening socket closed")
    Path(holds["HOLD_SCORE"]).unlink()
    client.join(60)
    assert answers[0].json() == {"score": 0.5, "decision": "yes"}
    assert host.process.wait(60) == 0


def test_a_model_that_never_answers_does_not_keep_it_from_ending(
    tmp_path: Path, start_host: StartHost, holds: dict[str, str]
) -> None:
    host = start_host(build_snapshot(tmp_path / "snapshot", WAITING), "--drain-seconds", "1", **holds)
    url = host.ready()
    Path(holds["SCORING"]).unlink()
    Path(holds["HOLD_SCORE"]).touch()

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(f"{url}/score", json=GOOD, timeout=60)

    client = threading.Thread(target=ask)
    client.start()
    wait_for(Path(holds["SCORING"]).exists, "the model at work")
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(60) == 1
    assert "the model was still at work 1 seconds after the end was asked for" in host.log
    client.join(60)


def test_sigterm_ends_it_while_it_loads(tmp_path: Path, start_host: StartHost, holds: dict[str, str]) -> None:
    Path(holds["HOLD_INIT"]).touch()
    host = start_host(build_snapshot(tmp_path / "snapshot", WAITING), **holds)
    httpx.get(f"{host.url}/v2/health/live")
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(60) == 0


def test_a_long_score_does_not_keep_health_waiting(
    tmp_path: Path, start_host: StartHost, holds: dict[str, str]
) -> None:
    host = start_host(build_snapshot(tmp_path / "snapshot", WAITING), **holds)
    url = host.ready()
    Path(holds["SCORING"]).unlink()
    Path(holds["HOLD_SCORE"]).touch()
    client = threading.Thread(target=lambda: httpx.post(f"{url}/score", json=GOOD, timeout=60))
    client.start()
    wait_for(Path(holds["SCORING"]).exists, "the model at work")
    assert httpx.get(f"{url}/v2/health/live", timeout=10).status_code == 200
    assert httpx.get(f"{url}/metrics", timeout=10).status_code == 200
    Path(holds["HOLD_SCORE"]).unlink()
    client.join(60)


def test_a_request_whose_caller_left_without_an_answer_is_counted_once(
    tmp_path: Path, start_host: StartHost, holds: dict[str, str]
) -> None:
    host = start_host(build_snapshot(tmp_path / "snapshot", WAITING), **holds)
    url = host.ready()
    Path(holds["HOLD_SCORE"]).touch()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/score", json=GOOD, timeout=0.5)
    wait_for(lambda: counted(url) == {"499": 1.0}, "the count while the model hangs")

    Path(holds["HOLD_SCORE"]).unlink()
    assert httpx.post(f"{url}/score", json=GOOD, timeout=60).status_code == 200
    assert counted(url) == {"499": 1.0, "200": 1.0}, "the model has answered both since"


def counted(url: str) -> dict[str, float]:
    """Requests by code."""
    lines = httpx.get(f"{url}/metrics", timeout=60).text.splitlines()
    found = [line for line in lines if line.startswith("airlock_requests_total{")]
    return {line.split('code="')[1].split('"')[0]: float(line.split()[-1]) for line in found}


def test_a_client_that_leaves_early_leaves_no_trace(tmp_path: Path, start_host: StartHost) -> None:
    host = start_host(build_snapshot(tmp_path / "snapshot"))
    url = httpx.URL(host.ready())
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    assert httpx.post(f"{url}/score", json=GOOD).status_code == 200
    assert "Traceback" not in host.log


def test_a_folder_that_is_no_snapshot_is_told(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "airlock_host", "serve", "--model", str(tmp_path), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith(
        f"{tmp_path} is not a materialised snapshot: .airlock/manifest.json is not there"
    )


def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        httpx.get(f"{url}/ping", timeout=1)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False
