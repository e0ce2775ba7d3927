"""The rules by which a number meets its limit. Pure functions: numbers in, status and reason out."""

from __future__ import annotations

import math

from airlock.checks.result import Interval, MetricStatus


def within(value: float | None, lowest: float | None, highest: float | None) -> MetricStatus:
    """Judge a value by its limits, the limits themselves allowed; what is missing or NaN fails.

    :returns: ``info`` when there is no limit.
    """
    if lowest is None and highest is None:
        return "info"
    if value is None or not math.isfinite(value):
        return "fail"
    if lowest is not None and value < lowest:
        return "fail"
    if highest is not None and value > highest:
        return "fail"
    return "pass"


def non_inferior(interval: Interval | None, lowest: float | None, highest: float | None) -> MetricStatus:
    """Judge the confidence interval of a difference by the margin that was allowed.

    The whole interval on the allowed side passes, the whole interval beyond the margin fails, and
    an interval that holds the margin leaves the question open.

    :param interval: of candidate minus champion; ``None`` or NaN when it could not be computed.
    :param lowest: smallest allowed difference, where higher values are better.
    :param highest: largest allowed difference, where lower values are better.
    """
    if interval is None or any(bound is None or not math.isfinite(bound) for bound in interval):
        return "inconclusive"
    lower, upper = interval
    assert lower is not None
    assert upper is not None
    if (lowest is not None and upper < lowest) or (highest is not None and lower > highest):
        return "fail"
    if (lowest is not None and lower <= lowest) or (highest is not None and upper >= highest):
        return "inconclusive"
    return "pass"


def limit_words(lowest: float | None, highest: float | None) -> str | None:
    """A limit as a person says it: ``at least 0.85``."""
    if lowest is not None and highest is not None:
        if lowest == highest:
            return f"exactly {lowest:g}"
        return f"{lowest:g} to {highest:g}"
    if lowest is not None:
        return f"at least {lowest:g}"
    if highest is not None:
        return f"at most {highest:g}"
    return None


def margin_words(lowest: float | None, highest: float | None) -> str:
    """The margin of a comparison as a person says it: ``difference above -0.005``."""
    if lowest is not None:
        return f"difference above {lowest:+g}"
    return f"difference below {highest:+g}"


def interval_words(interval: Interval, *, percent: float = 95) -> str:
    """An interval with what it is: ``95 % interval 0.81 to 0.88``."""
    lower, upper = interval
    low = "unbounded" if lower is None else f"{lower:.4g}"
    high = "unbounded" if upper is None else f"{upper:.4g}"
    return f"{percent:g} % interval {low} to {high}"
