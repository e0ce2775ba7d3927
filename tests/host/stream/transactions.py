"""What a broker does at the end of a transaction and the mock cluster does not: offsets.

The mock takes the offsets of a transaction and forgets them. This stands in front of it on a port of its own,
passes everything on, and keeps them as a broker does: they count from the moment the transaction is
committed, and never where it is aborted or its producer is replaced. It changes only the answers to who asks
where a group stands, and the port in the addresses that the mock tells. Who asks for the first record since a
time, which the mock does not know, is told of the first of all.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

_LIST_OFFSETS = 2
_OFFSET_FETCH, _INIT_PRODUCER, _END_TRANSACTION, _TRANSACTION_OFFSETS = 9, 22, 26, 28
_BEGINNING = -2
_WATCHED = {_LIST_OFFSETS, _OFFSET_FETCH, _INIT_PRODUCER, _END_TRANSACTION, _TRANSACTION_OFFSETS}

Place = tuple[str, str, int]
"""Group, topic, partition."""


class _Reader:
    """Reads the fields of Kafka's protocol one after the other."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self.at = 0
        self.flexible = False

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(f">{form}", self._frame, self.at)
        self.at += struct.calcsize(f">{form}")
        return int(value)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._frame[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def text(self, *, short: bool = True) -> str:
        length = self._varint() - 1 if self.flexible else self.number("h" if short else "i")
        begin = self.at
        self.at += max(0, length)
        return self._frame[begin : self.at].decode()

    def count(self) -> int:
        return self._varint() - 1 if self.flexible else self.number("i")

    def tags(self) -> None:
        if self.flexible:
            for _ in range(self._varint()):
                self._varint()
                self.at += self._varint()


@dataclass(frozen=True)
class _Request:
    key: int
    version: int
    group: str = ""
    transactional_id: str = ""
    commits: bool = False


class TransactionalFront:
    """The front of a mock cluster of one broker.

    :param address: where it listens, as long as the mock's own, whose place it takes in what the mock tells.
    :ivar commits: the offsets of every committed transaction, in order.
    :ivar counts: how many of them each transactional id has.
    """

    def __init__(self, servers: str, address: str = "127.0.0.1") -> None:
        assert len(address) == len("127.0.0.1")
        self._address = address
        self._behind = int(servers.rpartition(":")[2])
        self.commits: list[dict[Place, int]] = []
        self.counts: Counter[str] = Counter()
        self._offsets: dict[Place, int] = {}
        self._pending: dict[str, dict[Place, int]] = defaultdict(dict)
        self._port = 0
        started = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True).start()
        started.wait(10)
        self.servers = f"{address}:{self._port}"

    def standing(self, group: str, topic: str) -> dict[int, int]:
        """Where a group stands, by partition."""
        return {
            place[2]: offset for place, offset in dict(self._offsets).items() if place[:2] == (group, topic)
        }

    async def _serve(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, self._address, 0, limit=2**26)
        self._port = server.sockets[0].getsockname()[1]
        started.set()
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind, limit=2**26)
        asked: dict[int, _Request] = {}
        await asyncio.gather(
            _pass_on(reader, behind_writer, partial(self._request, asked)),
            _pass_on(behind_reader, writer, partial(self._response, asked)),
        )

    def _request(self, asked: dict[int, _Request], frame: bytes) -> bytes:
        fields = _Reader(frame)
        key, version, correlation = fields.number("h"), fields.number("h"), fields.number("i")
        if key not in _WATCHED:
            return frame
        fields.text()
        fields.flexible = version >= {_LIST_OFFSETS: 6, _OFFSET_FETCH: 6, _INIT_PRODUCER: 2}.get(key, 3)
        fields.tags()
        match key:
            case 2:
                return _without_times(fields, version, bytearray(frame))
            case 9:
                assert version < 8, "OffsetFetch of a newer version than this test knows"
                asked[correlation] = _Request(key, version, group=fields.text())
            case 22:
                asked[correlation] = _Request(key, version, transactional_id=fields.text())
            case 26:
                name = fields.text()
                fields.at += 10
                asked[correlation] = _Request(
                    key, version, transactional_id=name, commits=bool(fields.number("b"))
                )
            case 28:
                self._take(fields, version)
        return frame

    def _take(self, fields: _Reader, version: int) -> None:
        """Offsets of a transaction that is still open."""
        pending, group = self._pending[fields.text()], fields.text()
        fields.at += 10
        if version >= 3:
            fields.at += 4
            fields.text()
            fields.text()
        for _ in range(fields.count()):
            topic = fields.text()
            for _ in range(fields.count()):
                partition, offset = fields.number("i"), fields.number("q")
                fields.at += 4 if version >= 2 else 0
                fields.text()
                fields.tags()
                pending[group, topic, partition] = offset
            fields.tags()

    def _response(self, asked: dict[int, _Request], frame: bytes) -> bytes:
        address = b"127.0.0.1" + struct.pack(">i", self._behind)
        frame = frame.replace(address, self._address.encode() + struct.pack(">i", self._port))
        fields = _Reader(frame)
        request = asked.pop(fields.number("i"), None)
        if request is None:
            return frame
        match request.key:
            case 9:
                return self._standing(request, fields, bytearray(frame))
            case 22:
                self._pending.pop(request.transactional_id, None)
            case 26:
                fields.at += 4
                error = fields.number("h")
                if error == 0:
                    ended = self._pending.pop(request.transactional_id, {})
                    if request.commits:
                        self._offsets.update(ended)
                        self.commits.append(ended)
                        self.counts[request.transactional_id] += 1
        return frame

    def _standing(self, request: _Request, fields: _Reader, frame: bytearray) -> bytes:
        """Put the offsets that are committed into an answer to where a group stands."""
        fields.flexible = request.version >= 6
        fields.tags()
        fields.at += 4 if request.version >= 3 else 0
        for _ in range(fields.count()):
            topic = fields.text()
            for _ in range(fields.count()):
                partition = fields.number("i")
                offset = self._offsets.get((request.group, topic, partition))
                if offset is not None:
                    struct.pack_into(">q", frame, fields.at, offset)
                fields.at += 8 + (4 if request.version >= 5 else 0)
                fields.text()
                fields.at += 2
                fields.tags()
            fields.tags()
        return bytes(frame)


def _without_times(fields: _Reader, version: int, frame: bytearray) -> bytes:
    """Ask for the beginning instead of a time."""
    fields.at += 4 + (1 if version >= 2 else 0)
    for _ in range(fields.count()):
        fields.text()
        for _ in range(fields.count()):
            fields.at += 4 + (4 if version >= 4 else 0)
            if struct.unpack_from(">q", frame, fields.at)[0] >= 0:
                struct.pack_into(">q", frame, fields.at, _BEGINNING)
            fields.at += 8 + (4 if version == 0 else 0)
            fields.tags()
        fields.tags()
    return bytes(frame)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Callable[[bytes], bytes]
) -> None:
    """Pass whole frames on until one side closes."""
    try:
        while True:
            (size,) = struct.unpack(">i", await reader.readexactly(4))
            frame = change(await reader.readexactly(size))
            writer.write(struct.pack(">i", len(frame)) + frame)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
