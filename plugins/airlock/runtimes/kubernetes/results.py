"""The result of a job, as the host prints it at the end of its log: in frames, because lines are limited."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterable
from typing import Any

_FRAME = re.compile(r"airlock-result (\d{1,6})/(\d{1,6}) (\S+)")


def is_frame(line: str) -> bool:
    """Whether a line of a log is a piece of the result, and nothing for people."""
    return line.startswith("airlock-result ") and _FRAME.fullmatch(line.rstrip()) is not None


def result_in(log: str) -> dict[str, Any] | None:
    """The last whole result in a log; ``None`` if there is none, or a piece of it is missing."""
    pieces: dict[int, str] = {}
    most = 0
    whole: dict[str, Any] | None = None
    for number, count, data in _frames(log.splitlines()):
        if number == 1 or count != most:
            pieces, most = {}, count
        pieces[number] = data
        if len(pieces) == most:
            found = _opened([pieces.get(index, "") for index in range(1, most + 1)])
            whole = whole if found is None else found
    return whole


def _frames(lines: Iterable[str]) -> Iterable[tuple[int, int, str]]:
    for line in lines:
        if found := _FRAME.fullmatch(line.rstrip()):
            yield int(found[1]), int(found[2]), found[3]


def _opened(pieces: list[str]) -> dict[str, Any] | None:
    try:
        # Each piece may have been encoded for itself.
        data = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
        result = json.loads(zlib.decompress(data))
    except (binascii.Error, zlib.error, ValueError):
        return None
    return result if isinstance(result, dict) else None
