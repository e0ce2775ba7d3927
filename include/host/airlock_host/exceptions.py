"""What can go wrong in the host, by whom it can be mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class HostError(Exception):
    """Base of all: the message says what is wrong, where, and how to mend it."""


class SnapshotUnusable(HostError):
    """The snapshot's folder or manifest cannot be used, or its model does not load."""


class ModelFailed(HostError):
    """The model raised, or what it answered is not what its output schema promises."""


class WorkerDied(HostError):
    """A process that scored a part of the input ended before it was done."""


class DeadlineExceeded(HostError):
    """The job took longer than it may."""


class Interrupted(HostError):
    """The job was ended by a signal from outside."""


class StoreUnusable(HostError):
    """An object store cannot be reached, or refuses."""


class KafkaUnusable(HostError):
    """Brokers cannot be reached or refuse, a topic is not there, or a package for Kafka is not installed."""


class Fenced(HostError):
    """Another worker took this one's place: going on could answer records twice."""


class InputUnusable(HostError):
    """The caller's data as a whole cannot be read: unreadable, not the right format, a column missing.

    :param field: the column or field at fault, where there is one.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


# The name of a field that the model does not have may be of any length.
_MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one record.

    :param record: position in the request or in the input file, from 0.
    :param field: ``None`` where the record as a whole is wrong.
    :param problem: what is wrong, as the end of a sentence about the field: "is missing".
    :param expected: what would be right: "a number of at least 0".
    """

    record: int
    field: str | None
    problem: str
    expected: str

    def __str__(self) -> str:
        where = (
            f"record {self.record}" if self.field is None else f"record {self.record}: field {self.field!r}"
        )
        return f"{where} {self.problem}; expected {self.expected}"

    def as_json(self) -> dict[str, Any]:
        return {
            "record": self.record,
            "field": None if self.field is None else self.field[:_MOST_CHARACTERS],
            "problem": self.problem,
            "expected": self.expected,
        }


# A request is refused with so many problems found, whatever else is wrong with it: it can have millions, each
# of which takes more memory than what it is about.
ENOUGH_PROBLEMS = 10_000


class BadRecords(InputUnusable):
    """Some records break the input schema.

    :param problems: at least one, by record; of a request no more than about :data:`ENOUGH_PROBLEMS`.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        if len(problems) >= ENOUGH_PROBLEMS:
            more = " (and thousands more)"
        super().__init__(f"{problems[0]}{more}", field=problems[0].field)
        self.problems = list(problems)
