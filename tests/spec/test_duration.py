from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.spec.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("36h", timedelta(hours=36)),
        ("1d12h", timedelta(hours=36)),
        ("2w", timedelta(days=14)),
    ],
)
def test_reads(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "10", "10 m", "m", "1h1d", "-1h", "1.5h", "10min", "٣h", "1h\n", "1" * 10 + "s"]
)
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        parse_duration(text)


def test_refuses_what_no_timedelta_holds() -> None:
    with pytest.raises(ValueError, match="is too long a time"):
        parse_duration("999999999w")


@given(st.integers(min_value=1, max_value=3650 * 86_400))
def test_what_it_writes_it_reads(seconds: int) -> None:
    duration = timedelta(seconds=seconds)

    assert parse_duration(format_duration(duration)) == duration
