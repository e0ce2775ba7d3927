"""The stack of docker-compose.yaml, started for real on an engine of the tests' own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import docker  # type: ignore[import-untyped]
import httpx

from demo.stack import PROJECT, StackError, free_ports
from deploy.write_env import filled_in
from tests import base_image
from tests.docker_engine import DockerEngine
from tests.e2e.stack import machine_image

SERVICES = ("postgres", "redis", "registry")
AIRLOCK = ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "gateway")
"""Everything but Kafka and MinIO, which are in no registry of packages."""

LOCKS = ("include/host/checks.lock", "include/models/environment/requirements.lock")
"""The environments that the story's images are made with."""

_PYTHON_IMAGE_OF_MODELS = "python:3.12-slim"
_AIRFLOW_USER = 50_000
_HOME = "/opt/airflow"
_INSIDE_URL = "http://localhost:8080"


class ComposeStack:
    """The stack on images that are made of this machine.

    :param engine: runs the stack and, through its socket, the models.
    :param folder: for its settings; the caller removes it.
    """

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        self.engine = engine
        self.client_of_engine: docker.APIClient = engine.client(timeout=600)
        self.folder = folder
        airflow_port, gateway_port, registry_port = free_ports(3)
        self.url = f"http://127.0.0.1:{airflow_port}"
        self.gateway = f"http://127.0.0.1:{gateway_port}"
        self.settings = {
            **dict.fromkeys(
                ("PYTHON_IMAGE", "POSTGRES_IMAGE", "REDIS_IMAGE", "REGISTRY_IMAGE"),
                machine_image.TAG,
            ),
            "AIRFLOW_PORT": str(airflow_port),
            "AIRFLOW_URL": self.url,
            "API_WORKERS": "1",
            "ARTIFACT_STORE": f"file://{_HOME}/artifacts",
            "BUILD_NETWORK": "host",  # the engine has no way out of its own networks
            "DOCKER_GROUP_ID": str(os.stat(engine.url.removeprefix("unix://")).st_gid),
            "DOCKER_SOCKET": engine.url.removeprefix("unix://"),
            "GATEWAY_PORT": str(gateway_port),
            "PARALLELISM": "6",
            "REGISTRY_PORT": str(registry_port),
            "INCLUDE": str(self._include()),
            "RUNTIMES": str(self._runtimes(registry_port)),
            "UV_OFFLINE": "1",
            "WORKER_CONCURRENCY": "6",
        }
        text = filled_in((PROJECT / ".env.example").read_text(), self.settings)
        (folder / ".env").write_text(text)
        [users] = [line for line in text.splitlines() if line.startswith("FIRST_USERS=")]
        entries = users.partition("=")[2].strip('"').split()
        self.passwords = {entry.split(":")[0]: entry.split(":")[2] for entry in entries}

    def _include(self) -> Path:
        """What the project includes, with patience: this holds the stack, not the speed of the machine."""
        folder = self.folder / "include"
        for kind in ("lifecycles", "policies", "runtimes", "services"):
            shutil.copytree(PROJECT / "include" / kind, folder / kind)
        limits = 0
        for path in (folder / "lifecycles").glob("*.yaml"):
            text, count = re.subn(r"p99_ms: \d+", "p99_ms: 60000", path.read_text())
            path.write_text(text)
            limits += count
        assert limits, "The life cycles of the demo limit no latency any more: copy them as they are."
        return folder

    def _runtimes(self, registry_port: int) -> Path:
        folder = self.folder / "runtimes"
        folder.mkdir()
        for path in (PROJECT / "deploy" / "runtimes").glob("*.yaml"):
            text = path.read_text()
            assert "127.0.0.1:5000" in text
            (folder / path.name).write_text(text.replace("127.0.0.1:5000", f"127.0.0.1:{registry_port}"))
        return folder

    # --- the engine

    def compose(self, *arguments: str) -> str:
        """Run docker-compose with the stack's settings and return what it printed.

        :raises StackError: it failed.
        """
        lines = (self.folder / ".env").read_text().splitlines()
        names = {line.partition("=")[0].lstrip("#") for line in lines}
        environment = {name: value for name, value in os.environ.items() if name not in names}
        command = ["docker-compose", "--env-file", str(self.folder / ".env"), "--project-name", "airlock"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=PROJECT,
            env={**environment, "DOCKER_HOST": self.engine.url, "DOCKER_BUILDKIT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"docker-compose {' '.join(arguments)} failed:\n{done.stdout[-6000:]}")
        return done.stdout

    def build(self) -> None:
        """Make the images: a base image for models, one of this machine's servers, and Airflow's."""
        base_image.make(self.client_of_engine)
        machine_image.make_python(self.client_of_engine, base_image.TAG, _PYTHON_IMAGE_OF_MODELS)
        machine_image.make(self.client_of_engine, base_image.TAG)
        self.compose("build", "prepare")

    def container(self, service: str) -> dict[str, Any]:
        """The container of a service, as the engine describes it."""
        labels = ["com.docker.compose.project=airlock", f"com.docker.compose.service={service}"]
        [found] = self.client_of_engine.containers(all=True, filters={"label": labels})
        return dict(self.client_of_engine.inspect_container(found["Id"]))

    def execute(self, service: str, command: Sequence[str], **environment: str) -> str:
        """Run a command in a service's container and return what it printed.

        :raises StackError: it failed.
        """
        engine = self.client_of_engine
        begun = engine.exec_create(
            self.container(service)["Id"], list(command), environment=environment, workdir=_HOME
        )["Id"]
        output, errors = engine.exec_start(begun, demux=True)
        printed = (output or b"").decode("utf-8", "replace")
        if engine.exec_inspect(begun)["ExitCode"] != 0:
            said = (errors or b"").decode("utf-8", "replace")
            raise StackError(f"{shlex.join(command)} failed in {service}:\n{printed}\n{said}")
        return printed

    # --- what a story asks for

    def migrate(self) -> None:
        """Start what Airflow needs, and let the stack prepare itself."""
        self.compose("up", "--detach", "--no-build", *SERVICES, "prepare")
        self._wait(self._is_prepared, "The stack did not prepare itself", seconds=300)

    def start(self) -> None:
        """Start Airflow, wait until all is healthy, and put data and packages into the volumes."""
        self.compose("up", "--detach", "--no-build", *AIRLOCK)
        self.wait_until(self._is_healthy, "The stack did not get healthy", seconds=300)
        self._put("api-server", PROJECT / "data", "data")
        with tempfile.TemporaryDirectory(prefix="airlock-uv-") as folder:
            self._put("worker", _fetch_packages(Path(folder)), "workspace/uv-cache")

    def client(self, user: str) -> httpx.Client:
        """An HTTP client that is logged in."""
        login = {"username": user, "password": self.passwords[user]}
        token = httpx.post(f"{self.url}/auth/token", json=login, timeout=60)
        token.raise_for_status()
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def airlock(self, user: str, *arguments: str, **environment: str) -> str:
        """Run the command line tool as a user, in the API server's container."""
        login = {
            "AIRLOCK_URL": _INSIDE_URL,
            "AIRLOCK_USERNAME": user,
            "AIRLOCK_PASSWORD": self.passwords[user],
        }
        return self.execute("api-server", ["airlock", *arguments], **login, **environment)

    def wait_until(self, met: Callable[[], Any], otherwise: str, *, seconds: float = 300) -> Any:
        """Wait for a condition; what it returned is returned.

        :raises StackError: it was not met in time, or a component ended.
        """
        return self._wait(met, otherwise, seconds=seconds, needed=(*SERVICES, *AIRLOCK))

    def files(self, folder: str) -> dict[str, int]:
        """The names of a folder's Parquet files, with their sizes in bytes."""
        listed = self.execute("worker", ["sh", "-c", f"cd {shlex.quote(folder)} && wc -c *.parquet"])
        lines = [line.split() for line in listed.splitlines()]
        return {name: int(size) for size, name in lines if name != "total"}

    def stop(self) -> None:
        """Remove all of it: what the runtimes deployed, the stack, its networks and volumes."""
        engine = self.client_of_engine
        for container in engine.containers(all=True, filters={"label": "airlock.project"}):
            engine.remove_container(container["Id"], force=True, v=True)
        self.compose("down", "--volumes", "--timeout", "10")

    def logs(self, lines: int = 40) -> str:
        """The last lines of each service, for whoever has to find out what went wrong."""
        return self.compose("logs", "--no-color", f"--tail={lines}")

    def _wait(
        self, met: Callable[[], Any], otherwise: str, *, seconds: float, needed: Sequence[str] = ()
    ) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            if found := met():
                return found
            for service in needed:
                state = self.container(service)["State"]
                if not state["Running"] and not state["Restarting"]:
                    raise StackError(f"{service} ended:\n{self.compose('logs', '--tail=40', service)}")
            if time.monotonic() >= deadline:
                raise StackError(f"{otherwise} within {seconds:.0f} s.")
            time.sleep(0.5)

    def _is_prepared(self) -> bool:
        state = self.container("prepare")["State"]
        if state["Status"] == "exited" and state["ExitCode"] != 0:
            raise StackError(f"The stack is not prepared:\n{self.compose('logs', '--tail=40', 'prepare')}")
        return bool(state["Status"] == "exited")

    def _is_healthy(self) -> bool:
        states = [self.container(service)["State"] for service in (*SERVICES, *AIRLOCK)]
        return all(state.get("Health", {}).get("Status") == "healthy" for state in states)

    def _put(self, service: str, source: Path, target: str) -> None:
        """Copy a folder into one of Airflow's, as Airflow's own files."""

        def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
            entry.uid, entry.gid, entry.uname, entry.gname = _AIRFLOW_USER, 0, "", ""
            return entry

        with tempfile.TemporaryFile() as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                archive.add(source, target, filter=owned)
            file.seek(0)
            self.client_of_engine.put_archive(self.container(service)["Id"], _HOME, _in_pieces(file))


def _in_pieces(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(1024 * 1024), b"")


def _fetch_packages(folder: Path) -> Path:
    """A cache of uv's with the packages that the story's images need: the worker has no way to an index."""
    cache = folder / "cache"
    for number, lock in enumerate(LOCKS):
        command = ["pip", "install", "--quiet", "--cache-dir", str(cache), "--python", sys.executable]
        command += ["--target", str(folder / str(number)), "--link-mode", "symlink", "--require-hashes"]
        subprocess.run([Path(sys.executable).with_name("uv"), *command, "-r", PROJECT / lock], check=True)
    return cache
