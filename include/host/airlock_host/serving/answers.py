"""The answers to the last requests, kept to be compared with those of another version.

Where traffic is mirrored, both versions get a request under one ``X-Request-Id``, and the answer of one of
them goes nowhere. Whoever compares them fetches both from here. Inputs are never kept.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from airlock_host.columns import Columns
from airlock_host.json_rows import write_column

# Of longer answers the first rows are kept: what is kept is bounded, whatever is asked for.
MOST_ROWS = 1000

# A page ends early when its answers have so many rows together.
_ROWS_OF_A_PAGE = 50_000


class RecordedAnswer(NamedTuple):
    """What one request to score was answered.

    :param request_id: its ``X-Request-Id``.
    :param rows: how many it had, kept or not.
    :param scored: the model's answer; ``None`` where the request was refused or the model failed.
    """

    sequence: int
    request_id: str
    endpoint: str
    status: int
    rows: int
    scored: Columns | None

    def as_json(self) -> dict[str, Any]:
        """It as JSON values."""
        scored = self.scored
        return {
            "sequence": self.sequence,
            "id": self.request_id,
            "endpoint": self.endpoint,
            "status": self.status,
            "rows": self.rows,
            "columns": None
            if scored is None
            else {field.name: write_column(field, array) for field, array in scored},
        }


class RecordedAnswers:
    """The last ``size`` answers, numbered from 1 since ``started`` (in seconds since 1970)."""

    def __init__(self, size: int) -> None:
        self.started = round(time.time(), 3)
        self._kept: deque[RecordedAnswer] = deque(maxlen=size)
        self._last = 0

    def add(self, request_id: str, endpoint: str, status: int, scored: Columns | None) -> None:
        """Keep an answer in the place of the oldest one."""
        rows = 0 if scored is None else scored.count
        if scored is not None and rows > MOST_ROWS:
            scored = scored.take(np.arange(rows) < MOST_ROWS)
        self._last += 1
        self._kept.append(RecordedAnswer(self._last, request_id, endpoint, status, rows, scored))

    def page(self, after: int, limit: int) -> dict[str, Any]:
        """Answers with a number greater than ``after``, oldest first, as JSON values.

        A number that is not given yet comes from a process before this one, and is taken as 0.
        """
        if after > self._last:
            after = 0
        before_oldest = self._last - len(self._kept)
        begin = max(0, after - before_oldest)
        chosen: list[RecordedAnswer] = []
        rows = 0
        for answer in islice(self._kept, begin, begin + limit):
            rows += min(answer.rows, MOST_ROWS)
            if chosen and rows > _ROWS_OF_A_PAGE:
                break
            chosen.append(answer)
        return {
            "started": self.started,
            "answers": [answer.as_json() for answer in chosen],
            "next": chosen[-1].sequence if chosen else self._last,
            "lost": max(0, before_oldest - after),
        }
