"""A whole Airflow on this machine's loopback, with Airlock's gateway beside it.

The demo runs on it, and so do the end-to-end tests.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import httpx

PROJECT = Path(__file__).resolve().parents[1]
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer", "gateway")

# Passwords of a demo on loopback, shown to whoever starts it.
PEOPLE = {"ada": "admin", "dana": "user", "rita": "user", "omar": "user"}


class StackError(Exception):
    """A component did not start; the message holds the last lines of its log."""


@dataclass
class AirflowStack:
    """Starts the components as children of this process and ends them again, with everything they started.

    :param home: AIRFLOW_HOME; the databases, logs, artifacts and workspace lie in it.
    :param dags: the DAG folder.
    :param include: the include folder.
    :param database_url: Airflow's own database; SQLite under ``home`` by default.
    :param registry_url: Airlock's registry; SQLite under ``home`` by default.
    :param options: more environment variables (``AIRFLOW__SECTION__KEY``).
    """

    home: Path
    dags: Path = PROJECT / "dags"
    include: Path = PROJECT / "include"
    database_url: str | None = None
    registry_url: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    gateway_port: int | None = None
    components: tuple[str, ...] = COMPONENTS
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = self.home.resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        ports = free_ports(5)
        self.port = self.port or ports[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.gateway_port = self.gateway_port or ports[4]
        self.gateway = f"http://127.0.0.1:{self.gateway_port}"
        self.passwords = {name: f"{name}-{secrets.token_hex(4)}" for name in PEOPLE}
        self.environment = self._environment(ports)

    def _environment(self, ports: list[int]) -> dict[str, str]:
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps(self.passwords))
        passwords.chmod(0o600)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW_", "AIRLOCK_")) and name != "PYTHONDONTWRITEBYTECODE"
        }
        own = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{u}:{r}" for u, r in PEOPLE.items()),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.home / "bundles"),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database_url or f"sqlite:///{self.home}/airflow.db",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports[1]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports[2]),
            # A chain of short tasks waits for the scheduler's idle sleep otherwise (1 s for each task).
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(ports[3]),
            "AIRFLOW__AIRLOCK__INCLUDE_FOLDER": str(self.include),
        }
        if self.registry_url:
            own["AIRFLOW__AIRLOCK__DATABASE_URL"] = self.registry_url
        return {**inherited, **own, **self.options}

    @property
    def workspace(self) -> Path:
        """Where local runtimes keep their deployments."""
        return self.home / "airlock" / "workspace"

    @property
    def registry_database_url(self) -> str:
        """The registry's SQLAlchemy URL."""
        return self.environment.get(
            "AIRFLOW__AIRLOCK__DATABASE_URL", f"sqlite:///{self.home}/airlock/registry.db"
        )

    @staticmethod
    def program(name: str) -> Path:
        """A program of this virtual environment."""
        return Path(sys.executable).with_name(name)

    def migrate(self) -> None:
        """Create or upgrade Airflow's database."""
        self.run("airflow", "db", "migrate")

    def run(self, program: str, *arguments: str, **environment: str) -> str:
        """Run one command of this virtual environment to its end and return what it printed.

        :raises StackError: it failed.
        """
        done = subprocess.run(
            [str(self.program(program)), *arguments],
            env={**self.environment, **environment},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"{program} {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def airlock(self, user: str, *arguments: str, **environment: str) -> str:
        """Run the command line tool as a user and return what it printed.

        :raises StackError: it failed.
        """
        login = {
            "AIRLOCK_URL": self.url,
            "AIRLOCK_USERNAME": user,
            "AIRLOCK_PASSWORD": self.passwords[user],
        }
        return self.run("airlock", *arguments, **login, **environment)

    def files(self, folder: str) -> dict[str, int]:
        """The Parquet files in a folder of the project: names and sizes in bytes."""
        return {path.name: path.stat().st_size for path in (PROJECT / folder).glob("*.parquet")}

    def start(self) -> None:
        """Start all components and wait until the API server and the scheduler are healthy."""
        for component in self.components:
            self.start_component(component)
        self.wait_until(self._healthy, "Airflow did not get healthy", seconds=180)

    def start_component(self, component: str) -> None:
        """Start one component in a session of its own, so that Ctrl-C reaches only this process."""
        with self._log(component) as log:
            self._processes[component] = subprocess.Popen(
                self._command(component),
                env={**self.environment, "AIRFLOW__AIRLOCK__DATABASE_URL": self.registry_database_url},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _command(self, component: str) -> list[str]:
        if component != "gateway":
            return [str(self.program("airflow")), component]
        options = ["--port", str(self.gateway_port), "--folder", str(self.home / "gateway")]
        return [str(self.program("airlock")), "gateway", *options]

    def stop(self) -> None:
        """End every component with all its children, and everything that local runtimes still run."""
        for process in reversed(self._processes.values()):
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + 15
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()
        for process in self._processes.values():
            _signal_group(process, signal.SIGKILL)  # workers that outlived their scheduler
        self._processes.clear()
        from airlock.runtimes.local.adapter import stop_all

        stop_all(self.workspace)

    def stop_component(self, component: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End one component with its children."""
        process = self._processes.pop(component)
        _signal_group(process, how)
        process.wait(30)
        _signal_group(process, signal.SIGKILL)

    def pid(self, component: str) -> int:
        """Process id of a component; its process group has the same."""
        return self._processes[component].pid

    def client(self, user: str) -> httpx.Client:
        """An HTTP client that is logged in."""
        token = httpx.post(
            f"{self.url}/auth/token",
            json={"username": user, "password": self.passwords[user]},
            timeout=30,
        )
        token.raise_for_status()
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token.json()['access_token']}"},
            timeout=60,
        )

    def wait_until(self, met: Callable[[], Any], otherwise: str, *, seconds: float = 300) -> Any:
        """Wait for a condition; what it returned is returned.

        :raises StackError: it was not met in time, or a component ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            if found := met():
                return found
            for component, process in self._processes.items():
                if process.poll() is not None:
                    raise StackError(f"{component} ended:\n{self.log_tail(component)}")
            if time.monotonic() >= deadline:
                raise StackError(f"{otherwise} within {seconds:.0f} s.")
            time.sleep(0.1)

    def log_tail(self, component: str, lines: int = 40) -> str:
        """The end of a component's log."""
        text = (self.home / "logs" / f"{component}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _healthy(self) -> bool:
        try:
            health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5)
        except httpx.TransportError:
            return False
        if health.status_code != 200:
            return False
        parts = health.json()
        named = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
        return all(
            parts[named[component]]["status"] == "healthy"
            for component in self.components
            if component in named
        )

    def _log(self, component: str) -> IO[bytes]:
        folder = self.home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / f"{component}.log").open("ab")

    def __enter__(self) -> AirflowStack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a component and all that it started, which share its process group."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
