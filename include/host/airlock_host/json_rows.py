"""Rows that came as JSON: records, or lists of values by column, read as columns or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from itertools import chain
from typing import Any

import numpy as np

from airlock_host.columns import Columns, merged, problems
from airlock_host.exceptions import ENOUGH_PROBLEMS, BadRecords, Problem
from airlock_host.schema import Field, FieldType, Schema
from airlock_host.times import read_time

_FITTING: dict[str, frozenset[type]] = {
    "number": frozenset({float, int}),
    "integer": frozenset({int}),
    "boolean": frozenset({bool}),
    "string": frozenset({str}),
}


def read_records(records: Sequence[Any], schema: Schema) -> Columns:
    """Read records, each a dict with the schema's fields; a field that may be null may be left out.

    :raises BadRecords: naming record, field, what is wrong and what was expected.
    """
    names = schema.names
    expected = dict.fromkeys(names).keys()
    if not all(type(record) is dict and record.keys() == expected for record in records):
        records = _completed(records, schema)
    return read_columns({name: [record[name] for record in records] for name in names}, len(records), schema)


def read_columns(columns: Mapping[str, list[Any]], count: int, schema: Schema) -> Columns:
    """Read lists of JSON values, one of ``count`` values for each field of the schema.

    :raises BadRecords: as :func:`read_records`.
    """

    def column(field: Field) -> Any:
        values = columns[field.name]
        fitting = _FITTING.get(field.type)
        if fitting is not None and fitting.issuperset(map(type, values)):
            return values
        return [_read_value(value, field) for value in values]

    unreadable: list[Problem] = []
    numbers: Any = [columns[name] for name in schema.number_names]
    if not numbers or not _FITTING["number"].issuperset(map(type, chain.from_iterable(numbers))):
        numbers = None
    try:
        rows = Columns(schema, count, column, numbers)
    except (ValueError, TypeError, OverflowError):
        rows = Columns(schema, count, lambda field: _readable(columns[field.name], field, unreadable))
    found = merged(unreadable, problems(rows, ENOUGH_PROBLEMS))
    if found:
        raise BadRecords(found)
    return rows


def write_records(rows: Columns) -> list[dict[str, Any]]:
    """Rows as records of JSON values."""
    names = rows.schema.names
    lists = [write_column(field, array) for field, array in rows]
    if len(lists) == 1:
        return [{names[0]: value} for value in lists[0]]
    return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]


def write_column(field: Field, array: Any) -> list[Any]:
    """A column as JSON values: null as ``None``, times as RFC 3339 in UTC."""
    if field.type == "timestamp":
        texts = np.datetime_as_string(array, timezone="UTC").tolist()
        return [None if text == "NaT" else text for text in texts]
    values: list[Any] = array.tolist()
    if field.nullable and array.dtype.kind == "f":
        whole = field.type == "integer"
        return [None if value != value else int(value) if whole else value for value in values]
    return values


def _completed(records: Sequence[Any], schema: Schema) -> list[dict[str, Any]]:
    """The records with null for each left-out field that may be null."""
    known = set(schema.names)
    optional = {field.name: None for field in schema if field.nullable}
    found: list[Problem] = []
    complete = []
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            found.append(Problem(number, None, f"is {_named(record)}", "an object with the model's fields"))
        else:
            found.extend(_wrong_names(number, record, schema, known))
            complete.append(optional | record)
        if len(found) >= ENOUGH_PROBLEMS:
            break
    if found:
        raise BadRecords(found)
    return complete


def check_names(names: Collection[str], schema: Schema) -> None:
    """Hold the names of columns against the schema's fields; there may be no record with them.

    :raises BadRecords: one is unknown, or one that may not be null is missing; told of the first record.
    """
    found = _wrong_names(0, names, schema, set(schema.names))
    if found:
        raise BadRecords(found)


def _wrong_names(record: int, names: Collection[str], schema: Schema, known: Set[str]) -> list[Problem]:
    found = [
        Problem(record, name, "is not a field of this model", "one of " + ", ".join(schema.names))
        for name in names
        if name not in known
    ]
    found += [
        Problem(record, field.name, "is missing", field.expected)
        for field in schema
        if field.name not in names and not field.nullable
    ]
    return found


def _readable(values: list[Any], field: Field, unreadable: list[Problem]) -> list[Any]:
    """Values as what numpy takes, with something in the place of each that is not of the field's type."""
    read = []
    for number, value in enumerate(values):
        try:
            read.append(_read_value(value, field))
        except (ValueError, OverflowError):
            unreadable.append(Problem(number, field.name, f"is {_named(value)}", field.expected))
            if len(unreadable) >= ENOUGH_PROBLEMS:
                raise BadRecords(unreadable) from None
            read.append(_PLACEHOLDERS[field.type])
    return read


def _read_value(value: Any, field: Field) -> Any:
    """One JSON value as what numpy takes for the field's dtype.

    :raises ValueError, OverflowError: it is not of the field's type.
    """
    if value is not None:
        return _READERS[field.type](value)
    if not field.nullable:
        raise ValueError("null")
    return _NULLS[field.type]


def _read_number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError("not a number")
    return float(value)


def _read_integer(value: Any) -> int:
    whole = type(value) is int or (type(value) is float and value.is_integer())
    if not whole or not -(2**63) <= value < 2**63:
        raise ValueError("not a 64-bit integer")
    return int(value)


def _read_exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"not a {kind.__name__}")
        return value

    return read


def _named(value: Any) -> str:
    """A JSON value as messages show it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f'the string "{value if len(value) <= 60 else value[:57] + "..."}"'
        case _:
            return str(value)


_READERS: dict[FieldType, Callable[[Any], Any]] = {
    "number": _read_number,
    "integer": _read_integer,
    "boolean": _read_exactly(bool),
    "string": _read_exactly(str),
    "timestamp": read_time,
}

_NULLS: dict[FieldType, Any] = {
    "number": np.nan,
    "integer": np.nan,
    "boolean": None,
    "string": None,
    "timestamp": "NaT",
}

_PLACEHOLDERS: dict[FieldType, Any] = {
    "number": 0.0,
    "integer": 0,
    "boolean": False,
    "string": "",
    "timestamp": "NaT",
}
