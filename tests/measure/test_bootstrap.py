"""Intervals: they cover the truth, pairing makes them narrower, and they come out alike every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from airlock_host.measure import bootstrap
from airlock_host.measure.bootstrap import Intervals, intervals, seed
from airlock_host.measure.metrics import Classification, Regression


def two_models(rows: int, number: int, *, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A target, and the scores of two models that mostly agree."""
    random = np.random.default_rng(number)
    target = (random.random(rows) < 0.4).astype(float)
    signal = target + random.normal(0, 1, rows)
    first, second = (1 / (1 + np.exp(-signal - random.normal(0, noise, rows))) for _ in range(2))
    return target, first, second


def of(
    target: np.ndarray, candidate: np.ndarray, champion: np.ndarray | None, *, resamples: int = 400
) -> Intervals:
    return intervals(
        Classification(0.5), target, candidate, champion, resamples=resamples, confidence=0.95, random_seed=1
    )


def test_about_95_of_100_intervals_hold_the_truth() -> None:
    truth = {"roc_auc": stats.norm.cdf(1 / np.sqrt(2)), "accuracy": (stats.norm.cdf(1) + 0.5) / 2}
    random = np.random.default_rng(1)
    held = dict.fromkeys(truth, 0)
    for _ in range(150):
        target = np.repeat([0.0, 1.0], 75)
        score = stats.norm.cdf(target + random.normal(size=150))  # positives lie one deviation higher
        found = of(target, score, None, resamples=300).candidate
        for name, value in truth.items():
            low, high = found[name]
            held[name] += low <= value <= high

    assert all(133 <= count <= 149 for count in held.values()), held


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_pairing_by_row_narrows_the_difference_of_models_that_agree(number: int) -> None:
    target, candidate, champion = two_models(300, number)

    found = of(target, candidate, champion)

    for measure in ("roc_auc", "brier", "log_loss"):
        width = {
            name: high - low
            for name, (low, high) in {
                "paired": found.difference[measure],
                "candidate": found.candidate[measure],
                "champion": found.champion[measure],
            }.items()
        }
        unpaired = np.hypot(width["candidate"], width["champion"])
        assert width["paired"] < 0.8 * unpaired, measure


def test_a_model_does_not_differ_from_itself() -> None:
    target, candidate, _ = two_models(300, 3)

    found = of(target, candidate, candidate.copy())

    assert set(found.difference.values()) == {(0.0, 0.0)}


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_a_difference_turns_its_sign_when_the_models_swap(number: int) -> None:
    target, candidate, champion = two_models(200, number)

    one, other = of(target, candidate, champion), of(target, champion, candidate)

    for name, (low, high) in one.difference.items():
        assert other.difference[name] == pytest.approx((-high, -low), abs=1e-12)


def test_the_same_data_is_drawn_alike_and_other_data_otherwise() -> None:
    target, candidate, champion = two_models(300, 4)

    assert of(target, candidate, champion) == of(target, candidate, champion)
    assert seed("sha256:data", "sha256:model", "") != seed("sha256:data", "", "sha256:model")


def test_more_rows_narrow_the_interval() -> None:
    few, many = (of(*two_models(rows, 5)).candidate["roc_auc"] for rows in (200, 5000))

    assert many[1] - many[0] < (few[1] - few[0]) / 3


def test_of_very_many_rows_a_part_is_drawn_and_gives_the_same_width(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = two_models(8_000, 6)
    full = of(*rows).difference["roc_auc"]
    monkeypatch.setattr(bootstrap, "MOST_ROWS_DRAWN", 2_000)
    part = of(*rows).difference["roc_auc"]

    assert part[1] - part[0] == pytest.approx(full[1] - full[0], rel=0.25)
    assert sum(part) / 2 == pytest.approx(sum(full) / 2, abs=full[1] - full[0])


def test_a_measure_that_most_samples_leave_undefined_has_no_interval() -> None:
    target = np.zeros(100)
    target[:50] = 1
    score = np.full(100, 0.1)
    score[0] = 0.9  # a third of the samples has no predicted positive

    assert "precision" not in of(target, score, None).candidate
    assert "recall" in of(target, score, None).candidate


def test_a_maximum_has_no_interval() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=100)
    found = intervals(
        Regression(), target, target + 0.1, target - 0.1, resamples=100, confidence=0.9, random_seed=1
    )

    assert "max_error" not in found.candidate
    assert {"r2", "rmse", "mae", "mape", "median_absolute_error"} == set(found.difference)
