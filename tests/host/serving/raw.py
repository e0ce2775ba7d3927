"""Requests byte by byte, such as no client's library would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class RawAnswer:
    """What came back on a connection."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """Its JSON."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


@contextmanager
def connection_to(url: str) -> Iterator[socket.socket]:
    """A connection to a server, open for the block."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=30) as connection:
        yield connection


def read_answer(connection: socket.socket) -> RawAnswer:
    """The next answer, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(connection, 1)
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = receive(connection, int(headers["content-length"]))
    return RawAnswer(int(first.split()[1]), headers, body)


def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly so many bytes.

    :raises ConnectionError: the server closes before.
    """
    received = b""
    while len(received) < size:
        more = connection.recv(size - len(received))
        if not more:
            raise ConnectionError(f"closed after {received!r}")
        received += more
    return received


def exchange(url: str, sent: bytes) -> RawAnswer:
    """The answer to some bytes."""
    with connection_to(url) as connection:
        connection.sendall(sent)
        return read_answer(connection)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes the connection, without another byte; waits for it."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def request(
    body: bytes = b"", *headers: str, path: str = "/score", method: str = "POST", length: int | None = None
) -> bytes:
    """A whole request, or one that promises a body of another length."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: airlock",
        f"content-length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
