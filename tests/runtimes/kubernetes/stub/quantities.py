"""Amounts of resources: ``500m``, ``512Mi``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?")
_SCALE = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}


def amount(quantity: Any) -> Decimal:
    """A quantity as a number.

    :raises ValueError: it is none.
    """
    found = _FORM.fullmatch(str(quantity))
    if found is None:
        raise ValueError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, scale = found.groups()
    if scale is None:
        return Decimal(number)
    return Decimal(number) * (_SCALE.get(scale) or Decimal(10) ** int(scale[1:]))


def written(value: Decimal, like: str) -> str:
    """A number as a quantity, in thousandths where it is not whole.

    :param like: name of the resource; memory is written in powers of 1024.
    """
    if value != value.to_integral_value():
        return f"{int(value * 1000)}m"
    if "memory" in like or "storage" in like:
        for unit in ("Gi", "Mi", "Ki"):
            if value and value % _SCALE[unit] == 0:
                return f"{int(value / _SCALE[unit])}{unit}"
    return str(int(value))
