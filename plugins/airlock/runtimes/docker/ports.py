"""Ports of the engine's machine at which servers are published."""

from __future__ import annotations

import zlib
from collections.abc import Collection

from airlock.exceptions import AdapterError
from airlock.spec.runtime_options import Publish


def pick_port(publish: Publish, name: str, taken: Collection[int]) -> int:
    """The first port that is not taken, beginning at one that follows from the name.

    So that a deployment which is made again gets the same port, and others begin elsewhere.

    :raises AdapterError: all are taken.
    """
    first, _, last = publish.ports.partition("-")
    ports = range(int(first), int(last) + 1)
    begin: int = zlib.crc32(name.encode()) % len(ports)
    port: int
    for port in (*ports[begin:], *ports[:begin]):
        if port not in taken:
            return port
    raise AdapterError(
        f"No port of {publish.ports} is free on {publish.address}, where {name} is to be published.",
        mend="Widen publish.ports in the runtime's options, or end what listens there.",
    )
