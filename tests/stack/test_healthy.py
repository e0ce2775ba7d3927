"""What Docker's health checks ask, against servers that answer as Airflow's do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.stack import healthy


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("state", "code"), [("healthy", 0), ("unhealthy", 1)])
def test_a_component_is_as_healthy_as_the_api_server_says(
    state: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(200, json.dumps({"triggerer": {"status": state}})) as url:
        monkeypatch.setattr(healthy, "ALL_PARTS", url)
        monkeypatch.setattr(sys, "argv", ["healthy.py", "triggerer"])
        assert healthy.main() == code


@pytest.mark.parametrize("component", ["scheduler", "gateway"])
@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_some_answer_with_a_status_alone(
    component: str, status: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, "") as url:
        monkeypatch.setattr(healthy, component.upper(), url)
        monkeypatch.setattr(sys, "argv", ["healthy.py", component])
        assert healthy.main() == code


def test_nobody_answering_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(Path(healthy.__file__)), "scheduler"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.startswith("scheduler does not answer: ")
    assert not done.stderr
