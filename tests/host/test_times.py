"""Times as text: the published pattern takes the days of the calendar, and no others."""

from __future__ import annotations

import calendar
import re

import pytest

from airlock_host.times import PATTERN, read_time


def test_the_pattern_knows_every_day_of_the_calendar() -> None:
    pattern = re.compile(PATTERN)
    wrong = [
        f"{year:04}-{month:02}-{day:02}"
        for year in (*range(0, 10_000, 7), *range(0, 10_000, 100), 1996, 2000, 2023, 2024)
        for month in range(14)
        for day in (0, 1, 28, 29, 30, 31, 32)
        if (pattern.fullmatch(f"{year:04}-{month:02}-{day:02}") is not None)
        != (year > 0 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+10:00", "9999-12-31T23:59-00:01", "2023-02-29", "soon", 5]
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        read_time(text)
