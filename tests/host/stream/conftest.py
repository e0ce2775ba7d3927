"""A cluster for all tests; topics, a group and workers for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host.building import MEAN, build_snapshot
from host.stream.kafka import REAL, Cluster, LiveWorker, StartWorker, Stream

# Answers twice a number, and fails on 13.
DOUBLE = """
    import numpy as np

    def score(rows: np.ndarray) -> np.ndarray:
        if (rows == 13).any():
            raise ValueError("13 brings bad luck")
        return rows[:, 0] * 2
"""
NUMBER = ({"name": "n", "type": "number"},)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster: one for all tests, each has its own topics."""
    return Cluster()


@pytest.fixture
def stream(tmp_path: Path, cluster: Cluster) -> Stream:
    """New topics and a group, in a file."""
    topics = {name: cluster.topic(name) for name in ("input", "output", "dead_letter")}
    # What brokers usually allow. The mock allows less, so that a dead worker is missed sooner; at less than a
    # second it now and then forgets who asked to join.
    session = {"session.timeout.ms": 6_000 if REAL else 1_500, "heartbeat.interval.ms": 300}
    client = {"bootstrap.servers": cluster.servers, "fetch.wait.max.ms": 10, **session}
    content: dict[str, Any] = {"client": client, "group": topics["input"], "format": "json", **topics}
    made = Stream(cluster, tmp_path / "stream.json", content)
    made.change()
    return made


@pytest.fixture
def double(tmp_path: Path) -> Path:
    """The snapshot of the model that doubles."""
    return build_snapshot(tmp_path / "double", DOUBLE, inputs=NUMBER, outputs=MEAN)


@pytest.fixture
def start_worker(tmp_path: Path, stream: Stream) -> Iterator[StartWorker]:
    """Starts ``airlock_host stream`` processes and ends them with the test."""
    started: list[LiveWorker] = []

    def start(snapshot: Path, *options: str, file: Stream | None = None, **environment: str) -> LiveWorker:
        worker = LiveWorker(
            snapshot, file or stream, tmp_path / f"worker-{len(started)}", options, **environment
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
