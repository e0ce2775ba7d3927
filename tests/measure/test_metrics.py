"""Every measure has two forms, by scikit-learn and by row weights: they must say the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from airlock_host.measure.metrics import Classification, Regression

SIZES = st.integers(2, 40)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, scores with many ties, and how often each row is drawn."""
    size = draw(SIZES)
    target = draw(arrays.arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0])))
    score = draw(arrays.arrays(np.float64, size, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])))
    weights = draw(arrays.arrays(np.int64, size, elements=st.integers(0, 4)))
    weights[draw(st.integers(0, size - 1))] += 1
    return target, score, weights


@st.composite
def predicted(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = draw(SIZES)
    number = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
    target = draw(arrays.arrays(np.float64, size, elements=number))
    prediction = draw(arrays.arrays(np.float64, size, elements=number))
    weights = draw(arrays.arrays(np.int64, size, elements=st.integers(0, 4)))
    weights[draw(st.integers(0, size - 1))] += 1
    return target, prediction, weights


@given(scored())
@settings(max_examples=60, deadline=None)
def test_drawing_a_row_twice_is_having_it_twice(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    target, score, weights = rows
    task = Classification(0.5)

    weighted = task.weighted(target, score)(weights[None, :].astype(float))
    repeated = task.values(np.repeat(target, weights), np.repeat(score, weights))

    for name, expected in repeated.items():
        if expected is None:
            assert np.isnan(weighted[name][0]), name
        else:
            assert weighted[name][0] == pytest.approx(expected, rel=1e-9, abs=1e-12), name


@given(predicted())
@settings(max_examples=60, deadline=None)
def test_errors_of_repeated_rows_count_as_often(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    target, prediction, weights = rows

    weighted = Regression().weighted(target, prediction)(weights[None, :].astype(float))
    repeated = Regression().values(np.repeat(target, weights), np.repeat(prediction, weights))

    assert set(weighted) == set(repeated) - {"max_error"}
    for name, values in weighted.items():
        expected = repeated[name]
        if expected is not None and abs(expected) < 1e6:  # beyond, the target hardly varies: rounding rules
            assert values[0] == pytest.approx(expected, rel=1e-6, abs=1e-9), name


def test_one_class_leaves_what_compares_classes_undefined() -> None:
    values = Classification(0.5).values(np.ones(30), np.linspace(0, 1, 30))

    assert values["roc_auc"] is None
    assert values["average_precision"] is None
    assert values["balanced_accuracy"] is None
    assert values["accuracy"] == 0.5


def test_precision_is_undefined_where_nothing_is_predicted_positive() -> None:
    values = Classification(0.9).values(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.3]))

    assert values["precision"] is None
    assert values["recall"] == 0.0


def test_scores_that_are_no_probabilities_have_no_log_loss() -> None:
    values = Classification(0.5).values(np.array([0.0, 1.0, 1.0]), np.array([-3.0, 0.2, 3.0]))

    assert values["log_loss"] is None
    assert values["brier"] is None
    assert values["roc_auc"] == 1.0


def test_a_sure_mistake_has_a_finite_log_loss() -> None:
    target, score = np.array([0.0, 1.0]), np.array([1.0, 0.0])

    value = Classification(0.5).values(target, score)["log_loss"]

    assert value is not None
    assert value > 30
    assert Classification(0.5).weighted(target, score)(np.ones((1, 2)))["log_loss"][0] == pytest.approx(value)


def test_a_target_that_never_varies_has_no_r2() -> None:
    assert Regression().values(np.full(10, 3.0), np.arange(10.0))["r2"] is None
