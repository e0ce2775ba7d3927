"""Performance: measures on labelled data, with intervals, and compared with the champion row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlock_host.exceptions import InputUnusable
from airlock_host.measure import figures
from airlock_host.measure.bootstrap import Intervals, intervals, seed
from airlock_host.measure.dataset import Dataset
from airlock_host.measure.metrics import Classification, Regression, is_probability
from airlock_host.measure.predictions import Predictions, Scored, echoed
from airlock_host.measure.rounding import rounded
from airlock_host.measure.vectors import Vector
from airlock_host.schema import Schema

Rows = NDArray[np.bool_]


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the candidate's predictions, and the champion's where there is one.

    Nothing is judged here. What cannot be measured is absent or ``None``; ``problems`` says why.

    :raises InputUnusable: the data set cannot be used: a column is missing, the target is no 0 or 1.
    """
    results = job.get("results", {})
    candidate_job, champion_job = job["candidate"], job["champion"]
    inputs = Schema.read(candidate_job["input"])
    dataset = Dataset.open(job["dataset"], inputs)
    task = Classification(job["threshold"]) if job["task"] == "classification" else Regression()
    target = _target(dataset, task)
    candidate = _candidate(candidate_job, dataset, results)
    champion = None
    if champion_job is not None and "champion_score" in results:
        champion = _Model(
            champion_job, dataset, Scored.read(results["champion_score"], champion_job["rejects"])
        )
    labelled = np.isfinite(target)
    comparison = _Comparison(job, task, dataset.digest, target, labelled, candidate, champion)
    used, known = target[comparison.rows], target[labelled]
    measured = {
        "task": job["task"],
        "dataset": dataset.facts,
        "rows": {
            "labelled": int(labelled.sum()),
            "used": len(used),
            "refused": candidate.predictions.rejected,
            "duplicates": dataset.duplicates(),
        },
        "classes": [int((known == 0).sum()), int((known == 1).sum())]
        if isinstance(task, Classification)
        else None,
        "target_varies": bool(len(known) > 0 and known.min() < known.max()),
        "order_proven_by": echoed(candidate.features, candidate.outputs),
        **comparison.measured(),
    }
    drawn = figures.performance(
        task,
        used,
        candidate.predictions.values[comparison.rows],
        None if champion is None else champion.predictions.values[comparison.rows],
    )
    return {**rounded(measured), "figures": drawn}


def _target(dataset: Dataset, task: Classification | Regression) -> Vector:
    target = dataset.numbers()
    if isinstance(task, Classification) and not np.isin(target[np.isfinite(target)], (0.0, 1.0)).all():
        raise InputUnusable(
            f"the target {dataset.target!r} of data set {dataset.name!r} holds other values than 0 and 1: "
            "these measures are for two classes",
            field=dataset.target,
        )
    return target


def _candidate(job: Mapping[str, Any], dataset: Dataset, results: Mapping[str, Any]) -> _Model:
    if job["endpoint"] is None:
        return _Model(job, dataset, Scored.read(results["score"], job["rejects"]))
    features, outputs = dataset.features(Schema.read(job["input"])), Schema.read(job["output"])
    wanted = [job["column"], *echoed(features, outputs)]
    return _Model(job, dataset, Scored.ask(job["endpoint"], features, outputs, wanted))


class _Model:
    """One model's predictions for the rows of the data set."""

    def __init__(self, job: Mapping[str, Any], dataset: Dataset, scored: Scored) -> None:
        self.name = str(job["snapshot"])
        self.digest = str(job["digest"])
        self.column = str(job["column"])
        self.outputs = Schema.read(job["output"])
        self.features = dataset.features(Schema.read(job["input"]))
        self.predictions = Predictions.match(scored, self.features, self.outputs, self.column)

    @property
    def predicted(self) -> Rows:
        return np.isfinite(self.predictions.values)


class _Comparison:
    """The candidate on all its rows, and candidate and champion on the rows that both predicted.

    :ivar rows: labelled rows that the candidate predicted.
    """

    def __init__(
        self,
        job: Mapping[str, Any],
        task: Classification | Regression,
        dataset_digest: str,
        target: Vector,
        labelled: Rows,
        candidate: _Model,
        champion: _Model | None,
    ) -> None:
        self._task = task
        self._target = target
        self._candidate = candidate
        self._champion = champion
        self._resamples = int(job["resamples"])
        self._confidence = float(job["confidence"])
        self._seed = seed(dataset_digest, candidate.digest, champion.digest if champion is not None else "")
        self.rows = labelled & candidate.predicted
        self._shared = self.rows & champion.predicted if champion is not None else self.rows

    def measured(self) -> dict[str, Any]:
        spread = self._intervals(self._shared, self._champion)
        paired = spread
        if (self._shared != self.rows).any():
            spread = self._intervals(self.rows, None)
        return {
            "candidate": {**self._model(self._candidate, self.rows), "intervals": spread.candidate},
            "champion": None if self._champion is None else self._compared(self._champion, paired),
        }

    def _compared(self, champion: _Model, paired: Intervals) -> dict[str, Any]:
        ours = self._values(self._candidate, self._shared)
        theirs = self._values(champion, self._shared)
        pairs = {name: (ours[name], theirs[name]) for name in theirs}
        differences = {name: a - b for name, (a, b) in pairs.items() if a is not None and b is not None}
        return {
            **self._model(champion, self._shared),
            "snapshot": champion.name,
            "intervals": paired.champion,
            "differences": differences,
            "difference_intervals": paired.difference,
        }

    def _model(self, model: _Model, rows: Rows) -> dict[str, Any]:
        predictions = model.predictions.values[rows]
        return {
            "column": model.column,
            "rows": int(rows.sum()),
            "problems": model.predictions.problems,
            "is_probability": bool(len(predictions)) and is_probability(predictions),
            "values": self._values(model, rows),
        }

    def _values(self, model: _Model, rows: Rows) -> dict[str, float | None]:
        return self._task.values(self._target[rows], model.predictions.values[rows]) if rows.any() else {}

    def _intervals(self, rows: Rows, champion: _Model | None) -> Intervals:
        if not rows.any():
            return Intervals({}, {}, {})
        return intervals(
            self._task,
            self._target[rows],
            self._candidate.predictions.values[rows],
            None if champion is None else champion.predictions.values[rows],
            resamples=self._resamples,
            confidence=self._confidence,
            random_seed=self._seed,
        )
