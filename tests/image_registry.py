"""An image registry of the tests' own: the real docker-registry on loopback, where engines ask for no TLS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx

USER = "airlock"
PASSWORD = "only-for-tests"
_BCRYPT = "$2b$05$bj.yBhMvafZNNv2aa4PCjuzYIsUEpfocNZ2JsaI6nIqEPy1N65zse"
"""The password, as docker-registry wants it hashed."""

SECONDS_TO_START = 30.0


class ImageRegistry:
    """One registry, which is not started yet.

    :param folder: where it keeps its images.
    :param asks_for_login: only :data:`USER` with :data:`PASSWORD` may use it.
    """

    def __init__(self, folder: Path, *, asks_for_login: bool = False) -> None:
        self.folder = folder
        self._asks_for_login = asks_for_login
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        """What image names begin with: host and port."""

    def start(self) -> None:
        """Start it, and wait until it answers.

        :raises RuntimeError: this machine has no docker-registry, or it does not start.
        """
        if shutil.which("docker-registry") is None:
            raise RuntimeError("There is no docker-registry here. Run scripts/prepare-test-machine.")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "configuration.json"  # JSON is YAML as well
        configuration.write_text(json.dumps(self._configuration()), encoding="utf-8")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
                self.stop()
                raise RuntimeError(f"docker-registry did not start. It says:\n{log_text[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it; its images are kept."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def tags(self, repository: str) -> list[str]:
        """The tags of one of its repositories; none where it has no such repository."""
        answer = httpx.get(f"http://{self.address}/v2/{repository}/tags/list", auth=(USER, PASSWORD))
        return [] if answer.status_code == 404 else sorted(answer.raise_for_status().json()["tags"] or [])

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://{self.address}/v2/").status_code in (200, 401)
        except httpx.TransportError:
            return False

    def _configuration(self) -> dict[str, object]:
        configuration: dict[str, object] = {
            "version": "0.1",
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "images")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address},
        }
        if self._asks_for_login:
            users = self.folder / "users"
            users.write_text(f"{USER}:{_BCRYPT}\n", encoding="utf-8")
            configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(users)}}
        return configuration
