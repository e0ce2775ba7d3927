"""Bounds hold as often as they say: measured by simulation, with fixed seeds."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.rollouts import intervals


def test_wilsons_interval_of_a_textbook() -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872: 15 of 148, two-sided 95 %."""
    lower, upper = intervals.share(15, 148, 1.959964)

    assert (round(lower, 4), round(upper, 4)) == (0.0624, 0.1605)


def test_newcombes_interval_of_a_textbook() -> None:
    """Newcombe 1998, Statistics in Medicine 17, 873-890, example (a): 56 of 70 and 48 of 80, method 10."""
    z = 1.959964

    lower, upper = intervals.increase(
        56 / 70, intervals.share(56, 70, z), 48 / 80, intervals.share(48, 80, z)
    )

    assert (round(lower, 4), round(upper, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize(
    ("z", "degrees", "noncentrality", "known"),
    [
        (1.644854, 19, 0.0, 30.14),  # chi-square tables
        (1.644854, 4, 4.0, 17.31),  # noncentral, found by simulation
    ],
)
def test_quantiles_of_the_noncentral_chi_square(
    z: float, degrees: float, noncentrality: float, known: float
) -> None:
    assert intervals.noncentral_chi_square(z, degrees, noncentrality) == pytest.approx(known, rel=0.02)


def test_bounds_for_all_looks_hold_for_all_looks_together() -> None:
    """2 % errors on both sides, a look after every tenth request: no more than 5 % of 300 are ever wrong."""
    dice = random.Random(1)
    wrong = naive = 0
    for _ in range(300):
        new = current = n = 0
        was_wrong = was_naive = False
        for _ in range(100):
            new += sum(dice.random() < 0.02 for _ in range(10))
            current += sum(dice.random() < 0.02 for _ in range(10))
            n += 10
            for z, is_naive in (
                (intervals.at_any_time(0.95, n, 300), False),
                (intervals.once(0.95), True),
            ):
                bounds = intervals.share(new, n, z), intervals.share(current, n, z)
                if intervals.increase(new / n, bounds[0], current / n, bounds[1])[0] > 0:
                    was_wrong, was_naive = was_wrong or not is_naive, was_naive or is_naive
        wrong, naive = wrong + was_wrong, naive + was_naive

    assert wrong <= 15
    assert naive > 30, "what a plain interval would do"


@given(st.integers(0, 1000), st.integers(1, 1000), st.floats(0.1, 9))
def test_bounds_enclose_what_was_seen_and_widen_with_z(hits: int, more: int, z: float) -> None:
    n = hits + more
    for bounds in (intervals.share, intervals.rate):
        lower, upper = bounds(hits, n, z)
        wider = bounds(hits, n, 2 * z)
        assert 0 <= lower <= hits / n + 1e-12
        assert upper >= hits / n - 1e-12
        assert wider[0] <= lower + 1e-12
        assert wider[1] >= upper - 1e-12


@given(st.sampled_from([0.5, 0.95, 0.99]), st.integers(1, 10_000))
def test_a_percentile_of_few_values_has_no_upper_bound(quantile: float, n: int) -> None:
    lower, upper = intervals.ranks(quantile, n, intervals.once(0.95))

    assert 0 <= lower <= quantile * n + 1e-9
    assert (upper == math.inf) == (quantile**n > 0.05)
