"""What a deployment did, in the text format of Prometheus.

Counting happens on the event loop only, in plain numbers; prometheus-client only writes them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from airlock_host.columns import Array
from airlock_host.schema import Field, Schema
from airlock_host.snapshot import Deployment

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The code of requests that had no answer. The host answers none with it.
NO_ANSWER = 499

# Twenty buckets a decade, from 0.1 ms to 10 s: the numbers of the series R20 (ISO 3). None is wider than a
# seventh of its lower bound, so that its middle is within 7 % of whatever fell into it.
_R20 = (100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900)
SECONDS = (*(number * 10.0**decade / 100 for decade in range(-4, 1) for number in _R20), 10.0)

# Parts of the way from the least to the greatest score.
_ENDS = (0.001, 0.002, 0.005, 0.01, 0.02)
_TWENTIETHS = tuple(number / 20 for number in range(1, 20))


class Histogram:
    """Counts of values by bucket."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """:param bounds: the greatest value of each bucket but the last, which has no bound."""
        self._bounds = np.asarray(bounds, dtype=np.float64)
        self._counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[self._bounds.searchsorted(value)] += 1
        self._sum += value

    def add_all(self, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        """Count many values; NaN is left out."""
        values = values[~np.isnan(values)]
        self._counts += np.bincount(self._bounds.searchsorted(values), minlength=len(self._counts))
        self._sum += float(values.sum())

    def buckets(self) -> list[tuple[str, float]]:
        """By bucket the count of the values up to its bound."""
        bounds = [f"{bound:.6g}" for bound in self._bounds] + ["+Inf"]
        return list(zip(bounds, np.cumsum(self._counts).astype(float).tolist(), strict=True))

    @property
    def sum(self) -> float:
        """The sum of all values."""
        return self._sum


class Measurements(Collector):
    """Requests, errors by reason, latency, rows, and how the first number the model answers is spread."""

    def __init__(self, deployment: Deployment, outputs: Schema) -> None:
        self._deployment = deployment
        self.labels = {
            "service": deployment.service,
            "stage": deployment.stage,
            "snapshot": deployment.snapshot,
        }
        self._requests: Counter[tuple[str, int]] = Counter()
        self._errors: Counter[str] = Counter()
        self._rows = 0
        self._seconds: dict[str, Histogram] = {}
        self._score_field = outputs.first_number
        self._scores = Histogram(_score_bounds(self._score_field))
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests[endpoint, status] += 1
        if endpoint not in self._seconds:
            self._seconds[endpoint] = Histogram(SECONDS)
        self._seconds[endpoint].add(seconds)

    def unanswered(self, endpoint: str) -> None:
        """Count a request whose caller has gone without its answer, or waits for it too long.

        How long it would have taken nobody knows, so it is in no histogram.
        """
        self._requests[endpoint, NO_ANSWER] += 1
        self.refused("no_answer")

    def refused(self, reason: str) -> None:
        """Count an error."""
        self._errors[reason] += 1

    def scored(self, rows: int, scores: Array | None) -> None:
        """Count the rows of an answer, and the first number in each."""
        self._rows += rows
        if scores is None:
            return
        if rows == 1:
            value = float(scores[0])
            if value == value:
                self._scores.add(value)
        else:
            self._scores.add_all(scores.astype(np.float64, copy=False))

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """The metric families; called by prometheus-client."""
        names, values = list(self.labels), list(self.labels.values())
        info = InfoMetricFamily("airlock_deployment", "The deployment that answers.")
        info.add_metric([], {key: getattr(self._deployment, key) for key in Deployment.__annotations__})
        yield info
        requests = CounterMetricFamily(
            "airlock_requests", "Requests by the code of their answer.", labels=[*names, "endpoint", "code"]
        )
        for (endpoint, status), count in sorted(self._requests.items()):
            requests.add_metric([*values, endpoint, str(status)], count)
        yield requests
        errors = CounterMetricFamily(
            "airlock_errors", "Refused or failed requests.", labels=[*names, "reason"]
        )
        for reason, count in sorted(self._errors.items()):
            errors.add_metric([*values, reason], count)
        yield errors
        rows = CounterMetricFamily("airlock_rows", "Rows scored.", labels=names)
        rows.add_metric(values, self._rows)
        yield rows
        seconds = HistogramMetricFamily(
            "airlock_request_seconds",
            "Time from the whole request read to its answer.",
            labels=[*names, "endpoint"],
        )
        for endpoint, histogram in sorted(self._seconds.items()):
            seconds.add_metric([*values, endpoint], histogram.buckets(), histogram.sum)
        yield seconds
        if self._score_field is not None:
            scores = HistogramMetricFamily(
                "airlock_score",
                "Distribution of the first number the model answers.",
                labels=[*names, "output"],
            )
            scores.add_metric([*values, self._score_field.name], self._scores.buckets(), self._scores.sum)
            yield scores


def _score_bounds(field: Field | None) -> list[float]:
    """Where a number's limits are known twenty equal buckets, and finer ones at both ends, where the answers
    of a model for rare things crowd; otherwise powers of ten of both signs.

    They depend on the output schema alone, so that two versions can be compared.
    """
    if field is not None and field.minimum is not None and field.maximum is not None:
        low, width = field.minimum, field.maximum - field.minimum
        return [low + width * part for part in (*_ENDS, *_TWENTIETHS, *(1 - end for end in _ENDS[::-1]), 1.0)]
    powers = [10.0**power for power in range(-3, 7)]
    return [-power for power in reversed(powers)] + [0.0] + powers
