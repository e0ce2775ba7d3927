"""How the scores are spread, compared with the current version's over the same interval.

The population stability index (Lewis 1994) is a symmetric Kullback-Leibler divergence over buckets. Two
samples of the very same distribution have an index above 0, the larger the fewer they are: times ``n m / (n
+ m)`` it is about chi-square with one degree of freedom less than there are buckets (Yurdakul and Naranjo,
*Statistical properties of the population stability index*, Journal of Risk Model Validation 14, 2020), and
noncentral where the distributions differ. So the index of the distributions themselves is known within
bounds, and those are held against the limit, not the plain number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from airlock.rollouts import intervals
from airlock.rollouts.intervals import Bounds
from airlock.rollouts.measured import Histogram, Measured
from airlock.rollouts.verdict import Finding, Look
from airlock.spec import ScoreDistributionGuard

_LIMITLESS = 64.0  # no index of two samples of fewer than 10^13 scores is above it


def judge(guard: ScoreDistributionGuard, new: Measured, current: Measured, look: Look) -> Iterator[Finding]:
    """The index over the buckets that both versions have."""
    limit = f"index at most {guard.max_psi:g}"
    bounds = sorted(set(new.scores.bounds) & set(current.scores.bounds))
    if len(bounds) < 2:
        told = "The two versions count no scores in the same buckets: do both answer a number?"
        yield Finding("score distribution", "inconclusive", None, None, "", limit, told)
        return
    mine, other = new.scores.over(bounds), current.scores.over(bounds)
    n = min(mine.total, other.total)
    if not n:
        told = f"One version has no scores yet{look.missing(0)}."
        yield Finding("score distribution", "inconclusive", None, None, "", limit, told)
        return
    index = stability_index(mine, other)
    status = look.judge(lambda z: index_bounds(mine, other, z), guard.max_psi, guard.confidence, n)
    lower, upper = index_bounds(mine, other, intervals.once(guard.confidence))
    told = f"The index is {index:.3g} over {mine.total:,.0f} and {other.total:,.0f} scores, "
    told += f"which tells of one between {lower:.3g} and {upper:.3g}"
    if status == "inconclusive":
        told += f", so it is open{look.missing(n, 'scores')}"
    yield Finding("score distribution", status, round(index, 4), None, "", limit, f"{told}.")


def stability_index(new: Histogram, current: Histogram) -> float:
    """The index of two samples, with half a score more in each bucket, as 0 has no logarithm."""
    used = [(mine, other) for mine, other in zip(new.counts, current.counts, strict=True) if mine or other]
    of_new, of_current = new.total + len(used) / 2, current.total + len(used) / 2
    index = 0.0
    for mine, other in used:
        share, current_share = (mine + 0.5) / of_new, (other + 0.5) / of_current
        index += (share - current_share) * math.log(share / current_share)
    return index


def index_bounds(new: Histogram, current: Histogram, z: float) -> Bounds:
    """Of the index of the distributions that two samples come from."""
    index = stability_index(new, current)
    buckets = sum(1 for mine, other in zip(new.counts, current.counts, strict=True) if mine or other)
    if buckets < 2:
        return 0.0, 0.0
    scale = new.total * current.total / (new.total + current.total)

    def quantile(true_index: float, z: float) -> float:
        return intervals.noncentral_chi_square(z, buckets - 1, scale * true_index) / scale

    return _where(lambda true: quantile(true, z), index), _where(lambda true: quantile(true, -z), index)


def _where(rising: Callable[[float], float], wanted: float) -> float:
    """Where a rising function reaches a value; 0 where it is above it from the beginning."""
    low, high = 0.0, _LIMITLESS
    if rising(low) >= wanted:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return low
