"""Schemas: the fields of a model's input and output."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.mistakes import shown
from airlock.spec.names import Line
from airlock.spec.refusal import refusal, refusal_at, together
from airlock.spec.unique import Unique

FieldType = Literal["string", "integer", "number", "boolean", "timestamp"]
Value = str | int | float | bool

_GREATEST_EXACT = 2**53  # beyond it, JSON readers round
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "timestamp": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
}  # fmt: skip


def _check_value(value: Any) -> Value:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and abs(value) <= _GREATEST_EXACT:  # false for NaN
        return value
    message = f"{shown(value)} is not text, true, false or a number up to 2**53"
    raise refusal(message, "Put quotes around it if it is meant as text.")


FieldValue = Annotated[
    Value,
    pydantic.PlainValidator(_check_value),
    pydantic.WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "boolean"]},
                {"type": "number", "minimum": -_GREATEST_EXACT, "maximum": _GREATEST_EXACT},
            ]
        }
    ),
]


class Field(Spec):
    """One field of a record: ``Field("age", "integer", min=0)``."""

    name: Line
    """What the field is called."""
    type: FieldType
    """What it holds; a ``timestamp`` is text in ISO 8601, like ``2026-01-31T08:00:00Z``."""
    nullable: bool = False
    """Whether it may be missing or null."""
    values: (
        Annotated[
            list[FieldValue],
            pydantic.Field(min_length=1),
            Unique("value"),
        ]
        | None
    ) = None
    """The only values it may have."""
    min: float | None = None
    """The least value, for numbers."""
    max: float | None = None
    """The greatest value, for numbers."""

    @pydantic.field_validator("min", "max")
    @classmethod
    def _limits_numbers(cls, value: float | None, info: pydantic.ValidationInfo) -> float | None:
        if value is None:
            return value
        if info.data.get("type", "number") not in ("integer", "number"):
            mend = "Remove it, or list the 'values' that are allowed."
            raise refusal(f"a {info.data['type']} has no min or max", mend)
        least = info.data.get("min")
        if info.field_name == "max" and least is not None and least > value:
            raise refusal("min is above max", "No value can pass: swap them.")
        return value

    @pydantic.field_validator("values")
    @classmethod
    def _values_have_the_type(
        cls, values: list[Value] | None, info: pydantic.ValidationInfo
    ) -> list[Value] | None:
        if values is None or "type" not in info.data:
            return values
        field_type = info.data["type"]
        wrong = [
            refusal_at(index, refusal(f"{shown(value)} is no {field_type}", "Change the value or the type."))
            for index, value in enumerate(values)
            if not isinstance(value, _PYTHON_TYPES[field_type])
            or (isinstance(value, bool) and field_type != "boolean")
        ]
        if wrong:
            raise together(wrong)
        return values
