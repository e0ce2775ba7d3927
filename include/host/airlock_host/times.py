"""Times as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np

_YEAR = r"([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DAY = (
    r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
)
# Years that 4 divides, but of the full centuries only those that 400 divides.
_OF_FOUR = r"(0[48]|[2468][048]|[13579][26])"
_LEAP_DAY = rf"([0-9]{{2}}{_OF_FOUR}|{_OF_FOUR}00)-02-29"

PATTERN = (
    rf"^({_YEAR}-{_DAY}|{_LEAP_DAY})"
    r"([Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$"
)
_TIME = re.compile(PATTERN)


def read_time(text: Any) -> np.datetime64:
    """A time or a date as in RFC 3339, in UTC; without an offset it is taken to be in UTC already.

    :raises ValueError: it is no such text, or in UTC it lies outside the years 1 to 9999.
    """
    if type(text) is not str or _TIME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a time")
    time = datetime.fromisoformat(text.upper())
    if time.tzinfo is not None:
        try:
            time = time.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            raise ValueError(f"{text!r} lies outside the years 1 to 9999") from None
    return np.datetime64(time, "us")
