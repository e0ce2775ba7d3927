"""What a connection may cost: time, bytes of a request's head, and a place among the others.

uvicorn waits for ever for a request that never ends and for a client that never takes its answer, keeps a
head of any size, and any number of connections. Here each of them ends. Where a connection stands is noted as
its requests come; whether it has stood there for too long is asked of all of them once in a while, so that a
request costs no timer.

How large a body may be is :class:`~airlock_host.serving.app.Application`'s affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from airlock_host.serving.messages import Refused, refuse
from airlock_host.serving.waiting import LEFT

log = logging.getLogger(__name__)

# Of the request line and all headers together.
MAX_HEAD_BYTES = 64 * 2**10

# How long a connection may be idle between two requests: longer than gateways keep theirs.
KEEP_ALIVE_SECONDS = 75

# Where a request's scope tells the application why its body will not come to its end.
REFUSED = "airlock.refused"

_MARGIN_SECONDS = 2.0


@dataclass(frozen=True)
class Limits:
    """What clients may ask of one host.

    :param body: the largest body of a request in bytes.
    :param read_seconds: how long the head of a request may take to come, then its body, and then how long
        the client may take to fetch the answer.
    :param connections: how many may be open at once.
    """

    body: int = 16 * 2**20
    read_seconds: float = 30.0
    connections: int = 4096


class Connections:
    """All connections of a server.

    :param refused: is told the reason whenever a connection is refused.
    :param headers: what every answer carries.
    """

    def __init__(
        self, limits: Limits, refused: Callable[[str], None], headers: Mapping[str, str] | None = None
    ) -> None:
        self.limits = limits
        self.refused = refused
        self.headers = dict(headers or {})
        self._open: set[Connection] = set()

    def make(self, **from_uvicorn: Any) -> Connection:
        """A new connection, as uvicorn asks for one."""
        return Connection(self, **from_uvicorn)

    def came(self, connection: Connection) -> None:
        """Take in a connection; where there are too many, some of those idle longest make room."""
        self._open.add(connection)
        if len(self._open) <= self.limits.connections:
            return
        idle = [other for other in self._open if other.is_idle and other is not connection]
        # Looking at all of them for each newcomer would itself be too much under a flood.
        some = max(1, self.limits.connections // 32)
        for longest in sorted(idle, key=lambda other: other.since)[:some]:
            self.went(longest)  # it is told so only later, when others may have come
            longest.transport.abort()
        if not idle:
            connection.refuse(
                Refused(
                    503,
                    "too_many_connections",
                    f"all {self.limits.connections} connections are at work; try again later",
                )
            )

    def went(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    async def watch(self) -> None:
        """End connections that are overdue, for ever."""
        pause = min(1.0, self.limits.read_seconds / 4)
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(pause)
            for connection in list(self._open):
                try:
                    connection.end_if_overdue(now())
                except Exception:
                    log.exception("a connection could not be ended")


class Connection(HttpToolsProtocol):
    """One connection.

    :ivar since: when it began to wait for what it waits for.
    """

    def __init__(self, connections: Connections, **from_uvicorn: Any) -> None:
        super().__init__(**from_uvicorn)
        self.since = self.loop.time()
        self._all = connections
        self._received = 0  # bytes since the last whole request
        self._in_head = False
        self._whole = False  # whether the last request has come to its end
        self._refused = False
        self._broken: Refused | None = None
        self._earlier: list[RequestResponseCycle] = []  # what uvicorn forgets of requests sent at once
        self._untaken_since: float | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is lost when it ends: no request has begun, and all answers have gone out."""
        waits = not self._at_work and (self._whole or self._received == 0)
        return waits and not self.transport.get_write_buffer_size()

    @property
    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _reads_body(self) -> bool:
        """Whether a request's head has come and its body has not, and nothing is answered yet."""
        return (
            not self._whole
            and self.cycle is not None
            and self.cycle.scope is self.scope
            and not self.cycle.response_started
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.went(self)
        for cycle in self._earlier:
            cycle.disconnected = True
        for cycle in (*self._earlier, self.cycle):
            if cycle is not None and not cycle.response_complete:
                scope: Any = cycle.scope
                scope[LEFT] = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > MAX_HEAD_BYTES:
            self.refuse(_head_too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._whole, self._in_head = False, True
        self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._received > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._broken = _head_too_large()
            raise self._broken  # the parser ends there and send_400_response is called
        if self.parser.should_upgrade() and self.parser.get_method() == b"POST":
            # The parser takes what follows for another protocol: the body would be lost.
            self._broken = Refused(
                400, "bad_http", "this server speaks HTTP/1.1 only: leave out the header Upgrade"
            )
            raise self._broken
        self.since = self.loop.time()
        if self._at_work:
            self._earlier.append(self.cycle)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._whole, self._received = True, 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._whole:
            self.since = self.loop.time()
        if self._earlier and not self._at_work:
            self._earlier.clear()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self.refuse(self._broken or Refused(400, "bad_http", "this is not HTTP/1.1 as RFC 9112 has it"))

    def refuse(self, reason: Refused) -> None:
        """Answer that no request is taken, and read on without listening until the client closes.

        (To close at once would take the answer from a client that is still sending.)
        """
        self._refused = True
        if self._reads_body and not self.pipeline:
            # The application waits for the rest of this very request, and counts it.
            scope: Any = self.cycle.scope
            scope[REFUSED] = reason
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.cycle = None  # type: ignore[assignment]
        else:
            self._all.refused(reason.reason)
        if self._at_work or self.transport.is_closing():
            # The answer would come in the middle of another one.
            self.transport.close()
            return
        answer = refuse(reason)
        headers = {
            **self._all.headers,
            "content-type": answer.media_type,
            "content-length": str(len(answer.body)),
            "connection": "close",
        }
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
        self.transport.write_eof()

    def end_if_overdue(self, now: float) -> None:
        """Close this connection if it has kept the host waiting for too long."""
        patience = self._all.limits.read_seconds
        if self.transport.is_closing() or self.flow.write_paused:
            if self._untaken_since is None:
                self._untaken_since = now
            elif now - self._untaken_since > patience:
                self.transport.abort()
            return
        self._untaken_since = None
        waited = now - self.since
        if self._at_work and not self._reads_body:
            return
        if self._whole and not self._refused:
            # uvicorn has a timer for this, which an empty line stops.
            if waited > KEEP_ALIVE_SECONDS + _MARGIN_SECONDS:
                self.transport.close()
        elif waited > patience:
            part = "head" if self._in_head else "body" if self._reads_body else None
            if part is None or self._refused:
                self.transport.close()
            else:
                self.since = now
                self.refuse(
                    Refused(
                        408, "too_slow", f"the {part} of the request did not come within {patience:g} seconds"
                    )
                )

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)


def _head_too_large() -> Refused:
    return Refused(
        431, "head_too_large", f"the request's line and headers take more than {MAX_HEAD_BYTES} bytes"
    )
