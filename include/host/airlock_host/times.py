"""Times as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})?)?")


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
