"""Amounts of memory as people write them: ``512MiB``, ``1.5GiB``."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

import pydantic

from airlock.spec.mistakes import shown
from airlock.spec.refusal import refusal

MiB = 1024**2
GiB = 1024**3

_UNITS = {
    "TiB": 1024**4, "GiB": GiB, "MiB": MiB, "KiB": 1024,
    "TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1,
}  # fmt: skip
_PATTERN = r"^[0-9]{1,16}(\.[0-9]{1,6})? ?(TiB|GiB|MiB|KiB|TB|GB|MB|kB|B)$"
_LEAST = MiB
_MOST = 1024 * _UNITS["TiB"]


def parse_size(text: str) -> int:
    """Read ``512MiB``, ``1.5 GiB`` or ``2GB`` as a number of bytes.

    :raises ValueError: it is not written so.
    """
    if re.fullmatch(_PATTERN, text) is None:
        raise ValueError(f"{shown(text)} is not an amount of memory")
    number, unit = re.split(r"(?<=[0-9]) ?(?=[A-Za-z])", text)
    return round(Fraction(number) * _UNITS[unit])


def format_size(size: int) -> str:
    """Write a number of bytes in the largest of TiB, GiB, MiB, KiB and B that says it exactly."""
    unit = next(unit for unit in ("TiB", "GiB", "MiB", "KiB", "B") if size % _UNITS[unit] == 0)
    return f"{size // _UNITS[unit]}{unit}"


def _validate(value: Any) -> int:
    mend = "Write a number with MiB or GiB, like 512MiB or 2GiB."
    if isinstance(value, str):
        try:
            size = parse_size(value)
        except ValueError as error:
            raise refusal(str(error), mend) from None
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise refusal(f"{shown(value)} is not an amount of memory", mend)
    if not _LEAST <= size <= _MOST:
        written = value if isinstance(value, str) else f"{value} bytes"
        raise refusal(f"{written} is not between 1MiB and 1024TiB", mend)
    return size


Size = Annotated[
    int,
    pydantic.PlainValidator(_validate),
    pydantic.PlainSerializer(format_size),
    pydantic.WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _PATTERN, "examples": ["512MiB", "2GiB"]},
                {"type": "integer", "minimum": _LEAST, "maximum": _MOST, "description": "bytes"},
            ]
        }
    ),
]
"""An amount of memory: a number of bytes in Python (``2 * GiB``), text like ``2GiB`` in YAML and JSON."""
