"""Answers that a version's server has recorded, and how far they have been read.

A server keeps its last answers in a ring, numbered one by one. Both rings are read now and then, and answers
are joined by the ``X-Request-Id`` that the request and its copy have in common. What a ring has lost by then
is not compared: of a busy service the answers are a sample.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlock.exceptions import CheckError

RING = 1000
"""How many answers a server keeps where they are compared: about a megabyte where each has one row."""

PAGE = 100
"""How many answers are asked for at once: so few do not hold up a server that has requests to answer."""

MOST_ROWS = 100
"""Of so many rows of an answer the first ones are compared."""


@dataclass(frozen=True)
class Recorded:
    """One answer.

    :param request: the request's ``X-Request-Id``.
    :param rows: how many it had, compared or not.
    :param columns: the model's outputs by name; ``None`` where it gave none.
    """

    sequence: int
    request: str
    status: int
    rows: int
    columns: Mapping[str, Sequence[Any]] | None


@dataclass(frozen=True)
class Recording:
    """Answers recorded by one process, oldest first.

    :param started: when the process did, in seconds since 1970.
    :param next: where to go on.
    """

    started: float
    answers: tuple[Recorded, ...]
    next: int


@dataclass(frozen=True)
class Position:
    """How far one version's answers have been read.

    Each answer is read twice: when it is recorded the other version may still be busy with its own.

    :param after: where the next reading begins.
    :param reached: where the last one ended.
    :param settled: numbers of answers above ``after`` that have been compared.
    """

    started: float = 0.0
    after: int = 0
    reached: int = 0
    settled: frozenset[int] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """It in plain JSON."""
        return {
            "started": self.started,
            "after": self.after,
            "reached": self.reached,
            "settled": sorted(self.settled),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Position:
        """What ``to_json`` wrote."""
        settled = frozenset(written["settled"])
        return cls(written["started"], written["after"], written["reached"], settled)

    @classmethod
    def at_the_end(cls, recording: Recording) -> Position:
        """Where whatever has been recorded until now is left out."""
        return cls(recording.started, recording.next, recording.next)

    def open(self, recording: Recording) -> list[Recorded]:
        """What of a recording has not been compared yet.

        :raises CheckError: it is of another process, which ran already when this one was read.
        """
        if recording.started < self.started:
            raise CheckError(
                "The address is answered by several processes, which keep answers each for itself.",
                mend="Run one replica where guards watch.",
            )
        known = self.settled if recording.started == self.started else frozenset()
        return [answer for answer in recording.answers if answer.sequence not in known]

    def moved(self, recording: Recording, settled: Iterable[Recorded]) -> Position:
        """Where the next reading goes on; a process that began anew is read from its beginning.

        :param settled: what was compared now.
        """
        is_same = recording.started == self.started
        after = self.reached if is_same else 0
        numbers = {answer.sequence for answer in settled} | (self.settled if is_same else frozenset())
        return Position(
            recording.started, after, recording.next, frozenset(each for each in numbers if each > after)
        )


def page(text: str) -> Recording:
    """Understand one page of ``GET /airlock/answers``.

    :raises CheckError: it is something else.
    """
    try:
        document = json.loads(text)
        answers = tuple(
            Recorded(
                int(answer["sequence"]),
                str(answer["id"]),
                int(answer["status"]),
                int(answer["rows"]),
                _first_rows(answer["columns"]),
            )
            for answer in document["answers"]
        )
        return Recording(float(document["started"]), answers, int(document["next"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckError(
            f"The deployment's /airlock/answers shows something that is no answers: {error}."
        ) from None


def pairs(new: Iterable[Recorded], current: Iterable[Recorded]) -> list[tuple[Recorded, Recorded]]:
    """Answers to the same request. Where several requests had one id, nothing tells which is which."""
    mine, others = _by_request(new), _by_request(current)
    return [(mine[request], others[request]) for request in mine if request in others]


def _by_request(answers: Iterable[Recorded]) -> dict[str, Recorded]:
    found = list(answers)
    count = Counter(answer.request for answer in found)
    return {answer.request: answer for answer in found if count[answer.request] == 1}


def _first_rows(columns: Mapping[str, Sequence[Any]] | None) -> Mapping[str, Sequence[Any]] | None:
    return None if columns is None else {name: values[:MOST_ROWS] for name, values in columns.items()}
