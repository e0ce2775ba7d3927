"""A server that speaks S3, on a free port of loopback."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow.fs as fs

# moto is in Airlock's own environment of tests.
PYTHON = Path(__file__).parents[2] / ".venv" / "bin" / "python"

_SERVE = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


class ObjectStore:
    """The server, with one bucket, ``loans``.

    :ivar variables: what a process needs to use it.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.variables: Mapping[str, str] = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "no secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.files = fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{port}",
            scheme="http",
            region="us-east-1",
            access_key="tests",
            secret_key="no secret",
            allow_bucket_creation=True,
        )

    def clear(self) -> None:
        """Begin anew."""
        self.let_in()
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()
        self.files.create_dir("loans")

    def refuse(self) -> None:
        """Let nobody in who has no known key: nobody."""
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"0").raise_for_status()

    def let_in(self) -> None:
        """Let everybody in again."""
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"inf").raise_for_status()

    def write(self, key: str, content: bytes) -> None:
        with self.files.open_output_stream(f"loans/{key}", compression=None) as file:
            file.write(content)

    def put(self, key: str, path: Path) -> None:
        self.write(key, path.read_bytes())

    def read(self, key: str) -> bytes:
        with self.files.open_input_stream(f"loans/{key}", compression=None) as file:
            content: bytes = file.read()
            return content

    def everything(self, folder: str = "") -> dict[str, bytes]:
        """All files under a folder, by key."""
        under = f"loans/{folder}".rstrip("/")
        found = self.files.get_file_info(fs.FileSelector(under, recursive=True, allow_not_found=True))
        keys = [entry.path.removeprefix("loans/") for entry in found if entry.is_file]
        return {key: self.read(key) for key in keys}


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A server while the block lasts."""
    assert PYTHON.exists(), f"{PYTHON} is not there: run make first"
    process = subprocess.Popen(
        [str(PYTHON), "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        store = None
        for line in process.stdout:
            if line.strip().isdecimal():
                store = ObjectStore(int(line))
                break
        assert store is not None, "the object store did not start"
        _wait(store)
        yield store
    finally:
        process.kill()
        process.communicate()


def _wait(store: ObjectStore) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            store.clear()
        except (httpx.TransportError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
