"""The measures of performance that Airlock knows: their task, which way is better, what values they have."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Metric:
    """A measure of performance.

    :param range: the least and the greatest value it can have.
    """

    task: Task
    higher_is_better: bool
    range: tuple[float, float]


METRICS: dict[str, Metric] = {
    "roc_auc": Metric("classification", True, (0, 1)),
    "average_precision": Metric("classification", True, (0, 1)),
    "accuracy": Metric("classification", True, (0, 1)),
    "balanced_accuracy": Metric("classification", True, (0, 1)),
    "precision": Metric("classification", True, (0, 1)),
    "recall": Metric("classification", True, (0, 1)),
    "f1": Metric("classification", True, (0, 1)),
    "log_loss": Metric("classification", False, (0, inf)),
    "brier": Metric("classification", False, (0, 1)),
    "r2": Metric("regression", True, (-inf, 1)),
    "rmse": Metric("regression", False, (0, inf)),
    "mae": Metric("regression", False, (0, inf)),
    "mape": Metric("regression", False, (0, inf)),
    "median_absolute_error": Metric("regression", False, (0, inf)),
    "max_error": Metric("regression", False, (0, inf)),
}
"""By name, as in scikit-learn (``brier`` is the Brier score loss, ``rmse`` the root mean squared error)."""
