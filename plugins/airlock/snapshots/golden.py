"""Checking golden records: example inputs with the outputs that every stage must reproduce."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from airlock.exceptions import SnapshotError
from airlock.spec.schema import Field

GOLDEN_PATH = "golden.jsonl"

_MOST_PROBLEMS = 20
_GREATEST_INTEGER = 2**63 - 1
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})?")


def check_golden(
    path: Path, *, shown_as: str, input_schema: Sequence[Field], output_schema: Sequence[Field]
) -> int:
    """Compare golden records with the schemas.

    Each line is a JSON object ``{"input": {…}, "output": {…}}``. Read line by line, whatever the size.

    :param shown_as: what the file is called in messages.
    :returns: how many records there are.
    :raises SnapshotError: a line does not fit; the message names line and field of the first problems.
    """
    problems: list[str] = []
    count = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                count += 1
                found = _problems_in(line, input_schema, output_schema)
                problems += [f"line {number}: {problem}" for problem in found]
                if len(problems) >= _MOST_PROBLEMS:
                    break
    except (OSError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{shown_as} cannot be read: {error}.") from error
    if problems:
        listed = "; ".join(problems[:_MOST_PROBLEMS])
        raise SnapshotError(
            f"{shown_as} does not fit the schemas of the model: {listed}.",
            mend="Correct the records, or the fields in model.yaml.",
        )
    if count == 0:
        raise SnapshotError(
            f"{shown_as} has no records.",
            mend='Write lines like {"input": {…}, "output": {…}}, or remove it.',
        )
    return count


def _problems_in(line: str, input_schema: Sequence[Field], output_schema: Sequence[Field]) -> list[str]:
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return [f"not valid JSON ({error})"]
    if not isinstance(record, dict) or set(record) != {"input", "output"}:
        return ["must be an object with the keys 'input' and 'output' and no others"]
    return [
        *(f"input {problem}" for problem in _problems_of(record["input"], input_schema)),
        *(f"output {problem}" for problem in _problems_of(record["output"], output_schema)),
    ]


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _problems_of(values: Any, schema: Sequence[Field]) -> list[str]:
    if not isinstance(values, dict):
        return ["is not an object"]
    known = [field.name for field in schema]
    problems = [f"'{name}' is not in the schema" for name in values if name not in known]
    for field in schema:
        if values.get(field.name) is None:
            if not field.nullable:
                problems.append(f"'{field.name}' is {'null' if field.name in values else 'missing'}")
        elif reason := _objection(values[field.name], field):
            problems.append(f"'{field.name}' is {json.dumps(values[field.name])[:60]}, {reason}")
    return problems


def _objection(value: Any, field: Field) -> str | None:
    if not _has_type(value, field):
        return f"not of type {field.type}"
    if field.values is not None and value not in field.values:
        return f"not one of {json.dumps(field.values)[:200]}"
    if field.min is not None and value < field.min:
        return f"less than {field.min:g}"
    if field.max is not None and value > field.max:
        return f"more than {field.max:g}"
    return None


def _has_type(value: Any, field: Field) -> bool:
    match field.type:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "timestamp":
            return isinstance(value, str) and _is_time(value)
        case "number":
            return _is_number(value)
        case "integer":
            return _is_number(value) and value == math.floor(value) and abs(value) <= _GREATEST_INTEGER


def _is_number(value: Any) -> bool:
    # Not math.isfinite, which fails for integers beyond the range of floats.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_time(text: str) -> bool:
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True
