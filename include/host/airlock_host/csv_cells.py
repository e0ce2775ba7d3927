"""What a CSV cell means, in a request as in a file: what does not look like a value is refused."""

from __future__ import annotations

import re

from airlock_host.schema import FieldType

# Of these types a cell has a pattern; it is such that RE2 and Python understand it alike.
PATTERNS: dict[FieldType, str] = {
    "number": r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$",
    "integer": r"^[+-]?[0-9]{1,18}$",
    "boolean": r"^([Tt]rue|TRUE|[Ff]alse|FALSE|0|1)$",
}


def read_cell(text: str, kind: FieldType) -> object:
    """A cell as a JSON value; an empty one is null, one that means none stays text, to be refused as such."""
    if text == "":
        return None
    pattern = PATTERNS.get(kind)
    if pattern is None:
        return text
    text = text.strip()
    if re.match(pattern, text) is None:
        return text
    if kind == "number":
        return float(text)
    if kind == "integer":
        return int(text)
    return text.lower() in ("true", "1")
