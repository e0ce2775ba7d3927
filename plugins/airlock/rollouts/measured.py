"""What a deployment did in an interval: the difference of two readings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airlock.exceptions import CheckError
from airlock.rollouts.reading import REQUESTS, UNANSWERED, Reading, Series

_SECONDS = "airlock_request_seconds_bucket"
_RECORDS = "airlock_stream_records_out_total"
_DEAD_LETTERS = "airlock_stream_dead_letters_total"
_BATCH_SECONDS = "airlock_stream_batch_seconds_bucket"
_SCORES = "airlock_score_bucket"
COUNTED_FROM_THE_FIRST = frozenset({REQUESTS, "airlock_errors_total", _DEAD_LETTERS})
"""The host's own counters that show nothing before there is something to count."""

_CLOCKS_DIFFER = timedelta(seconds=60)
"""How far the clocks of Airflow and of a runtime may be apart."""

_NO_ANSWER = {"code": "499"}
"""How a deployment counts requests whose callers left without an answer, or wait for it in vain."""

_NO_FAULT = ("empty", "too_large")
"""Why every version leaves a record without an answer."""

_COUNTERS = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True)
class Histogram:
    """Counts of values by bucket.

    :param bounds: the greatest value of each bucket, rising; the last is infinite.
    :param counts: how many values are in each bucket.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def total(self) -> float:
        """How many values there are."""
        return sum(self.counts)

    def over(self, bounds: Sequence[float]) -> Histogram:
        """The same values in fewer buckets, whose bounds are among its own."""
        counts = []
        below = 0.0
        for bound in bounds:
            up_to = sum(count for own, count in zip(self.bounds, self.counts, strict=True) if own <= bound)
            counts.append(up_to - below)
            below = up_to
        return Histogram(tuple(bounds), tuple(counts))


@dataclass(frozen=True)
class Measured:
    """What one version did in an interval.

    :param increases: how far each counter rose.
    :param values: what everything else is at the end.
    :param restarted: the process that counts began anew within the interval; what it counted before is lost.
    """

    since: datetime
    until: datetime
    increases: Mapping[Series, float]
    values: Mapping[Series, float]
    restarted: bool = False

    @property
    def is_stream(self) -> bool:
        """Whether it answers the records of a topic."""
        return self.knows(_RECORDS)

    @property
    def of(self) -> str:
        """What it answers, as people call it."""
        return "records" if self.is_stream else "requests"

    @property
    def requests(self) -> int:
        """Requests that it answered, however, or left without an answer; of a stream: records.

        Records that it has only passed on, or passed over as a shadow, do not count.
        """
        if self.is_stream:
            return round(self.increase(_RECORDS) + self.increase(_DEAD_LETTERS))
        return round(self.increase(REQUESTS) - self._seen_twice)

    @property
    def errors(self) -> int:
        """Requests that it answered with a status of 400 or above, or not at all.

        Of a stream: records that it could not answer, for a reason that may lie with the version.
        """
        if self.is_stream:
            no_fault = sum(self.increase(_DEAD_LETTERS, {"reason": reason}) for reason in _NO_FAULT)
            return round(self.increase(_DEAD_LETTERS) - no_fault)
        return round(
            sum(
                value
                for (name, labels), value in self.increases.items()
                if name == REQUESTS and _status(dict(labels).get("code", "")) >= 400
            )
            - self._seen_twice
        )

    @property
    def _seen_twice(self) -> float:
        """Requests without an answer that both the deployment and Airlock's gateways have counted.

        Which they are nobody knows: as many as possible, so that no request fails twice.
        """
        return min(self.increase(REQUESTS, _NO_ANSWER), self.increases.get(UNANSWERED, 0.0))

    def increase(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        """How far a counter rose, summed over the series that have these labels."""
        return sum(_matching(self.increases, name, labels or {}))

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """What a metric is, summed over the series that have these labels; ``None`` where there is none."""
        found = list(_matching(self.values, name, labels or {}))
        return sum(found) if found else None

    def knows(self, name: str) -> bool:
        """Whether the deployment shows a metric of this name."""
        return any(name == each for each, _ in self.increases) or any(name == each for each, _ in self.values)

    def counts(self, name: str) -> bool:
        """Whether the deployment shows a counter of this name, or will once there is something to count."""
        is_of_the_other_kind = name == _DEAD_LETTERS and not self.is_stream
        return self.knows(name) or (name in COUNTED_FROM_THE_FIRST and not is_of_the_other_kind)

    def has(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether any series of a counter has these labels."""
        return any(True for _ in _matching(self.increases, name, labels))

    def label_names(self, name: str) -> set[str]:
        """The names of the labels that the series of a metric have."""
        shown = (*self.increases, *self.values)
        return {label for each, labels in shown if each == name for label, _ in labels}

    @property
    def latency(self) -> Histogram:
        """Seconds from request to answer; of a stream, from a micro-batch that was read to its commit."""
        return self._histogram(_BATCH_SECONDS if self.is_stream else _SECONDS)

    @property
    def timed(self) -> str:
        """Of what ``latency`` tells the time, as people call it."""
        return "micro-batches" if self.is_stream else "requests"

    @property
    def scores(self) -> Histogram:
        """The first number of each answer."""
        return self._histogram(_SCORES)

    def _histogram(self, name: str) -> Histogram:
        up_to: dict[float, float] = {}
        for (each, labels), value in self.increases.items():
            if each == name:
                bound = float(dict(labels)["le"])
                up_to[bound] = up_to.get(bound, 0.0) + value
        bounds = tuple(sorted(up_to))
        counts = tuple(
            max(0.0, up_to[bound] - (up_to[bounds[index - 1]] if index else 0.0))
            for index, bound in enumerate(bounds)
        )
        return Histogram(bounds, counts)


def difference(before: Reading, after: Reading) -> Measured:
    """What happened between two readings of one deployment.

    A counter that fell, or a process that began anew, has counted from nothing since: then all that it shows
    belongs to the interval, as Prometheus' ``increase`` has it.

    :raises CheckError: the readings are of two processes that ran side by side.
    """
    if _is_another_process(before, after):
        raise CheckError(
            "The address is answered by several processes, which count each for itself.",
            mend="Run one replica where guards watch.",
        )
    restarted = before.started != after.started or any(
        _is_counter(name) and value < before.samples.get((name, labels), 0.0)
        for (name, labels), value in after.samples.items()
    )
    increases, values = {}, {}
    for series, value in after.samples.items():
        if _is_counter(series[0]):
            is_anew = restarted and series != UNANSWERED  # which the deployment does not count itself
            increases[series] = value if is_anew else value - before.samples.get(series, 0.0)
        else:
            values[series] = value
    return Measured(before.at, after.at, increases, values, restarted)


def _is_another_process(before: Reading, after: Reading) -> bool:
    """Whether what counts now ran already when something else was read."""
    if before.started is None or after.started is None or before.started == after.started:
        return False
    return after.started < before.at.timestamp() - _CLOCKS_DIFFER.total_seconds()


def _is_counter(name: str) -> bool:
    return name.endswith(_COUNTERS)


def _status(code: str) -> int:
    return int(code) if code.isdigit() else 0


def _matching(samples: Mapping[Series, float], name: str, labels: Mapping[str, str]) -> Iterator[float]:
    for (each, own), value in samples.items():
        if each == name and labels.items() <= dict(own).items() and math.isfinite(value):
            yield value
