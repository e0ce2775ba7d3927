"""A real S3 server on loopback, for tests of files at URLs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from demo.stack import free_ports


@dataclass(frozen=True)
class ObjectStore:
    """Where it listens, and what clients must be told."""

    url: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        assert httpx.put(f"{self.url}/{name}").status_code == 200


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Start moto's S3 server, and end it again.

    :param folder: for its log.
    """
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with (folder / "object-store.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(url, server)
        yield ObjectStore(
            url,
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "only-for-tests",
                "AWS_SECRET_ACCESS_KEY": "only-for-tests",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_REGION": "us-east-1",
            },
        )
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None, "the object store ended"
        assert time.monotonic() < deadline, "the object store did not start"
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
