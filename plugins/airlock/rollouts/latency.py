"""Percentiles of the time to answer, compared with the current version's, from histograms.

A histogram says in which bucket a percentile lies. Failing needs proof: the bucket's bounds that are
kindest to the new version are taken, so that 4.9 ms against 5.1 ms on both sides of a bound is no doubling.
To pass, the value is interpolated within its bucket, as Prometheus' ``histogram_quantile`` does. What is
neither is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from airlock.rollouts import intervals
from airlock.rollouts.intervals import Bounds
from airlock.rollouts.measured import Histogram, Measured
from airlock.rollouts.verdict import Finding, Look
from airlock.spec import LatencyGuard

_PERCENTS = (50, 95, 99)


@dataclass(frozen=True)
class _Place:
    """Where the value of a rank lies, in milliseconds: its bucket, and interpolated within it."""

    low: float
    between: float
    high: float


def judge(guard: LatencyGuard, new: Measured, current: Measured, look: Look) -> Iterator[Finding]:
    """Each percentile that has a limit."""
    for percent in _PERCENTS:
        ratio: float | None = getattr(guard, f"p{percent}_ratio")
        milliseconds: float | None = getattr(guard, f"p{percent}_ms")
        if ratio is not None:
            yield _compared(guard, percent, ratio, new, current, look)
        if milliseconds is not None:
            yield _below(guard, percent, milliseconds, new, look)


def _compared(
    guard: LatencyGuard, percent: int, ratio: float, new: Measured, current: Measured, look: Look
) -> Finding:
    quantile, times, current_times = percent / 100, new.latency, current.latency
    mine = _place(times, quantile * times.total)
    other = _place(current_times, quantile * current_times.total)

    def allowed(value: float) -> float:
        return max(ratio * value, value + guard.tolerance_ms)

    def over_what_is_allowed(z: float) -> Bounds:
        of_new, of_current = _interval(times, quantile, z), _interval(current_times, quantile, z)
        lower, _ = intervals.increase(
            mine.low,
            (of_new[0].low, math.inf),
            allowed(other.high),
            (0.0, allowed(of_current[1].high)),
        )
        _, upper = intervals.increase(
            mine.between,
            (0.0, of_new[1].between),
            allowed(other.between),
            (allowed(of_current[0].between), math.inf),
        )
        return lower, upper

    n = min(times.total, current_times.total)
    status = look.judge(over_what_is_allowed, 0.0, guard.confidence, n) if n else "inconclusive"
    told = (
        f"p{percent} is {_written(mine, times)}, and {_written(other, current_times)} for the current version"
    )
    if status == "inconclusive":
        told += f", which does not tell{look.missing(n, new.timed)}"
    limit = f"at most {ratio:g} times the current version's, or {guard.tolerance_ms:g} ms more"
    shown, of_current = _shown(mine, times), _shown(other, current_times)
    return Finding(f"p{percent}", status, shown, of_current, "ms", limit, f"{told}.")


def _below(guard: LatencyGuard, percent: int, limit: float, new: Measured, look: Look) -> Finding:
    quantile, times = percent / 100, new.latency
    mine = _place(times, quantile * times.total)

    def bounds(z: float) -> Bounds:
        lower, upper = _interval(times, quantile, z)
        return lower.low, upper.between

    status = look.judge(bounds, limit, guard.confidence, times.total) if times.total else "inconclusive"
    told = f"p{percent} is {_written(mine, times)}"
    if status == "inconclusive":
        told += f", which does not tell{look.missing(times.total, new.timed)}"
    words = f"at most {limit:g} ms"
    return Finding(
        f"p{percent} by itself", status, _shown(mine, times), None, "ms", words, f"{told} ({words})."
    )


def _interval(histogram: Histogram, quantile: float, z: float) -> tuple[_Place, _Place]:
    lower, upper = intervals.ranks(quantile, histogram.total, z) if histogram.total else (0.0, math.inf)
    return _place(histogram, lower), _place(histogram, upper)


def _place(histogram: Histogram, rank: float) -> _Place:
    """Where the value of a rank lies; a rank beyond all values lies anywhere above."""
    below, low = 0.0, 0.0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=True):
        high = bound * 1000
        if count and rank <= below + count:
            part = max(rank - below, 0.0) / count
            between = low + part * (high - low) if high < math.inf else math.inf
            return _Place(low, between, high)
        below, low = below + count, high
    return _Place(0.0, math.inf, math.inf)


def _shown(place: _Place, histogram: Histogram) -> float | None:
    return round(place.between, 3) if histogram.total and place.between < math.inf else None


def _written(place: _Place, histogram: Histogram) -> str:
    if not histogram.total:
        return "not known, as nothing was asked"
    return f"above {place.low:,.4g} ms" if place.between == math.inf else f"about {place.between:,.3g} ms"
