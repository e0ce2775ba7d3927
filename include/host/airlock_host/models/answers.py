"""What a model may return, read as the columns of its output schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from airlock_host.columns import Array, Columns
from airlock_host.exceptions import ModelFailed
from airlock_host.schema import Field, Schema
from airlock_host.times import read_time


def read_answer(returned: Any, schema: Schema, count: int) -> Columns:
    """Read what a model returned for ``count`` rows.

    It may be an array of shape (rows,) or (rows, outputs), a dict of arrays, a list of records or of
    values, a pandas DataFrame or Series, or a pyarrow RecordBatch or Table. What has names must have
    exactly the names of the schema; what has none is taken in the schema's order.

    :raises ModelFailed: it is something else, or has other columns or another number of rows.
    """
    named, positional = _columns_of(returned)
    if named is not None:
        if set(named) != set(schema.names):
            raise ModelFailed(
                f"the model answered the columns {_listed(named)}, "
                f"its output schema lists {_listed(schema.names)}"
            )
        arrays = named
    else:
        if len(positional) != len(schema):
            raise ModelFailed(
                f"the model answered {len(positional)} columns without names, "
                f"its output schema lists {_listed(schema.names)}"
            )
        arrays = dict(zip(schema.names, positional, strict=True))
    for name, values in arrays.items():
        if np.shape(values)[:1] != (count,):
            raise ModelFailed(
                f"the model was given {count} rows and answered an array of shape {np.shape(values)} "
                f"for {name!r}"
            )

    def column(field: Field) -> Any:
        try:
            return _converted(arrays[field.name], field)
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelFailed(
                f"the model's output {field.name!r} should be {field.expected}: {error}"
            ) from error

    return Columns(schema, count, column)


def _columns_of(returned: Any) -> tuple[dict[str, Any] | None, list[Any]]:
    """The columns by name, or, where there are no names, in order."""
    if isinstance(returned, np.ndarray):
        return None, _array_columns(returned)
    if isinstance(returned, Mapping):
        return {str(name): _plain(values) for name, values in returned.items()}, []
    if isinstance(returned, list | tuple):
        if returned and isinstance(returned[0], Mapping):
            names = returned[0].keys()
            if any(not isinstance(record, Mapping) or record.keys() != names for record in returned):
                raise ModelFailed("the model answered records that do not all have the same names")
            return {str(name): [record[name] for record in returned] for name in names}, []
        return None, _array_columns(np.asarray(returned))
    kind = f"{type(returned).__module__.split('.')[0]}.{type(returned).__name__}"
    if kind == "pandas.DataFrame":
        return {str(name): _plain(returned[name]) for name in returned.columns}, []
    if kind == "pandas.Series":
        return None, [_plain(returned)]
    if kind in ("pyarrow.RecordBatch", "pyarrow.Table", "pyarrow.lib.RecordBatch", "pyarrow.lib.Table"):
        return {name: _plain(returned.column(name)) for name in returned.schema.names}, []
    raise ModelFailed(
        f"the model answered a {kind}; it may answer a numpy array, a dict of arrays, a list, "
        "a pandas DataFrame or Series, or a pyarrow RecordBatch or Table"
    )


def _array_columns(array: np.ndarray[Any, Any]) -> list[Any]:
    if array.ndim == 1:
        return [array]
    if array.ndim == 2:
        return list(array.T)
    raise ModelFailed(f"the model answered an array of shape {array.shape}; it may have 1 or 2 dimensions")


def _plain(values: Any) -> Any:
    """A pandas or pyarrow column as numpy, without its library being imported here."""
    if hasattr(values, "to_numpy"):
        try:
            return values.to_numpy(zero_copy_only=False)
        except TypeError:
            return values.to_numpy()
    return values


def _converted(values: Any, field: Field) -> Any:
    """Values as what numpy turns into the field's dtype.

    :raises TypeError, ValueError: they are of another kind.
    """
    array = np.asarray(values)
    match field.type:
        case "string":
            return [_string(value) for value in array.astype(object).tolist()]
        case "timestamp":
            return array if array.dtype.kind == "M" else [_time(value) for value in array.tolist()]
        case "boolean" if array.dtype.kind != "b":
            truths = [_boolean(value) for value in array.tolist()]
            if None in truths and not field.nullable:
                raise ValueError("some are null")
            return truths
        case "number" | "integer" if array.dtype.kind not in "fiubO":
            raise TypeError(f"they are of dtype {array.dtype}")
        case "integer" if array.dtype.kind == "f" and _has_fractions(array):
            raise ValueError("not all are whole numbers")
        case "integer" if array.dtype.kind == "f" and not field.nullable and np.isnan(array).any():
            raise ValueError("some are null")
        case _:
            return array


def _has_fractions(array: Array) -> bool:
    given = array[~np.isnan(array)]
    return bool((np.isinf(given) | (np.trunc(given) != given)).any())


def _is_missing(value: Any) -> bool:
    """Whether a library marks a missing value with this: ``None``, NaN or ``NaT``."""
    return value is None or bool(value != value)


def _string(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if _is_missing(value):
        return None
    raise TypeError(f"{value!r} is not a string")


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if _is_missing(value):
        return None
    raise TypeError(f"{value!r} is not true or false")


def _time(value: Any) -> np.datetime64:
    if isinstance(value, str):
        return read_time(value)
    if _is_missing(value):
        return np.datetime64("NaT", "us")
    if isinstance(value, datetime):
        return read_time(value.isoformat(timespec="microseconds"))
    raise TypeError(f"{value!r} is not a time")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
