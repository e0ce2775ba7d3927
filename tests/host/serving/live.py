"""A host that runs as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

PATIENCE_SECONDS = 60.0


class LiveHost:
    """``python -m airlock_host serve`` on a free port of loopback."""

    def __init__(
        self, snapshot: Path, folder: Path, options: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        folder.mkdir()
        self._port_file = folder / "port"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "airlock_host", "serve", "--model", str(snapshot)),
                    *("--port", "0", "--port-file", str(self._port_file), *options),
                ],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=folder,
            )

    @property
    def log(self) -> str:
        """All it wrote so far."""
        return self._log.read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        """Its base address, as soon as it listens."""
        wait_for(lambda: self._port_file.exists() or self.process.poll() is not None, "the port file")
        assert self._port_file.exists(), self.log
        return f"http://127.0.0.1:{int(self._port_file.read_text(encoding='ascii'))}"

    def ready(self) -> str:
        """Its base address, as soon as its model answers."""
        url = self.url
        wait_for(lambda: httpx.get(f"{url}/v2/health/ready").status_code == 200, "readiness")
        return url

    def kill(self) -> None:
        """End it now, if it still runs."""
        self.process.kill()
        self.process.wait()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds.

    :raises TimeoutError: it did not within a minute.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come about")
        time.sleep(0.02)
