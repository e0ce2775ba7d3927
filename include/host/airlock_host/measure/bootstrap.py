"""Confidence intervals by resampling rows, the same rows for candidate and champion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from airlock_host.measure.metrics import Classification, Regression, Weighted, Weights
from airlock_host.measure.vectors import Vector

MOST_ROWS_DRAWN = 100_000
"""Of larger data this many rows are resampled, and the spread shrunk by the square root of the sizes."""

_CELLS_AT_ONCE = 500_000
"""Weights held at once: 4 MB, which processor caches hold."""
_MOST_UNDEFINED = 0.05
"""Where more samples than this leave a measure undefined, an interval of the others would flatter."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """What resampling says, by measure; a measure of which it says nothing is absent."""

    candidate: dict[str, Interval]
    champion: dict[str, Interval]
    difference: dict[str, Interval]


def seed(*parts: str) -> int:
    """A seed that follows from what is measured, so that measuring again draws the same samples."""
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:8], "big")


def intervals(
    task: Classification | Regression,
    target: Vector,
    candidate: Vector,
    champion: Vector | None,
    *,
    resamples: int,
    confidence: float,
    random_seed: int,
) -> Intervals:
    """Percentile intervals of each measure, and of candidate minus champion, paired by row.

    :param target: one value a row, aligned with the predictions of both.
    :param confidence: for example 0.95.
    """
    random = np.random.default_rng(random_seed)
    drawn = np.arange(len(target))
    if len(target) > MOST_ROWS_DRAWN:
        drawn = np.sort(random.choice(len(target), MOST_ROWS_DRAWN, replace=False))
    models = [
        _Resampled(task, target, prediction, drawn)
        for prediction in (candidate, champion)
        if prediction is not None
    ]
    with threadpool_limits(1):  # small products: a second thread would only spin
        for weights in _weights(random, len(drawn), resamples):
            for model in models:
                model.draw(weights)
    spreads = [model.spreads() for model in models]
    difference = {}
    if champion is not None:
        difference = {
            name: spreads[0][name] - spreads[1][name] for name in spreads[0].keys() & spreads[1].keys()
        }
    return Intervals(
        candidate=_intervals(spreads[0], confidence),
        champion=_intervals(spreads[1], confidence) if champion is not None else {},
        difference=_intervals(difference, confidence),
    )


@dataclass(frozen=True)
class _Spread:
    """How one measure varies over the samples.

    :param of_drawn_rows: its value on the rows that samples were drawn from.
    :param shrink: how much less it varies on all rows than on those.
    """

    of_all_rows: float
    of_drawn_rows: float
    samples: Vector
    shrink: float

    def __sub__(self, other: _Spread) -> _Spread:
        return _Spread(
            self.of_all_rows - other.of_all_rows,
            self.of_drawn_rows - other.of_drawn_rows,
            self.samples - other.samples,
            self.shrink,
        )

    def interval(self, confidence: float) -> Interval | None:
        defined = self.samples[np.isfinite(self.samples)]
        if len(defined) < (1 - _MOST_UNDEFINED) * len(self.samples) or not np.isfinite(self.of_all_rows):
            return None
        tail = (1 - confidence) / 2
        low, high = self.of_all_rows + self.shrink * (
            np.quantile(defined, [tail, 1 - tail]) - self.of_drawn_rows
        )
        return float(low), float(high)


class _Resampled:
    """One model's measures over the samples."""

    def __init__(
        self,
        task: Classification | Regression,
        target: Vector,
        prediction: Vector,
        drawn: np.typing.NDArray[np.intp],
    ) -> None:
        self._of_all_rows = _unweighted(task.weighted(target, prediction), len(target))
        self._weighted = task.weighted(target[drawn], prediction[drawn])
        self._of_drawn_rows = _unweighted(self._weighted, len(drawn))
        self._shrink = float(np.sqrt(len(drawn) / len(target)))
        self._samples: dict[str, list[Vector]] = {name: [] for name in self._of_drawn_rows}

    def draw(self, weights: Weights) -> None:
        for name, values in self._weighted(weights).items():
            self._samples[name].append(values)

    def spreads(self) -> dict[str, _Spread]:
        return {
            name: _Spread(
                self._of_all_rows[name], self._of_drawn_rows[name], np.concatenate(samples), self._shrink
            )
            for name, samples in self._samples.items()
            if name in self._of_all_rows
        }


def _intervals(spreads: dict[str, _Spread], confidence: float) -> dict[str, Interval]:
    found = {name: spread.interval(confidence) for name, spread in spreads.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def _weights(random: np.random.Generator, rows: int, samples: int) -> Iterator[Weights]:
    """How often each row is drawn, a block of samples at a time."""
    at_once = max(1, _CELLS_AT_ONCE // rows)
    for begin in range(0, samples, at_once):
        count = min(at_once, samples - begin)
        picked = random.integers(0, rows, size=(count, rows))
        picked += np.arange(count)[:, None] * rows
        yield np.bincount(picked.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def _unweighted(weighted: Weighted, rows: int) -> dict[str, float]:
    return {name: float(values[0]) for name, values in weighted(np.ones((1, rows))).items()}
