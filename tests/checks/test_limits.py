"""The rules by which numbers meet limits: for every number there is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.checks.limits import interval_words, limit_words, margin_words, non_inferior, within

numbers = st.floats(-1e6, 1e6)
intervals = st.tuples(numbers, numbers).map(sorted).map(tuple)
ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}


@given(numbers, numbers)
def test_the_limit_itself_is_allowed_and_nothing_beyond(value: float, limit: float) -> None:
    assert within(value, limit, None) == ("pass" if value >= limit else "fail")
    assert within(value, None, limit) == ("pass" if value <= limit else "fail")
    assert within(limit, limit, limit) == "pass"


@given(numbers)
def test_just_below_a_limit_fails(limit: float) -> None:
    assert within(math.nextafter(limit, -math.inf), limit, None) == "fail"
    assert within(math.nextafter(limit, math.inf), None, limit) == "fail"


@given(st.sampled_from([None, math.nan, math.inf, -math.inf]), st.none() | numbers, st.none() | numbers)
def test_what_is_missing_or_not_finite_never_passes(
    value: float | None, lowest: float | None, highest: float | None
) -> None:
    assert within(value, lowest, highest) == ("info" if lowest is None and highest is None else "fail")


@given(numbers, numbers, numbers)
def test_a_better_value_is_never_judged_worse(value: float, better: float, limit: float) -> None:
    low, high = sorted((value, better))
    assert ORDER[within(low, limit, None)] <= ORDER[within(high, limit, None)]
    assert ORDER[within(high, None, limit)] <= ORDER[within(low, None, limit)]


@given(intervals, st.floats(0, 1e6), numbers)
def test_a_better_difference_is_never_judged_worse(
    interval: tuple[float, float], better: float, margin: float
) -> None:
    moved = (interval[0] + better, interval[1] + better)
    assert ORDER[non_inferior(interval, margin, None)] <= ORDER[non_inferior(moved, margin, None)]
    assert ORDER[non_inferior(moved, None, margin)] <= ORDER[non_inferior(interval, None, margin)]


@given(intervals, numbers)
def test_a_difference_mirrors_where_lower_is_better(interval: tuple[float, float], margin: float) -> None:
    mirrored = (-interval[1], -interval[0])

    assert non_inferior(interval, margin, None) == non_inferior(mirrored, None, -margin)


@given(intervals, numbers)
def test_a_difference_passes_only_with_its_whole_interval(
    interval: tuple[float, float], margin: float
) -> None:
    lower, upper = interval
    verdict = non_inferior(interval, margin, None)

    assert (verdict == "pass") == (lower > margin)
    assert (verdict == "fail") == (upper < margin)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((-0.004, 0.01), "pass"),
        ((-0.005, 0.01), "inconclusive"),
        ((-0.006, 0.01), "inconclusive"),
        ((-0.02, -0.005), "inconclusive"),
        ((-0.02, -0.006), "fail"),
        ((0.0, 0.0), "pass"),
    ],
)
def test_at_the_margin(interval: tuple[float, float], verdict: str) -> None:
    assert non_inferior(interval, -0.005, None) == verdict


@pytest.mark.parametrize("interval", [None, (None, 0.1), (0.1, None), (math.nan, 0.1), (0.1, math.inf)])
def test_a_difference_without_an_interval_is_open(interval: tuple[float | None, float | None] | None) -> None:
    assert non_inferior(interval, -0.005, None) == "inconclusive"


def test_limits_in_words() -> None:
    assert limit_words(0.85, None) == "at least 0.85"
    assert limit_words(None, 200) == "at most 200"
    assert limit_words(0.1, 0.2) == "0.1 to 0.2"
    assert limit_words(1, 1) == "exactly 1"
    assert limit_words(None, None) is None
    assert margin_words(-0.005, None) == "difference above -0.005"
    assert margin_words(None, 0.5) == "difference below +0.5"
    assert interval_words((0.81, None)) == "95 % interval 0.81 to unbounded"
