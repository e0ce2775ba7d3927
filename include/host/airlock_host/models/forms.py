"""The forms in which a Python model may take its rows, and how each is made from columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from airlock_host.columns import Columns, null_mask
from airlock_host.schema import Schema

Form = Literal["dataframe", "record_batch", "array", "columns", "record"]


def builder(form: Form) -> Callable[[Columns], Any]:
    """The function that turns rows into the given form.

    ``dataframe`` is a ``pandas.DataFrame``, ``record_batch`` a ``pyarrow.RecordBatch``, ``array`` a C-ordered
    ``float64`` array of shape (rows, fields), ``columns`` a dict of arrays; ``record`` has none: such a
    model is called once a row with one of :func:`to_records`.
    """
    match form:
        case "dataframe":
            return to_dataframe
        case "record_batch":
            return to_record_batch
        case "array":
            return Columns.matrix
        case "columns":
            return lambda rows: {field.name: array for field, array in rows}
        case "record":
            return to_records


def fits_array(schema: Schema) -> bool:
    """Whether every field is a number of some kind."""
    return all(field.type in ("number", "integer", "boolean") for field in schema)


def to_dataframe(rows: Columns) -> Any:
    """Rows as a ``pandas.DataFrame``, its columns in the order of the schema."""
    import pandas as pd

    if len(rows.numbers) == len(rows.schema):
        return pd.DataFrame(rows.matrix(), columns=list(rows.schema.names), copy=False)
    return pd.DataFrame({field.name: array for field, array in rows}, copy=False)


def to_record_batch(rows: Columns) -> Any:
    """Rows as a ``pyarrow.RecordBatch``; NaN becomes null where the field may be null."""
    import pyarrow as pa

    from airlock_host.arrow_rows import arrow_type

    return pa.RecordBatch.from_arrays(
        [
            pa.array(
                array, type=arrow_type(field), mask=null_mask(array) if field.nullable else None, safe=False
            )
            for field, array in rows
        ],
        schema=pa.schema([pa.field(field.name, arrow_type(field), field.nullable) for field in rows.schema]),
    )


def to_records(rows: Columns) -> list[dict[str, Any]]:
    """Rows as dicts of plain Python values, null as ``None``."""
    names = rows.schema.names
    lists = []
    for field, array in rows:
        values: list[Any] = array.tolist()
        if field.nullable:
            nulls = null_mask(array).tolist()
            values = [None if null else value for value, null in zip(values, nulls, strict=True)]
            if field.type == "integer":
                values = [None if value is None else int(value) for value in values]
        lists.append(values)
    return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]
