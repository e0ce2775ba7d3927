"""Logs of containers, read in pieces: what a container has logged since the last look, no line twice.

The engine keeps a time for every line, and gives the lines since a second. A position is such a second, with
how many lines of that second or later have been read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from airlock.runtimes.base import LogLines


def second_of(position: str | None) -> int | None:
    """The second from which the engine is to be asked, counted from 1970; ``None`` for the beginning."""
    return int(position.partition("/")[0]) if position else None


def lines_after(text: str, position: str | None) -> LogLines:
    """The lines that come after a position.

    :param text: what the engine gave, with times, from the position's second on.
    """
    read = int(position.partition("/")[2]) if position else 0
    stamped = list(_stamped(text))
    if not stamped:
        return LogLines([], position or "")
    last = max(second for second, _ in stamped)
    reached = sum(second >= last for second, _ in stamped)
    return LogLines([line for _, line in stamped[read:]], f"{last}/{reached}")


def without_times(text: str) -> list[str]:
    """The lines alone."""
    return [line for _, line in _stamped(text)]


def _stamped(text: str) -> Iterator[tuple[int, str]]:
    for line in text.split("\n"):
        time, _, said = line.partition(" ")
        if time:
            # Fractions of a second have more digits than Python reads.
            second = datetime.fromisoformat(f"{time.partition('.')[0].removesuffix('Z')}+00:00")
            yield int(second.timestamp()), said.removesuffix("\r")
