"""What a model may return, read as the columns of its output schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from airlock_host.columns import Columns
from airlock_host.exceptions import ModelFailed
from airlock_host.schema import Field, Schema


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
    array = np.asarray(values, dtype=None if field.type in ("number", "integer", "boolean") else object)
    match field.type:
        case "number":
            if array.dtype.kind not in "fiub" and array.dtype.kind != "O":
                raise TypeError(f"it has dtype {array.dtype}")
            return array
        case "integer":
            if array.dtype.kind == "f" and not field.nullable and not (array == np.trunc(array)).all():
                raise ValueError("not all values are whole numbers")
            if array.dtype.kind not in "fiubO":
                raise TypeError(f"it has dtype {array.dtype}")
            return array
        case "boolean":
            if array.dtype.kind != "b" and not all(value in (None, True, False) for value in array.tolist()):
                raise TypeError("not all values are true or false")
            return array
        case "string":
            return [
                value if value is None or isinstance(value, str) else _not_a_string(value) for value in array
            ]
        case "timestamp":
            return array


def _not_a_string(value: Any) -> str | None:
    if value != value:  # NaN, as pandas marks a missing string
        return None
    raise TypeError(f"{value!r} is not a string")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
