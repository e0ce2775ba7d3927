"""Values of records as rows, and rows as values: JSON, Avro and Arrow.

Whatever the bytes are, each value is either read or refused by a :class:`Poison`; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson

from airlock_host.columns import Columns
from airlock_host.exceptions import BadRecords, InputUnusable
from airlock_host.json_rows import read_records
from airlock_host.schema import Schema
from airlock_host.stream.outcomes import Poison
from airlock_host.stream.settings import StreamSettings

_MOST_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Values:
    """What values hold.

    :param good: positions of the values that could be read, in order.
    :param ends: of each good value the row behind its last; ``None`` where each has one row.
    :param rows: their rows, one after the other.
    :param poisons: by position, why the others could not.
    """

    good: list[int]
    ends: list[int] | None
    rows: Columns
    poisons: dict[int, Poison]


class Codec(Protocol):
    """One format of values."""

    def read(self, values: Sequence[bytes | None]) -> Values:
        """Read the values of a micro-batch."""

    def write(self, answer: Columns, ends: list[int] | None) -> list[bytes]:
        """The values that answer: one for each that was read, see :attr:`Values.ends`."""


def codec(settings: StreamSettings, inputs: Schema, outputs: Schema) -> Codec:
    """The codec of a stream.

    :raises InputUnusable: the format's schema does not fit the model's.
    :raises KafkaUnusable: the format needs a package that is not installed.
    """
    limit = settings.max_record_bytes
    match settings.format:
        case "json":
            from airlock_host.stream.json_batches import JsonBatches, write_json

            return RecordCodec(inputs, orjson.loads, write_json, limit, JsonBatches(inputs).read)
        case "avro":
            from airlock_host.stream.avro import avro_functions

            assert settings.avro is not None
            return RecordCodec(inputs, *avro_functions(settings.avro, inputs, outputs), limit)
        case "arrow":
            from airlock_host.stream.arrow import ArrowCodec

            return ArrowCodec(inputs, limit)


def sort_out(
    values: Sequence[bytes | None], read: Callable[[bytes], Any], limit: int
) -> tuple[list[int], list[Any], dict[int, Poison]]:
    """Decode each value.

    :param read: raises whatever it likes for what it cannot read.
    :returns: the positions of those that could be, what they hold, and why the others could not.
    """
    good, contents = [], []
    poisons: dict[int, Poison] = {}
    for position, value in enumerate(values):
        if value is None:
            poisons[position] = Poison("empty", "the record has no value")
        elif len(value) > limit:
            poisons[position] = Poison(
                "too_large", f"the value has {len(value)} bytes; max_record_bytes allows {limit}"
            )
        else:
            try:
                contents.append(read(value))
            except BadRecords as error:
                poisons[position] = bad_record(error)
            except Exception as error:
                poisons[position] = Poison("not_decodable", f"{error}" or type(error).__name__)
            else:
                good.append(position)
    return good, contents, poisons


def bad_record(error: BadRecords) -> Poison:
    """A record that was read and breaks the input schema."""
    problems = [str(problem).partition(": ")[2] or str(problem) for problem in error.problems]
    more = len(problems) - _MOST_PROBLEMS
    shown = "; ".join(problems[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
    return Poison("bad_record", shown)


class RecordCodec:
    """Values of one record each."""

    def __init__(
        self,
        inputs: Schema,
        read: Callable[[bytes], Any],
        write: Callable[[Columns], list[bytes]],
        limit: int,
        read_together: Callable[[Sequence[bytes]], Columns | None] | None = None,
    ) -> None:
        """:param read: a value as what :func:`~airlock_host.json_rows.read_records` reads.
        :param write: an answer as a value a row.
        :param limit: the most bytes of a value.
        :param read_together: many values at once, where all are right and it is sure of that.
        """
        self._inputs = inputs
        self._read = read
        self._write = write
        self._limit = limit
        self._read_together = read_together

    def read(self, values: Sequence[bytes | None]) -> Values:
        """Read all at once where nothing is wrong with any, else one by one."""
        if self._read_together is not None and self._fit(values):
            rows = self._read_together(values)  # type: ignore[arg-type]
            if rows is not None:
                return Values(list(range(len(values))), None, rows, {})
        good, records, poisons = sort_out(values, self._read, self._limit)
        while True:
            try:
                return Values(good, None, read_records(records, self._inputs), poisons)
            except BadRecords as error:
                by_record: dict[int, list[Any]] = {}
                for problem in error.problems:
                    by_record.setdefault(problem.record, []).append(problem)
                for record, problems in by_record.items():
                    poisons[good[record]] = bad_record(BadRecords(problems))
                good = [position for record, position in enumerate(good) if record not in by_record]
                records = [content for record, content in enumerate(records) if record not in by_record]

    def _fit(self, values: Sequence[bytes | None]) -> bool:
        return None not in values and max(map(len, values), default=0) <= self._limit  # type: ignore[arg-type]

    def write(self, answer: Columns, ends: list[int] | None) -> list[bytes]:
        """A value a row."""
        return self._write(answer)


def joined(parts: Sequence[Columns], schema: Schema) -> Columns:
    """Rows of several columns, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Columns(
        schema,
        sum(part.count for part in parts),
        lambda field: np.concatenate([part[field.name] for part in parts]) if parts else [],
    )


def unfitting(names: Sequence[str], schema: Schema, what: str) -> None:
    """Refuse other fields than the schema's.

    :raises InputUnusable: naming those that are missing, or not the model's.
    """
    unknown = [name for name in names if name not in schema.names]
    missing = [field.name for field in schema if field.name not in names and not field.nullable]
    if unknown or missing:
        found = [f"has {name!r}, which is not a field of this model" for name in unknown]
        found += [f"lacks {name!r}" for name in missing]
        raise InputUnusable(f"{what} {', '.join(found)}")
