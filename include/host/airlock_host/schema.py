"""The fields a model takes and answers, as its manifest lists them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from airlock_host.times import read_time

FieldType = Literal["string", "integer", "number", "boolean", "timestamp"]

_KINDS: dict[FieldType, str] = {
    "string": "a string",
    "integer": "an integer",
    "number": "a finite number",
    "boolean": "true or false",
    "timestamp": "a time as in RFC 3339, such as 2026-03-31T12:00:00Z",
}


_SHOWN_VALUES = 20
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Field:
    """One input or output of a model.

    :param minimum: least allowed value of an integer or number, itself included.
    :param maximum: greatest allowed value of an integer or number, itself included.
    :param values: the only allowed values, where they are listed.
    """

    name: str
    type: FieldType
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[Any, ...] | None = None

    @property
    def expected(self) -> str:
        """What a value must be, in words, as messages end: "a finite number of at least 0"."""
        if self.values is not None:
            shown = [json.dumps(value) for value in self.values[:_SHOWN_VALUES]]
            words = "one of " + ", ".join(shown) + (", ..." if len(self.values) > _SHOWN_VALUES else "")
        else:
            words = _KINDS[self.type]
            limits = []
            if self.minimum is not None:
                limits.append(f"at least {self.minimum:g}")
            if self.maximum is not None:
                limits.append(f"at most {self.maximum:g}")
            if limits:
                words += " of " + " and ".join(limits)
        return words + " or null" if self.nullable else words

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest allowed number; without limits the finite ones, which leaves out infinities."""
        low = -_LARGEST if self.minimum is None else self.minimum
        high = _LARGEST if self.maximum is None else self.maximum
        return low, high

    @property
    def dtype(self) -> npt.DTypeLike:
        """The dtype of this field's column: see :mod:`airlock_host.columns`."""
        match self.type:
            case "number":
                return np.float64
            case "integer":
                return np.float64 if self.nullable else np.int64
            case "boolean":
                return np.object_ if self.nullable else np.bool_
            case "timestamp":
                return "datetime64[us]"
            case "string":
                return np.object_

    @property
    def allowed(self) -> frozenset[Any] | None:
        """The listed values, as a column's ``tolist()`` has them."""
        if self.values is None:
            return None
        if self.type == "timestamp":
            return frozenset(read_time(value).item() for value in self.values)
        return frozenset(self.values)

    @property
    def always_right(self) -> bool:
        """Whether no value that fits the dtype can break a rule, infinity aside."""
        limited = self.minimum is not None or self.maximum is not None or self.values is not None
        may_hold_null = self.dtype not in (np.int64, np.bool_)
        return not limited and (self.nullable or not may_hold_null)


class Schema:
    """Fields in their order, with what checking needs worked out once."""

    __slots__ = (
        "fields",
        "first_number",
        "names",
        "not_always_right",
        "number_maxima",
        "number_minima",
        "number_names",
        "numbers",
    )

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        self.names = tuple(field.name for field in self.fields)
        self.first_number = next((one for one in self.fields if one.type in ("number", "integer")), None)
        self.numbers = tuple(field for field in self.fields if field.type == "number")
        self.number_names = tuple(field.name for field in self.numbers)
        self.not_always_right = tuple(
            field
            for field in self.fields
            if not field.always_right and (field.type != "number" or field.values is not None)
        )
        limits = [field.limits for field in self.numbers]
        self.number_minima: npt.NDArray[np.float64] = np.array([low for low, _ in limits])
        self.number_maxima: npt.NDArray[np.float64] = np.array([high for _, high in limits])

    @classmethod
    def read(cls, entries: Iterable[Mapping[str, Any]]) -> Schema:
        """Read a manifest's list of fields.

        :raises KeyError, TypeError: an entry lacks its name or has no known type.
        """
        return cls(_field(entry) for entry in entries)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


def _field(entry: Mapping[str, Any]) -> Field:
    if entry["type"] not in get_args(FieldType):
        raise KeyError(f"field {entry['name']!r} has type {entry['type']!r}")
    values = entry.get("values")
    return Field(
        name=entry["name"],
        type=cast("FieldType", entry["type"]),
        nullable=bool(entry.get("nullable", False)),
        minimum=entry.get("min"),
        maximum=entry.get("max"),
        values=None if values is None else tuple(values),
    )
