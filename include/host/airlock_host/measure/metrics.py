"""Measures of performance, each in two forms: by scikit-learn, and for many weightings of the rows at once.

The first form gives the value that is reported and judged. The second is what resampling needs: a
bootstrap sample of the rows is nothing but a weight for each row, how often it was drawn. Sorting
then happens once instead of once a sample. Tests hold the two forms together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as scikit

from airlock_host.measure.vectors import Vector

Task = Literal["classification", "regression"]
Weights = NDArray[np.float64]
"""Shape (samples, rows): how often each row was drawn."""
Weighted = Callable[[Weights], Mapping[str, Vector]]
"""From weights to one value a sample for each measure; NaN where a sample does not define it."""

PROBABILITY = frozenset({"log_loss", "brier"})
"""Measures that only make sense of predictions between 0 and 1."""

_SMALLEST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Classification:
    """The measures of a binary classifier: the target is 0 or 1, the score rises with the chance of 1.

    :param threshold: a score of at least this is a predicted 1.
    """

    threshold: float

    def values(self, target: Vector, score: Vector) -> dict[str, float | None]:
        """Every measure by scikit-learn; ``None`` where it is not defined."""
        predicted = (score >= self.threshold).astype(np.float64)
        measures: dict[str, Callable[[], float]] = {
            "accuracy": lambda: scikit.accuracy_score(target, predicted),
            "precision": lambda: scikit.precision_score(target, predicted, zero_division=np.nan),
            "recall": lambda: scikit.recall_score(target, predicted, zero_division=np.nan),
            "f1": lambda: scikit.f1_score(target, predicted, zero_division=np.nan),
        }
        if target.min() < target.max():
            measures["roc_auc"] = lambda: scikit.roc_auc_score(target, score)
            measures["average_precision"] = lambda: scikit.average_precision_score(target, score)
            measures["balanced_accuracy"] = lambda: scikit.balanced_accuracy_score(target, predicted)
        if is_probability(score):
            measures["log_loss"] = lambda: scikit.log_loss(target, score, labels=[0, 1])
            measures["brier"] = lambda: scikit.brier_score_loss(target, score, pos_label=1)
        return _finite(measures, names=_CLASSIFICATION)

    def weighted(self, target: Vector, score: Vector) -> Weighted:
        """The same measures for weighted rows."""
        ranking = _Ranking(target, score)
        predicted = score >= self.threshold
        columns = [target * predicted, target, predicted, np.ones(len(target))]
        probability = is_probability(score)
        if probability:
            columns += [_row_log_loss(target, score), (target - score) ** 2]
        table = np.stack(columns, axis=1).astype(np.float64)

        def weighted(weights: Weights) -> dict[str, Vector]:
            sums = (weights @ table).T
            found, positives, picked, rows = sums[:4]
            negatives = rows - positives
            refused = negatives - (picked - found)
            measures = {
                "accuracy": (found + refused) / rows,
                "balanced_accuracy": (_ratio(found, positives) + _ratio(refused, negatives)) / 2,
                "precision": _ratio(found, picked),
                "recall": _ratio(found, positives),
                "f1": _ratio(2 * found, picked + positives),
                **ranking.weighted(weights),
            }
            if probability:
                measures |= {"log_loss": sums[4] / rows, "brier": sums[5] / rows}
            return measures

        return weighted


@dataclass(frozen=True)
class Regression:
    """The measures of a model that predicts a number."""

    def values(self, target: Vector, prediction: Vector) -> dict[str, float | None]:
        """Every measure by scikit-learn; ``None`` where it is not defined."""
        measures: dict[str, Callable[[], float]] = {
            "rmse": lambda: scikit.root_mean_squared_error(target, prediction),
            "mae": lambda: scikit.mean_absolute_error(target, prediction),
            "mape": lambda: scikit.mean_absolute_percentage_error(target, prediction),
            "median_absolute_error": lambda: scikit.median_absolute_error(target, prediction),
            "max_error": lambda: scikit.max_error(target, prediction),
        }
        if target.min() < target.max():
            measures["r2"] = lambda: scikit.r2_score(target, prediction)
        return _finite(measures, names=_REGRESSION)

    def weighted(self, target: Vector, prediction: Vector) -> Weighted:
        """The same measures for weighted rows, but ``max_error``.

        A sample repeats the largest error or misses it: resampling cannot tell how large it might be.
        """
        error = np.abs(target - prediction)
        centred = target - target.mean()  # r2 stays as it is, and squares of large numbers do not cancel
        relative = error / np.maximum(np.abs(target), _SMALLEST)
        table = np.stack([np.ones(len(target)), error, error**2, relative, centred, centred**2], axis=1)
        median = _median(error)

        def weighted(weights: Weights) -> dict[str, Vector]:
            rows, absolute, squared, percentage, first, second = (weights @ table).T
            return {
                "r2": 1 - _ratio(squared, second - first**2 / rows),
                "rmse": np.sqrt(squared / rows),
                "mae": absolute / rows,
                "mape": percentage / rows,
                "median_absolute_error": median(weights),
            }

        return weighted


_CLASSIFICATION = (
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "log_loss",
    "brier",
)
_REGRESSION = ("r2", "rmse", "mae", "mape", "median_absolute_error", "max_error")


def is_probability(score: Vector) -> bool:
    """Whether every score lies between 0 and 1."""
    return bool(score.min() >= 0 and score.max() <= 1)


def _finite(
    measures: Mapping[str, Callable[[], float]], *, names: tuple[str, ...]
) -> dict[str, float | None]:
    values: dict[str, float | None] = dict.fromkeys(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say that a measure is not defined, and so does the None
        for name, measure in measures.items():
            value = float(measure())
            values[name] = value if np.isfinite(value) else None
    return values


def _ratio(part: Vector, whole: Vector) -> Vector:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _row_log_loss(target: Vector, score: Vector) -> Vector:
    clipped = np.clip(
        score, _SMALLEST, 1 - _SMALLEST
    )  # as scikit-learn: a certain mistake is not infinitely bad
    loss: Vector = -(target * np.log(clipped) + (1 - target) * np.log(1 - clipped))
    return loss


class _Ranking:
    """Rows from the highest score to the lowest, rows of equal score as one."""

    def __init__(self, target: Vector, score: Vector) -> None:
        self._order = np.argsort(-score, kind="stable")
        self._target = target[self._order]
        changes = np.flatnonzero(np.diff(score[self._order])) + 1
        self._first_of_ties = np.concatenate([[0], changes])

    def weighted(self, weights: Weights) -> dict[str, Vector]:
        all_ = weights[:, self._order]
        positive = all_ * self._target
        if len(self._first_of_ties) < len(self._order):
            all_ = np.add.reduceat(all_, self._first_of_ties, axis=1)
            positive = np.add.reduceat(positive, self._first_of_ties, axis=1)
        positives_above = np.cumsum(positive, axis=1)
        positives = positives_above[:, -1]
        precision = positives_above / np.maximum(np.cumsum(all_, axis=1), 1.0)
        average_precision = np.einsum("ij,ij->i", precision, positive)
        negative = all_ - positive
        pairs_won = np.einsum("ij,ij->i", negative, positives_above - positive / 2)
        pairs = positives * negative.sum(axis=1)
        return {
            "roc_auc": _ratio(pairs_won, pairs),
            "average_precision": np.where(pairs > 0, _ratio(average_precision, positives), np.nan),
        }


def _median(values: Vector) -> Callable[[Weights], Vector]:
    order = np.argsort(values, kind="stable")
    ranked = values[order]

    def median(weights: Weights) -> Vector:
        reached = np.cumsum(weights[:, order], axis=1)
        rows = reached[:, -1]
        lower = (reached >= np.ceil(rows / 2)[:, None]).argmax(axis=1)
        upper = (reached >= np.floor(rows / 2)[:, None] + 1).argmax(axis=1)
        middle: Vector = (ranked[lower] + ranked[upper]) / 2
        return middle

    return median
