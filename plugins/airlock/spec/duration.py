"""Lengths of time as people write them: ``10m``, ``36h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

import pydantic

from airlock.spec.mistakes import shown
from airlock.spec.refusal import refusal

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PATTERN = r"^([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$"
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read ``10m``, ``1d12h`` or ``2w``: whole weeks, days, hours, minutes and seconds, in this order.

    :raises ValueError: it is not written so.
    """
    if not text or re.fullmatch(_PATTERN, text) is None:
        raise ValueError(f"{shown(text)} is not a length of time")
    parts = re.findall(r"([0-9]+)([a-z])", text)
    try:
        return timedelta(seconds=sum(int(count) * _SECONDS[unit] for count, unit in parts))
    except OverflowError:
        raise ValueError(f"{shown(text)} is too long a time") from None


def format_duration(duration: timedelta) -> str:
    """Write a length of time in the largest of days, hours, minutes and seconds that says it exactly."""
    seconds = int(duration.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def _validate(value: Any) -> timedelta:
    mend = "Write a number with s, m, h, d or w, like 10m, 36h or 7d."
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, str):
        try:
            duration = parse_duration(value)
        except ValueError as error:
            raise refusal(str(error), mend) from None
    else:
        raise refusal(f"{shown(value)} is not a length of time", mend)
    if not timedelta(0) < duration <= _LONGEST or duration.microseconds:
        raise refusal(
            f"{value} cannot be used here", "Write whole seconds, more than none and at most 3650d."
        )
    return duration


Duration = Annotated[
    timedelta,
    pydantic.PlainValidator(_validate),
    pydantic.PlainSerializer(format_duration),
    pydantic.WithJsonSchema(
        {"type": "string", "pattern": _PATTERN, "minLength": 2, "examples": ["10m", "36h", "7d"]}
    ),
]
"""A length of time of whole seconds: a ``timedelta`` in Python, text like ``7d`` in YAML and JSON."""
