"""Rows that came as Arrow record batches: read as columns, the bad ones told apart; and answers as Arrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airlock_host.columns import Columns, Mask, merged, null_mask, problems
from airlock_host.exceptions import InputUnusable, Problem
from airlock_host.schema import Field, Schema


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a field."""
    match field.type:
        case "number":
            return pa.float64()
        case "integer":
            return pa.int64()
        case "boolean":
            return pa.bool_()
        case "timestamp":
            return pa.timestamp("us", tz="UTC")
        case "string":
            return pa.string()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


_TAKES: dict[str, Callable[[pa.DataType], bool]] = {
    "number": _is_number,
    "integer": pa.types.is_integer,
    "boolean": pa.types.is_boolean,
    "string": _is_string,
    "timestamp": _is_time,
}


def check_types(columns: pa.Schema, schema: Schema, source: str) -> None:
    """Hold the columns of a file against the input schema.

    :param source: the file, for messages.
    :raises InputUnusable: a field's column is missing, twice there, or of a type no value of which fits.
    """
    for field in schema:
        found = columns.get_all_field_indices(field.name)
        if len(found) != 1:
            problem = "has no column" if not found else "has more than one column"
            raise InputUnusable(
                f"{source} {problem} {field.name!r}, which the model takes ({field.expected}); "
                f"its columns are {', '.join(columns.names) or 'none'}",
                field=field.name,
            )
        kind = columns.field(found[0]).type
        value_kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not _TAKES[field.type](value_kind) and not pa.types.is_null(kind):
            raise InputUnusable(
                f"{source}: column {field.name!r} is of type {kind}; expected {field.expected}",
                field=field.name,
            )


def read_batch(batch: pa.RecordBatch, schema: Schema) -> tuple[Columns, list[Problem]]:
    """Read a record batch whose types :func:`check_types` has seen.

    :returns: all rows, and what is wrong with which; the values of a row that has a problem mean nothing.
    """
    unusable: list[Problem] = []

    def column(field: Field) -> Any:
        array = batch.column(batch.schema.get_field_index(field.name))
        array = _decoded(array, field)
        if pa.types.is_uint64(array.type) and field.type == "integer":
            fits = pc.less_equal(array, pa.scalar(np.iinfo(np.int64).max, array.type))
            for row in pc.indices_nonzero(pc.fill_null(pc.invert(fits), False)).to_pylist():
                unusable.append(Problem(row, field.name, f"is {array[row]}", field.expected))
            array = pc.if_else(fits, array, pa.scalar(0, array.type))
        if array.null_count and field.dtype in (np.int64, np.bool_):
            for row in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)):
                unusable.append(Problem(int(row), field.name, "is null", field.expected))
            array = array.fill_null(0 if field.type == "integer" else False)
        return array.to_numpy(zero_copy_only=False)

    rows = Columns(schema, batch.num_rows, column)
    found = problems(rows)
    return rows, merged(unusable, found)


def good_rows(count: int, found: list[Problem]) -> Mask:
    """Which of ``count`` rows have no problem."""
    good = np.ones(count, dtype=np.bool_)
    good[[problem.record for problem in found]] = False
    return good


def write_arrays(rows: Columns) -> list[pa.Array]:
    """Columns as Arrow arrays, null where the field may be null and is."""
    return [
        pa.array(array, type=arrow_type(field), mask=null_mask(array) if field.nullable else None)
        for field, array in rows
    ]


def arrow_fields(schema: Schema) -> list[pa.Field]:
    """The fields of :func:`write_arrays`."""
    return [pa.field(field.name, arrow_type(field), nullable=field.nullable) for field in schema]


def _decoded(array: pa.Array, field: Field) -> pa.Array:
    """The array as one of those types that numpy takes without a surprise."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type) or pa.types.is_decimal(array.type):
        return array.cast(arrow_type(field))
    if field.type == "timestamp":
        return pc.cast(array, pa.timestamp("us"), safe=False)
    return array
