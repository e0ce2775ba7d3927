"""Whether a model's answers are what its output schema promises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airlock_host.schema import Field, Schema
from airlock_host.times import read_time

MOST_SHOWN = 20
"""So many problems are described; all are counted."""


def answer_problems(answer: Any, schema: Schema) -> list[str]:
    """What is wrong with one answer, a sentence each; empty when it is as promised.

    :param answer: a record of JSON values, or of Python values as they come from Parquet.
    """
    if not isinstance(answer, Mapping):
        return [f"the answer is {_shown(answer)} instead of an object"]
    found = []
    for field in schema:
        if field.name not in answer:
            found.append(f"{field.name!r} is missing")
        elif wrong := _wrong(answer[field.name], field):
            found.append(f"{field.name!r} {wrong}; promised is {field.expected}")
    found.extend(f"{name!r} is answered but not promised" for name in answer if name not in set(schema.names))
    return found


def describe_answers(answers: Sequence[Any], schema: Schema) -> dict[str, Any]:
    """Count valid answers and say what is wrong with the others."""
    problems: list[str] = []
    valid = 0
    for number, answer in enumerate(answers, start=1):
        wrong = answer_problems(answer, schema)
        valid += not wrong
        problems.extend(f"record {number}: {text}" for text in wrong)
    return {"answered": len(answers), "valid": valid, "problems": problems[:MOST_SHOWN]}


def _wrong(value: Any, field: Field) -> str | None:
    if value is None:
        return None if field.nullable else "is null"
    if not _fits(value, field):
        return f"is {_shown(value)}"
    if field.values is not None and value not in field.values:
        return f"is {_shown(value)}"
    if field.type in ("number", "integer"):
        low, high = field.limits
        if not low <= value <= high:
            return f"is {_shown(value)}"
    return None


def _fits(value: Any, field: Field) -> bool:
    match field.type:
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "timestamp":
            return isinstance(value, datetime) or _is_time(value)


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        read_time(value)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
