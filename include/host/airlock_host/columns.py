"""The one form in which rows travel through the host, whatever they were read from.

=========== ======================= ==================================
field type  numpy dtype             null (nullable fields only)
=========== ======================= ==================================
number      ``float64``             ``NaN``
integer     ``int64``               the column is ``float64``, ``NaN``
boolean     ``bool``                the column is ``object``, ``None``
string      ``object`` of ``str``   ``None``
timestamp   ``datetime64[us]``, UTC ``NaT``
=========== ======================= ==================================

A NaN in a number column *is* null, so that a file and a request that mean the same score the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from airlock_host.exceptions import Problem
from airlock_host.schema import Field, Schema

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class Columns:
    """``count`` rows of a schema's fields.

    All number columns are rows of ``numbers``, one block of shape (number fields, rows): it is checked in
    a few calls whatever the number of fields, and is one copy away from a model's matrix.
    """

    __slots__ = ("_arrays", "count", "numbers", "schema")

    def __init__(
        self, schema: Schema, count: int, column: Callable[[Field], Any], numbers: Any = None
    ) -> None:
        """Take each field's column from ``column(field)``: anything numpy turns into the field's dtype.

        :param numbers: all number columns at once, where they are at hand: quicker for few rows.
        :raises ValueError, TypeError, OverflowError: from that conversion.
        """
        self.schema = schema
        self.count = count
        self.numbers: npt.NDArray[np.float64]
        if numbers is None:
            self.numbers = np.empty((len(schema.numbers), count))
            for row, field in zip(self.numbers, schema.numbers, strict=True):
                row[:] = column(field)
        else:
            self.numbers = np.array(numbers, dtype=np.float64)
        self._arrays: dict[str, Array] = dict(zip(schema.number_names, self.numbers, strict=True))
        if len(schema.numbers) < len(schema):
            for field in schema:
                if field.type != "number":
                    self._arrays[field.name] = _array(column(field), field)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[tuple[Field, Array]]:
        return ((field, self._arrays[field.name]) for field in self.schema)

    @property
    def first_number(self) -> Array | None:
        """The first column of numbers or integers: the score, where these rows are a model's answers."""
        field = self.schema.first_number
        return None if field is None else self._arrays[field.name]

    def take(self, rows: Mask) -> Columns:
        """Only the rows where ``rows`` is true."""
        return Columns(self.schema, int(rows.sum()), lambda field: self._arrays[field.name][rows])

    def matrix(self) -> npt.NDArray[np.float64]:
        """All columns as one matrix of shape (rows, fields); every field must be a number of some kind.

        It is in C order: trees, whose time is the model's, are a tenth quicker on it than on the block turned
        around; linear models are slower on it, by what reading the file costs.
        """
        if len(self.numbers) == len(self.schema):
            return np.ascontiguousarray(self.numbers.T)
        return np.stack([array.astype(np.float64) for _, array in self], axis=1)


def _array(values: Any, field: Field) -> Array:
    if field.dtype is np.object_ and not isinstance(values, np.ndarray):
        array = np.empty(len(values), dtype=np.object_)
        array[:] = values
        return array
    return np.asarray(values, dtype=field.dtype)


def problems(columns: Columns, most: int | None = None) -> list[Problem]:
    """Every value that breaks its field's rules, by record.

    :param most: so many are enough.
    """
    if columns.count == 0:
        return []
    found = (
        Problem(int(row), field.name, _what_is_wrong(array[row]), field.expected)
        for field, array in _doubtful(columns)
        for row in np.flatnonzero(_broken(field, array))
    )
    return sorted(islice(found, most), key=lambda problem: problem.record)


def merged(unusable: list[Problem], broken: list[Problem]) -> list[Problem]:
    """All problems by record.

    :param unusable: those of values that were not there or could not be read; something is in their place.
    :param broken: those found among all values; what it says of what is in such a place is left out.
    """
    if not unusable:
        return broken
    told = {(problem.record, problem.field) for problem in unusable}
    others = [problem for problem in broken if (problem.record, problem.field) not in told]
    return sorted(unusable + others, key=lambda problem: problem.record)


def _doubtful(columns: Columns) -> Iterator[tuple[Field, Array]]:
    """The columns that may break a rule; the number columns are sorted out in a few calls for all."""
    schema = columns.schema
    if schema.numbers:
        # A comparison with NaN is false, so that a null makes its column doubtful as well.
        right = columns.numbers.min(axis=1) >= schema.number_minima
        right &= columns.numbers.max(axis=1) <= schema.number_maxima
        if not right.all():
            for field, in_limits in zip(schema.numbers, right.tolist(), strict=True):
                if not in_limits and field.values is None:
                    yield field, columns[field.name]
    for field in schema.not_always_right:
        yield field, columns[field.name]


def _broken(field: Field, array: Array) -> Mask:
    if field.type in ("number", "integer"):
        low, high = field.limits
        wrong = ~((array >= low) & (array <= high))
    else:
        wrong = np.zeros(len(array), dtype=np.bool_)
    allowed = field.allowed
    if allowed is not None:
        wrong |= np.fromiter((value not in allowed for value in array.tolist()), np.bool_, len(array))
    wrong[null_mask(array)] = not field.nullable
    return wrong


def null_mask(array: Array) -> Mask:
    """Where a column holds null."""
    match array.dtype.kind:
        case "f":
            return np.isnan(array)
        case "M":
            return np.isnat(array)
        case "O":
            return np.fromiter((value is None for value in array), np.bool_, len(array))
        case _:
            return np.zeros(len(array), dtype=np.bool_)


def _what_is_wrong(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:
        return "is null"
    shown = repr(value)
    return "is " + (shown if len(shown) <= 80 else shown[:77] + "...")
