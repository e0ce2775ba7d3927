"""The JSON records of a micro-batch at once, by Arrow's parser, which does not hold Python's lock.

It reads what :func:`~airlock_host.json_rows.read_records` would read, to the same values, or nothing: where
anything is off in any record, or only unusual, who asked reads them one by one, which finds the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import json as arrow_json

from airlock_host.columns import Columns, problems
from airlock_host.schema import Field, FieldType, Schema
from airlock_host.times import read_time

_TYPES: dict[FieldType, pa.DataType] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "timestamp": pa.string(),
}

_NEWLINE, _BRACE = b"\n}"


class JsonBatches:
    """Reads records of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._has_texts = any(field.type == "string" for field in schema)
        self._parsing = arrow_json.ParseOptions(
            explicit_schema=pa.schema([(field.name, _TYPES[field.type]) for field in schema]),
            unexpected_field_behavior="error",
        )

    def read(self, values: Sequence[bytes]) -> Columns | None:
        """The rows of values, each one record; nothing where that is not sure."""
        lines = b"\n".join(values)
        if not _is_value_a_line(lines, len(values)):
            return None
        reading = arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        try:
            table = arrow_json.read_json(pa.BufferReader(lines), reading, self._parsing)
            if table.num_rows != len(values):
                return None
            if self._has_texts:
                # The parser takes any bytes for a text.
                table.validate(full=True)
            rows = Columns(self._schema, len(values), lambda field: _column(table, field))
        except (pa.ArrowException, ValueError, OverflowError):
            return None
        return None if problems(rows, 1) else rows


def _is_value_a_line(lines: bytes, count: int) -> bool:
    """Whether the parser cannot take a part of one value for a part of another.

    Each ends with a brace, and the newline behind it cannot be inside a text. So whatever begins in a value
    ends there, since fields hold no objects: as many rows as values are one row for each. The parser takes a
    zero for the end of everything, and passes over a byte order mark.
    """
    if b"\0" in lines or lines.startswith(b"\xef"):
        return False
    codes = np.frombuffer(lines, dtype=np.uint8)
    ends = np.append(np.flatnonzero(codes == _NEWLINE), len(lines)) - 1
    # An empty first value has no end: its -1 stands for the last of all.
    return len(ends) == count and bool(ends[0] >= 0) and bool((codes[ends] == _BRACE).all())


def _column(table: pa.Table, field: Field) -> Any:
    """A column as numpy takes it for the field's dtype.

    :raises ValueError: a value is null that may not be, or is no time.
    """
    column = table.column(field.name)
    if column.null_count and not field.nullable:
        raise ValueError("null")
    if field.type == "timestamp":
        return ["NaT" if value is None else read_time(value) for value in column.to_pylist()]
    array = column.to_numpy()
    if field.dtype is np.object_:
        return array.astype(np.object_)
    return array
