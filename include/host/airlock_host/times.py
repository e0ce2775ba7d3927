"""Times as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np

# All there are, but for 29 February, which no pattern knows.
PATTERN = (
    r"^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-"
    r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
    r"([Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$"
)
_TIME = re.compile(PATTERN)


def read_time(text: Any) -> np.datetime64:
    """A time or a date as in RFC 3339, in UTC; without an offset it is taken to be in UTC already.

    :raises ValueError: it is no such text, or no day of the calendar.
    """
    if type(text) is not str or _TIME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a time")
    time = datetime.fromisoformat(text.upper())
    if time.tzinfo is not None:
        time = time.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(time, "us")
