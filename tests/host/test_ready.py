"""The health check, as a container runs it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

import airlock_host
from host.building import build_snapshot
from host.serving.live import LiveHost, wait_for

READY = Path(airlock_host.__file__).parent / "ready.py"


def check(*arguments: str) -> tuple[int, str]:
    found = subprocess.run(
        [sys.executable, "-S", "-E", str(READY), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stderr == ""
    return found.returncode, found.stdout.strip()


def port_of(host: LiveHost) -> str:
    return host.url.rpartition(":")[2]


def test_ready_once_the_model_answers(tmp_path: Path, start_host: Callable[..., LiveHost]) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    source = f"""
        import os, time
        def init():
            while os.path.exists({str(hold)!r}):
                time.sleep(0.01)
        def score(rows):
            return rows
    """
    snapshot = build_snapshot(tmp_path / "snapshot", source)
    host = start_host(snapshot)
    assert check(port_of(host)) == (
        1,
        f"not ready: /v2/health/ready on port {port_of(host)} answered 503",
    )
    hold.unlink()
    wait_for(lambda: check(port_of(host)) == (0, ""), "readiness")


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert check(str(port)) == (1, f"not ready: port {port}: Connection refused")


@pytest.mark.parametrize("answer", [b"", b"220 mail.example ESMTP\r\n"])
def test_something_else_listens(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = Thread(target=answer_once)
        thread.start()
        assert check(str(port)) == (1, f"not ready: port {port} answered something that is not HTTP")
        thread.join()


@pytest.mark.parametrize("arguments", [(), ("none",), ("0",), ("80800",)])
def test_no_port(arguments: tuple[str, ...]) -> None:
    assert check(*arguments) == (1, "usage: ready.py PORT")


def test_it_loads_next_to_nothing() -> None:
    """It runs every few seconds beside the model."""
    found = subprocess.run(
        [sys.executable, "-S", "-E", "-X", "importtime", str(READY), "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "socket" in found.stderr
    for heavy in ("ssl", "http.client", "email", "urllib", "airlock_host"):
        assert heavy not in found.stderr
