"""The command line against a server: Airflow's API application, served on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from airlock.cli.app import app
from airlock.registry import Registry
from tests.web.application import (
    PASSWORDS,
    airflow_app,
    anonymous,
    application,
    as_user,
    no_runs,
    registry,
    story,
    token_of,
)

__all__ = ["airflow_app", "anonymous", "as_user", "no_runs", "registry", "story", "token_of"]

Airlock = Callable[..., Result]


@dataclass(frozen=True)
class Server:
    """A server on loopback."""

    url: str


@cache
def running_server() -> Server:
    """Serve the application from a thread, which ends with the test run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(application(), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    )
    threading.Thread(target=server.run, daemon=True).start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    return Server(f"http://127.0.0.1:{port}")


@pytest.fixture
def server(registry: Registry, no_runs: None) -> Server:
    """A server with an empty registry and no DAG runs."""
    return running_server()


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login of another test, or of who runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("AIRLOCK_URL", "AIRLOCK_USERNAME", "AIRLOCK_PASSWORD", "AIRLOCK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run() -> Airlock:
    """Runs one command and returns what it printed."""

    def run_command(*arguments: str, input: str | None = None, **environment: str) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input, env=environment)

    return run_command


@pytest.fixture
def airlock(server: Server, run: Airlock) -> Callable[..., Result]:
    """Runs one command as a person."""

    def as_person(person: str, *arguments: str, input: str | None = None) -> Result:
        login = {
            "AIRLOCK_URL": server.url,
            "AIRLOCK_USERNAME": person,
            "AIRLOCK_PASSWORD": PASSWORDS[person],
        }
        return run(*arguments, input=input, **login)

    return as_person


@pytest.fixture
def include(airflow_app: object) -> Path:
    """The include folder of the server's project."""
    from airlock.orchestration.configuration import load_settings

    return load_settings().include_folder
