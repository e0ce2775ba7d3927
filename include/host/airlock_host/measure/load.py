"""A client that costs little: what it measures is the server.

Requests are encoded beforehand, connections are kept, answers are not looked into. One request takes
about 0.05 ms of this process, a tenth of what a general HTTP client takes. The share of time that
the process was busy is reported, so that a client that was the bottleneck is noticed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airlock_host.measure.records import Record

REQUEST_SECONDS = 30.0
"""A request that takes longer has failed."""

_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, LookupError, ValueError)
"""A connection that broke off, or an answer that is no HTTP."""


@dataclass
class Load:
    """What happened under load.

    :param seconds: for each request that was answered well, in the order of the answers.
    :param errors: how often each kind of failure happened.
    :param duration: of the whole load, in seconds.
    :param busy: share of ``duration`` in which this process was computing.
    """

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    duration: float = 0.0
    busy: float = 0.0


def encode(url: str, bodies: Sequence[Sequence[Record]]) -> list[bytes]:
    """Whole HTTP requests to score each of the lists of records; a list of one is sent as a single record."""
    parts = urlsplit(url)
    encoded = []
    for records in bodies:
        body = json.dumps(records[0] if len(records) == 1 else records).encode()
        head = (
            f"POST {parts.path.rstrip('/')}/score HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        encoded.append(head.encode() + body)
    return encoded


def send(url: str, requests: Sequence[bytes], *, count: int, concurrency: int) -> Load:
    """Send ``count`` requests, in turns those given, ``concurrency`` of them under way at any time.

    Each of as many connections sends its next request when the one before is answered.
    """
    return asyncio.run(_send(url, requests, count, concurrency))


async def _send(url: str, requests: Sequence[bytes], count: int, concurrency: int) -> Load:
    load = Load()
    turns = itertools.islice(itertools.cycle(requests), count)
    began, computed = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_client(url, turns, load) for _ in range(min(concurrency, count))))
    load.duration = time.perf_counter() - began
    load.busy = (time.process_time() - computed) / load.duration
    return load


async def _client(url: str, turns: Iterator[bytes], load: Load) -> None:
    connection = _Connection(url)
    for request in turns:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                status = await connection.ask(request)
        except TimeoutError:
            load.errors[f"no answer within {REQUEST_SECONDS:g} s"] += 1
            connection.close()
        except _BROKEN as error:
            load.errors[f"connection failed: {type(error).__name__}"] += 1
            connection.close()
        else:
            if status == 200:
                load.seconds.append(time.perf_counter() - began)
            else:
                load.errors[f"answered {status}"] += 1
    connection.close()


class _Connection:
    """One kept connection, made when it is first needed, and again after it was closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request and read its answer to the end; the answer's status."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head[:-4].lower().split(b"\r\n")
        headers = dict(line.split(b":", 1) for line in lines[1:])
        if headers.get(b"transfer-encoding", b"").strip() == b"chunked":
            await _skip_chunks(self._reader)
        else:
            await self._reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"connection", b"").strip() == b"close":
            self.close()
        return int(lines[0].split(b" ", 2)[1])

    def close(self) -> None:
        """Give the connection up; it is made anew when the next request needs it."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _skip_chunks(reader: asyncio.StreamReader) -> None:
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        await reader.readexactly(size + 2)
        if size == 0:
            return
