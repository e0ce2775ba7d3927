"""Records to try a model with: golden inputs, records made from the input schema, one that it must refuse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airlock_host.arrow_rows import arrow_type
from airlock_host.exceptions import InputUnusable
from airlock_host.schema import Field, Schema

Record = Mapping[str, Any]

ROW = "airlock_row"
"""A column beside the model's own: the position of each record, from 0, which comes back with its answer."""

_MADE_WITHOUT_GOLDEN = 5
_FIRST_TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Bad:
    """A record that breaks one rule of the input schema.

    :param field: the field that breaks it.
    :param why: how, as the end of a sentence about the field.
    """

    record: dict[str, Any]
    field: str
    why: str


def golden_and_made(golden: Sequence[Mapping[str, Any]], schema: Schema, count: int) -> list[Record]:
    """``count`` records: golden inputs first, then ones made from the schema."""
    inputs: list[Record] = [record["input"] for record in golden[:count]]
    return inputs + made(schema, count - len(inputs))


def golden_or_made(golden: Sequence[Mapping[str, Any]], schema: Schema) -> list[Record]:
    """All golden inputs; without any, a few records made from the schema."""
    return golden_and_made(golden, schema, len(golden) or _MADE_WITHOUT_GOLDEN)


def made(schema: Schema, count: int) -> list[Record]:
    """Records that obey the input schema, different from each other where it leaves room."""
    return [{field.name: _value(field, number) for field in schema} for number in range(count)]


def _value(field: Field, number: int) -> Any:
    if field.values is not None:
        return field.values[number % len(field.values)]
    match field.type:
        case "string":
            return f"{field.name}-{number + 1}"
        case "boolean":
            return number % 2 == 0
        case "timestamp":
            return (_FIRST_TIME + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        case "integer":
            return round(_number(field, number))
        case "number":
            return _number(field, number)


def _number(field: Field, number: int) -> float:
    """Walks through the middle half of the allowed range; without a range, through a few small numbers."""
    low, high = field.minimum, field.maximum
    if low is None and high is None:
        return float(number % 5)
    if low is None or high is None:
        edge = low if low is not None else high
        assert edge is not None
        step = float(number % 5 + 1)
        return math.ceil(edge) + step if low is not None else math.floor(edge) - step
    return low + (high - low) * (1 + number % 3) / 4


def bad_record(good: Record, schema: Schema, *, typed: bool) -> Bad | None:
    """A record that the model must refuse: ``good`` with one field spoilt.

    :param typed: the record goes through typed columns, where a word cannot stand for a number.
    :returns: ``None`` when the schema refuses nothing that can be said.
    """
    for field in schema:
        if not field.nullable:
            return Bad({**good, field.name: None}, field.name, "is null")
    for field in schema:
        if field.minimum is not None:
            return Bad({**good, field.name: _beyond(field, -1)}, field.name, "is below its minimum")
        if field.maximum is not None:
            return Bad({**good, field.name: _beyond(field, 1)}, field.name, "is above its maximum")
        if field.values is not None and field.type == "string":
            return Bad(
                {**good, field.name: "".join(map(str, field.values)) + "?"},
                field.name,
                "is not a listed value",
            )
    for field in () if typed else schema:
        if field.type != "string":
            return Bad({**good, field.name: "not a value"}, field.name, f"is a word instead of {field.type}")
    return None


def _beyond(field: Field, direction: int) -> float:
    edge = field.minimum if direction < 0 else field.maximum
    assert edge is not None
    return edge + direction * max(1, abs(edge))


def write(records: Sequence[Record], schema: Schema, path: Path) -> None:
    """Write records as Parquet with the schema's columns and :data:`ROW`; what a record leaves out is null.

    :raises InputUnusable: a value does not fit its field.
    """
    columns = {}
    for field in schema:
        try:
            values = [_column_value(record.get(field.name), field) for record in records]
            columns[field.name] = pa.array(values, arrow_type(field))
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            raise InputUnusable(
                f"a golden record's {field.name!r} is not {field.expected}: {error}. Mend the golden file.",
                field=field.name,
            ) from None
    write_numbered(pa.table(columns), path)


def write_numbered(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, its rows numbered in the column :data:`ROW`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.append_column(ROW, pa.array(range(table.num_rows), pa.int64())), path)


def _column_value(value: Any, field: Field) -> Any:
    if field.type == "timestamp" and isinstance(value, str):
        time = datetime.fromisoformat(value)
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return value
