"""What the benchmarks over REST share: servers as processes, and a client that puts them under load.

The client is a process of its own. On each of its connections it sends one request after the other; each has
to be answered with 200.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

BLAS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""One thread for the model: servers are measured with one process."""


@dataclass(frozen=True)
class Request:
    """A body of JSON that is posted to a server of this machine."""

    port: int
    path: str
    body: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextlib.contextmanager
def started(
    command: list[str], log: Path, environment: Mapping[str, str], folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server as a process; it ends with what it started.

    :param folder: the one it is started in.
    """
    # Some servers start programs of their own environment by their names.
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **BLAS, "PATH": path, **environment},
            stdout=output,
            stderr=output,
            cwd=folder,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    import psutil

    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def ask(request: Request, seconds: float = 30.0) -> bytes:
    """The answer to one request.

    :raises OSError: there is none, or it is an error.
    """
    post = urllib.request.Request(
        f"http://127.0.0.1:{request.port}{request.path}",
        data=request.body.encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(post, timeout=seconds) as answer:
        body: bytes = answer.read()
    return body


def load(request: Request, connections: int, seconds: float, pid: int) -> dict[str, float]:
    """Put a server under load from a process of its own.

    :param pid: of the process whose time is counted, with that of its children.
    :raises CalledProcessError: an answer was not 200.
    """
    task = {**asdict(request), "connections": connections, "seconds": seconds}
    before = processor_seconds(pid)
    ended = subprocess.run(
        [sys.executable, __file__], input=json.dumps(task).encode(), stdout=subprocess.PIPE, check=True
    )
    result: dict[str, float] = json.loads(ended.stdout)
    used = processor_seconds(pid) - before
    return {
        "requests": result["requests"],
        "requests_per_second": result["requests"] / result["seconds"],
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
        "processor_ms": used / result["requests"] * 1000,
    }


def processor_seconds(pid: int) -> float:
    """Of a process and its children so far."""
    import psutil

    parent = psutil.Process(pid)
    times = [one.cpu_times() for one in (parent, *parent.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def resident_mib(pid: int) -> float:
    """Memory of a process and its children, all that each of them has in memory."""
    import psutil

    parent = psutil.Process(pid)
    family = (parent, *parent.children(recursive=True))
    return float(sum(one.memory_info().rss for one in family)) / 2**20


def processes(pid: int) -> int:
    """How many a process and its children are."""
    import psutil

    return 1 + len(psutil.Process(pid).children(recursive=True))


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """What several turns found, each by itself."""
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


async def put_under_load(
    port: int, path: str, body: str, connections: int, seconds: float
) -> dict[str, float]:
    """Send requests one after the other on each of some connections, and count the good answers.

    :raises RuntimeError: an answer was not 200.
    """
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
    deadline = time.perf_counter() + seconds
    times: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (begin := time.perf_counter()) < deadline:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(answer.decode())
            length = answer.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]
            await reader.readexactly(int(length))
            times.append(time.perf_counter() - begin)
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    lasted = time.perf_counter() - begin
    percentiles = statistics.quantiles(times, n=100)
    return {
        "requests": len(times),
        "seconds": lasted,
        "p50_ms": percentiles[49] * 1000,
        "p99_ms": percentiles[98] * 1000,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(put_under_load(**json.load(sys.stdin)))))
