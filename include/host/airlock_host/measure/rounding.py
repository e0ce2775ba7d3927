"""Numbers as they are reported: the last digits differ between processors and mean nothing."""

from __future__ import annotations

from typing import Any

DIGITS = 9


def rounded(value: Any) -> Any:
    """The same plain JSON with every float cut to nine significant digits."""
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case dict():
            return {key: rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [rounded(item) for item in value]
        case _:
            return value
