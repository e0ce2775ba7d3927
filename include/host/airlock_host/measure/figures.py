"""Figures of what was measured: ranking, calibration, errors, time to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import metrics as scikit

from airlock_host.measure.drawing import CANDIDATE, CHAMPION, NEGATIVE, POSITIVE, dots, draw
from airlock_host.measure.metrics import Classification, Regression, is_probability
from airlock_host.measure.vectors import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Figure = dict[str, str]
Curve = tuple[Vector, Vector]

_CURVE_POINTS = 200
_DOTS = 300
_LEAST_ROWS = 10
_CALIBRATION_BINS = 10


def performance(
    task: Classification | Regression, target: Vector, candidate: Vector, champion: Vector | None
) -> list[Figure]:
    """Draw predictions against the truth.

    :param champion: aligned with the candidate's predictions, NaN where it has none.
    :returns: nothing where there are too few rows, or only one class, to draw.
    """
    models = [("candidate", CANDIDATE, target, candidate)]
    if champion is not None and np.isfinite(champion).sum() >= _LEAST_ROWS:
        both = np.isfinite(champion)
        models.append(("champion", CHAMPION, target[both], champion[both]))
    if len(target) < _LEAST_ROWS or any(len(np.unique(truth)) < 2 for _, _, truth, _ in models):
        return []
    if isinstance(task, Regression):
        return [_predicted_actual(target, candidate), _residuals(target, candidate)]
    drawn = [_roc(models), _precision_recall(models)]
    if all(is_probability(score) for _, _, _, score in models):
        drawn.append(_calibration(models))
    return [*drawn, _distribution(target, candidate, task.threshold)]


Models = Sequence[tuple[str, str, Vector, Vector]]
"""Of each model its name, colour, the truth and its predictions."""


def _roc(models: Models) -> Figure:
    areas = {name: scikit.roc_auc_score(truth, score) for name, _, truth, score in models}

    def plot(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=NEGATIVE, linewidth=0.8, linestyle=":")
        for name, colour, truth, score in reversed(models):
            wrong, found, _ = scikit.roc_curve(truth, score)
            axes.plot(*_thin(wrong, found), color=colour, label=f"{name}, area {areas[name]:.3f}")
        axes.set(xlabel="share of negatives taken for positive", ylabel="share of positives found")
        axes.legend(loc="lower right")

    shown = " and ".join(f"{area:.3f} for the {name}" for name, area in areas.items())
    alt = f"ROC curve: positives found against false alarms. The area is {shown}; 0.5 is chance."
    return draw("roc", "Ranking: ROC curve", alt, plot)


def _precision_recall(models: Models) -> Figure:
    averages = {name: scikit.average_precision_score(truth, score) for name, _, truth, score in models}
    base = float(models[0][2].mean())

    def plot(axes: Axes) -> None:
        axes.axhline(base, color=NEGATIVE, linewidth=0.8, linestyle=":")
        for name, colour, truth, score in reversed(models):
            precision, recall, _ = scikit.precision_recall_curve(truth, score)
            axes.plot(*_thin(recall, precision), color=colour, label=f"{name}, average {averages[name]:.3f}")
        axes.set(
            xlabel="share of positives found (recall)", ylabel="share of alarms that are right (precision)"
        )
        axes.set_ylim(0, 1.03)
        axes.legend(loc="best")

    shown = " and ".join(f"{average:.3f} for the {name}" for name, average in averages.items())
    alt = f"Precision against recall. Average precision is {shown}; guessing gives {base:.3f}."
    return draw("precision-recall", "Alarms: precision and recall", alt, plot)


def _calibration(models: Models) -> Figure:
    curves = {name: _calibration_curve(truth, score) for name, _, truth, score in models}
    predicted, observed = curves["candidate"]
    largest = float(np.abs(predicted - observed).max())

    def plot(axes: Axes) -> None:
        edge = max(float(np.max(curve)) for pair in curves.values() for curve in pair) * 1.05
        axes.plot([0, edge], [0, edge], color=NEGATIVE, linewidth=0.8, linestyle=":")
        for name, colour, _, _ in reversed(models):
            axes.plot(*curves[name], color=colour, marker="o", markersize=3.5, label=name)
        axes.set(
            xlabel="predicted probability", ylabel="share that came true", xlim=(0, edge), ylim=(0, edge)
        )
        axes.legend(loc="upper left")

    alt = (
        f"Calibration: predicted probability against the share that came true, in {len(predicted)} groups "
        f"of about equal size; the dotted line is perfect. The candidate is off by at most {largest:.3f}."
    )
    return draw("calibration", "Calibration: are the probabilities true?", alt, plot)


def _calibration_curve(truth: Vector, score: Vector) -> Curve:
    """Mean score and share of positives in groups of equal size; equal scores stay in one group."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, _CALIBRATION_BINS + 1)[1:-1]))
    group = np.searchsorted(edges, score, side="left")
    size = np.bincount(group)
    filled = size > 0
    return (
        np.bincount(group, score)[filled] / size[filled],
        np.bincount(group, truth)[filled] / size[filled],
    )


def _distribution(truth: Vector, score: Vector, threshold: float) -> Figure:
    low, high = float(score.min()), float(score.max())
    edges = np.linspace(low, high if high > low else low + 1, 31)

    def plot(axes: Axes) -> None:
        for value, colour, label in ((0, NEGATIVE, "negatives"), (1, POSITIVE, "positives")):
            rows = score[truth == value]
            share = np.histogram(rows, edges)[0] / len(rows)
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.35)
            axes.stairs(share, edges, color=colour, label=f"{label}, n = {len(rows):,}")
        if low <= threshold <= high:
            axes.axvline(
                threshold, color=CANDIDATE, linewidth=1, linestyle="--", label=f"threshold {threshold:g}"
            )
        axes.set(xlabel="score", ylabel="share of the class")
        axes.legend(loc="best")

    means = [float(score[truth == value].mean()) for value in (0, 1)]
    alt = (
        f"Distribution of the candidate's scores by true class: on average {means[0]:.3f} for negatives and "
        f"{means[1]:.3f} for positives. The less the two overlap, the better."
    )
    return draw("distribution", "Scores by true class", alt, plot)


def _predicted_actual(target: Vector, prediction: Vector) -> Figure:
    shown = _spread_over(len(target))
    low, high = float(min(target.min(), prediction.min())), float(max(target.max(), prediction.max()))

    def plot(axes: Axes) -> None:
        axes.plot([low, high], [low, high], color=NEGATIVE, linewidth=0.8, linestyle=":")
        axes.add_patch(dots(prediction[shown], target[shown], CANDIDATE))
        axes.autoscale_view()
        axes.set(xlabel="predicted", ylabel="actual")

    alt = (
        f"Actual against predicted values, {len(shown):,} of {len(target):,} rows; the dotted line is "
        f"perfect. The correlation is {np.corrcoef(target, prediction)[0, 1]:.3f}."
    )
    return draw("predicted-actual", "Predicted and actual", alt, plot)


def _residuals(target: Vector, prediction: Vector) -> Figure:
    residual = target - prediction
    quarter, middle, three_quarters = np.quantile(residual, [0.25, 0.5, 0.75])

    def plot(axes: Axes) -> None:
        share, edges = np.histogram(residual, 40)
        axes.stairs(share / len(residual), edges, fill=True, color=CANDIDATE, alpha=0.5)
        axes.axvline(0, color=NEGATIVE, linewidth=0.8, linestyle=":")
        axes.set(xlabel="actual minus predicted", ylabel="share of rows")

    alt = (
        f"Distribution of errors (actual minus predicted): half of them lie between {quarter:.4g} and "
        f"{three_quarters:.4g}, the middle one is {middle:.4g}."
    )
    return draw("residuals", "Errors", alt, plot)


def latency(milliseconds: Vector, percentiles: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """Draw how long answers took.

    :param milliseconds: of each well-answered request.
    :param percentiles: by name, such as ``p99_ms``, with their ``value``.
    """
    if len(milliseconds) < _LEAST_ROWS:
        return []
    colours = dict(zip(percentiles, (NEGATIVE, CHAMPION, POSITIVE), strict=False))
    labels = {name: f"p{name[1:-3]} {found['value']:.3g} ms" for name, found in percentiles.items()}

    def plot(axes: Axes) -> None:
        low, high = float(milliseconds[0]), float(milliseconds[-1])
        edges = np.geomspace(low, high if high > low else low * 2, 41)
        axes.stairs(np.histogram(milliseconds, edges)[0], edges, fill=True, color=CANDIDATE, alpha=0.6)
        for name, found in percentiles.items():
            axes.axvline(
                found["value"], color=colours[name], linewidth=1.2, linestyle="--", label=labels[name]
            )
        axes.set_xscale("log")
        axes.set(xlabel="time to answer, ms (logarithmic)", ylabel="requests")
        axes.xaxis.set_major_formatter(_plain_number)
        axes.xaxis.set_minor_formatter(_plain_number)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(labels))

    alt = (
        f"Distribution of the time to answer of {len(milliseconds):,} requests: {', '.join(labels.values())}."
    )
    return [draw("latency", "Time to answer", alt, plot, size=(6.0, 3.0))]


def _plain_number(value: float, _position: float) -> str:
    """Label 1, 2 and 5 of each decade."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def _thin(x: Vector, y: Vector) -> Curve:
    """A curve with few points, evenly along its length; its ends stay."""
    if len(x) <= _CURVE_POINTS:
        return x, y
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], _CURVE_POINTS)))
    return x[kept], y[kept]


def _spread_over(rows: int) -> np.typing.NDArray[np.intp]:
    """Positions of at most some hundred rows, evenly chosen."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _DOTS)).astype(np.intp))
