"""How sure a number is, from how much it rests on.

All bounds are one-sided: with ``z`` of :func:`once` the true value lies beyond a lower (or an upper) bound
in one of twenty comparisons at a confidence of 0.95. Whoever looks again and again while data come in errs
far more often with that ``z`` (Armitage, McPherson, Rowe 1969); :func:`at_any_time` gives one that holds
for all looks together.
"""

from __future__ import annotations

import math
from statistics import NormalDist

Bounds = tuple[float, float]
"""A lower and an upper bound, one-sided each."""

_NORMAL = NormalDist()


def once(confidence: float) -> float:
    """The quantile of the normal distribution for a look that was planned."""
    return _NORMAL.inv_cdf(confidence)


def at_any_time(confidence: float, n: float, planned: float) -> float:
    """The quantile for looks at whatever moments, which hold together at this confidence.

    The one-sided normal-mixture confidence sequence (Robbins 1970; as an asymptotic one, Waudby-Smith et al.,
    *Time-uniform central limit theory and asymptotic confidence sequences*, Annals of Statistics 52, 2024),
    narrowest near ``planned`` observations.
    """
    alpha = min(1 - confidence, 0.5)
    narrowest = -2 * math.log(2 * alpha) + math.log(1 - 2 * math.log(2 * alpha))
    mixing = max(narrowest, 1.0) / planned
    weight = max(n, 1.0) * mixing
    return math.sqrt((weight + 1) / weight * 2 * math.log(1 + math.sqrt(weight + 1) / (2 * alpha)))


def share(hits: float, n: float, z: float) -> Bounds:
    """Of a share of ``n``: Wilson's score interval (1927), good for small ``n`` and for shares near 0."""
    if n <= 0:
        return 0.0, 1.0
    observed = min(max(hits / n, 0.0), 1.0)
    centre = (observed + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(observed * (1 - observed) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def rate(events: float, n: float, z: float) -> Bounds:
    """Of events per unit, where there may be more events than units: the score interval of a Poisson rate."""
    if n <= 0:
        return 0.0, math.inf
    half = z * math.sqrt(events + z * z / 4)
    return max(0.0, (events + z * z / 2 - half) / n), (events + z * z / 2 + half) / n


def increase(new: float, of_new: Bounds, current: float, of_current: Bounds) -> Bounds:
    """Of ``new`` minus ``current``, from the bounds of each.

    Squares of the distances are added: Newcombe's hybrid score interval (*Statistics in Medicine* 17, 1998,
    method 10) for shares, and Zou and Donner's MOVER (2008) for others.
    """
    between = new - current
    if not math.isfinite(between):
        return -math.inf, math.inf
    lower = between - math.hypot(new - of_new[0], of_current[1] - current)
    upper = between + math.hypot(of_new[1] - new, current - of_current[0])
    return lower, upper


def ratio(new: float, of_new: Bounds, current: float, of_current: Bounds) -> Bounds:
    """Of ``new`` by ``current``, both above 0: the same on their logarithms."""
    if min(new, current) <= 0:
        return 0.0, math.inf
    lower, upper = increase(math.log(new), _logarithms(of_new), math.log(current), _logarithms(of_current))
    return math.exp(lower) if lower > -math.inf else 0.0, math.exp(upper) if upper < math.inf else math.inf


def ranks(quantile: float, n: float, z: float) -> Bounds:
    """Between which ranks of ``n`` sorted values the true quantile lies.

    How many of ``n`` values are below it is binomial, whatever they are distributed like (order statistics:
    David and Nagaraja 2003, 7.1), here with the score interval of that share. Where even the greatest value
    may well be below the true quantile, nothing bounds it from above.
    """
    lower, upper = share(quantile * n, n, z)
    all_below = n * math.log(quantile)
    is_bounded = all_below <= math.log(max(_NORMAL.cdf(-z), 1e-300))
    return lower * n, upper * n if is_bounded else math.inf


def noncentral_chi_square(z: float, degrees: float, noncentrality: float) -> float:
    """A quantile of the noncentral chi-square distribution, by its normal quantile.

    Patnaik's approximation by a scaled chi-square (*Biometrika* 36, 1949), and that one by Wilson and
    Hilferty's cube root (1931).
    """
    scale = (degrees + 2 * noncentrality) / (degrees + noncentrality)
    fitted = (degrees + noncentrality) ** 2 / (degrees + 2 * noncentrality)
    cube_root = 1 - 2 / (9 * fitted) + z * math.sqrt(2 / (9 * fitted))
    return scale * fitted * max(cube_root, 0.0) ** 3


def _logarithms(bounds: Bounds) -> Bounds:
    lower, upper = bounds
    return (
        math.log(lower) if lower > 0 else -math.inf,
        math.log(upper) if 0 < upper < math.inf else math.inf if upper > 0 else -math.inf,
    )
