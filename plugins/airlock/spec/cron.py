"""Cron expressions, checked before Airflow sees them."""

from __future__ import annotations

import re

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

# name, least, greatest, words that stand for numbers from the least on
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _WEEKDAYS),
)

_ITEM = re.compile(r"(?:(?P<all>\*)|(?P<first>\w{1,3})(?:-(?P<last>\w{1,3}))?)(?:/(?P<step>[0-9]{1,3}))?")


def cron_mistake(expression: str) -> str | None:
    """Say what is wrong with a cron expression, or ``None``.

    Known are the presets, and five fields of numbers, names of months and weekdays, ``*``, lists, ranges and
    steps.
    """
    if expression.startswith("@"):
        return None if expression in PRESETS else f"{expression!r} is not a known preset"
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        return f"{expression!r} is not a cron expression of five fields"
    for part, (name, least, greatest, words) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            if not _fits(item, least, greatest, words):
                return f"{item!r} in {expression!r} is not a {name}: {least} to {greatest}"
    return None


def _fits(item: str, least: int, greatest: int, words: tuple[str, ...]) -> bool:
    match = _ITEM.fullmatch(item)
    if match is None or (match["step"] is not None and int(match["step"]) == 0):
        return False
    if match["all"]:
        return True
    first = _number(match["first"], least, words)
    last = first if match["last"] is None else _number(match["last"], least, words)
    return first is not None and last is not None and least <= first <= last <= greatest


def _number(text: str, least: int, words: tuple[str, ...]) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    return words.index(text.lower()) + least if text.lower() in words else None
