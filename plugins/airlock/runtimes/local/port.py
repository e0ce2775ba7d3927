"""The port of a server on this machine.

Standard library only: the supervisor runs without Airlock's dependencies.
"""

from __future__ import annotations

import socket
from pathlib import Path


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def read_port(path: Path) -> int | None:
    """The port that a server has written down, ``None`` as long as it has not."""
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def says_ready(port: int) -> bool:
    """Whether the server there answers that it is ready, within a second."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET /v2/health/ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False
