"""What a worker did, in the text format of Prometheus; rows, errors and score are named as over REST."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from airlock_host.columns import Array
from airlock_host.schema import Schema
from airlock_host.serving.measurements import SECONDS, Histogram, Measurements
from airlock_host.snapshot import Deployment
from airlock_host.stream.ends import TopicEnd
from airlock_host.stream.settings import Reads, Share

_RATE_SECONDS = 5.0


class StreamMeasurements(Measurements):
    """Records by what became of them, micro-batches, lag, throughput, and what is in force."""

    def __init__(self, deployment: Deployment, outputs: Schema) -> None:
        super().__init__(deployment, outputs)
        self._read = self._answered = self._forwarded = self._aborted = 0
        self._dead: dict[str, int] = {}
        self._batches = 0
        self._batch_seconds = Histogram(SECONDS)
        self._lags: Mapping[int, int] = {}
        self._paused = False
        self._reads: Reads = "nothing"
        self._share: Share | None = None
        self._file_right = True
        self._end: TopicEnd | None = None
        self._rate = 0.0
        self._rated = (time.monotonic(), 0)

    def batch(self, records: int, seconds: float) -> None:
        """Count a micro-batch that was committed, with the time since its last record was read."""
        self._read += records
        self._batches += 1
        self._batch_seconds.add(seconds)

    def answered(self, answered: int, forwarded: int, scored: Iterable[tuple[int, Array | None]]) -> None:
        """Count what was committed; of each part that was scored at once, see :meth:`scored`."""
        self._answered += answered
        self._forwarded += forwarded
        for rows, scores in scored:
            self.scored(rows, scores)

    def dead_letter(self, reason: str) -> None:
        """Count a dead letter that was committed."""
        self._dead[reason] = self._dead.get(reason, 0) + 1
        self.refused(reason)

    def aborted(self) -> None:
        """Count a transaction that was given up."""
        self._aborted += 1

    def lag(self, lags: Mapping[int, int]) -> None:
        """Take how many records each partition is behind, and the rate since some seconds ago."""
        self._lags = lags
        then, read = self._rated
        now = time.monotonic()
        if now - then >= _RATE_SECONDS:
            self._rate = (self._read - read) / (now - then)
            self._rated = (now, self._read)

    def paused(self, paused: bool) -> None:
        """Take whether reading waits for the model."""
        self._paused = paused

    def in_force(self, reads: Reads, share: Share | None, *, right: bool = True) -> None:
        """Take what is read and which share is forwarded, and whether the stream file was right when read."""
        self._reads = reads
        self._share = share
        self._file_right = right

    def watch(self, end: TopicEnd) -> None:
        """Tell from now on whether the end of what is read is reached."""
        self._end = end

    def collect(self) -> Iterable[Metric]:
        """The metric families; called by prometheus-client."""
        yield from super().collect()
        names, values = list(self.labels), list(self.labels.values())
        for name, what, count in (
            ("records_in", "Records read and committed.", self._read),
            ("records_out", "Answers committed.", self._answered),
            ("records_forwarded", "Records forwarded to the share's topic.", self._forwarded),
            ("batches", "Micro-batches.", self._batches),
            ("aborts", "Transactions given up.", self._aborted),
        ):
            counter = CounterMetricFamily(f"airlock_stream_{name}", what, labels=names)
            counter.add_metric(values, count)
            yield counter
        dead = CounterMetricFamily(
            "airlock_stream_dead_letters", "Dead letters committed.", labels=[*names, "reason"]
        )
        for reason, count in sorted(self._dead.items()):
            dead.add_metric([*values, reason], count)
        yield dead
        seconds = HistogramMetricFamily(
            "airlock_stream_batch_seconds", "Time from a micro-batch read to its commit.", labels=names
        )
        seconds.add_metric(values, self._batch_seconds.buckets(), self._batch_seconds.sum)
        yield seconds
        lag = GaugeMetricFamily(
            "airlock_stream_lag", "Records behind, by partition.", labels=[*names, "partition"]
        )
        for partition, behind in sorted(self._lags.items()):
            lag.add_metric([*values, str(partition)], behind)
        yield lag
        for name, what, value in (
            ("records_per_second", "Records read, over the last seconds.", self._rate),
            ("paused", "Whether reading waits for the model.", float(self._paused)),
            ("file_right", "Whether the stream file was right when read last.", float(self._file_right)),
        ):
            gauge = GaugeMetricFamily(f"airlock_stream_{name}", what, labels=names)
            gauge.add_metric(values, value)
            yield gauge
        reads = self._reads
        at_end = GaugeMetricFamily(
            "airlock_stream_at_end",
            "Whether all that could be read of the topic is read, answered and committed.",
            labels=names,
        )
        at_end.add_metric(values, float(self._end is not None and self._end.reached(reads)))
        yield at_end
        reading = GaugeMetricFamily("airlock_stream_reads", "What is read.", labels=[*names, "reads"])
        for name in get_args(Reads):
            reading.add_metric([*values, name], float(name == reads))
        yield reading
        share = GaugeMetricFamily(
            "airlock_stream_share_percent", "The share of keys that is forwarded.", labels=[*names, "topic"]
        )
        in_force = self._share or Share("", 0.0)
        share.add_metric([*values, in_force.topic], in_force.percent)
        yield share
