"""A shadow's answers are compared with those of the current version."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from airlock_host.measure import run
from airlock_host.stream.shares import holds
from host.building import MEAN, build_snapshot
from host.serving.live import wait_for
from host.stream.conftest import NUMBER
from host.stream.kafka import StartWorker, Stream
from host.stream.numbers import numbers_in, write_numbers

HALF = """
    import numpy as np

    def score(rows: np.ndarray) -> np.ndarray:
        return np.where(rows[:, 0] == 6, 13.0, rows[:, 0] * 2)
"""


def test_a_shadow_answers_beside_and_is_compared(
    stream: Stream, double: Path, start_worker: StartWorker, tmp_path: Path
) -> None:
    """A shadow is a worker with a group and topics of its own on the same input."""
    own = {name: stream.cluster.topic(name) for name in ("output", "dead_letter")}
    shadow = Stream(
        stream.cluster, tmp_path / "shadow.json", {**stream.content, **own, "group": own["output"]}
    )
    shadow.change()
    other = build_snapshot(tmp_path / "other", HALF, inputs=NUMBER, outputs=MEAN)
    workers = [start_worker(double), start_worker(other, file=shadow)]
    write_numbers(stream, 0, 700)
    stream.wait()
    shadow.wait()
    assert [worker.end() for worker in workers] == [0, 0]
    assert numbers_in(stream.answers()) == numbers_in(shadow.answers()) == list(range(700))
    compared = run({"kind": "shadow", "stream": str(stream.path), "shadow": str(shadow.path), "output": MEAN})
    assert (compared["n"], compared["differ"]) == (700, 100)
    assert compared["numbers"]["mean"]["greatest"] == 1
    assert compared["only_current"]["n"] == compared["only_shadow"]["n"] == 0


def test_a_part_of_the_keys_since_a_time_while_the_topics_grow(
    stream: Stream, double: Path, start_worker: StartWorker, tmp_path: Path
) -> None:
    """One service: both versions have the same group and topics, and the shadow began later."""
    beside = {name: stream.cluster.topic(f"shadow-{name}") for name in ("output", "dead_letter")}
    shadow = Stream(
        stream.cluster,
        tmp_path / "shadow.json",
        {**stream.content, "instance": "new", "reads": "shadow", "shadow": {**beside, "percent": 30}},
    )
    shadow.change()
    other = build_snapshot(tmp_path / "other", HALF, inputs=NUMBER, outputs=MEAN)
    worker = start_worker(double)
    write_numbers(stream, 0, 1_000)
    stream.wait()
    new = start_worker(other, file=shadow)
    new.ready()
    wait_for(lambda: new.metric("airlock_stream_at_end") == {"": 1}, "the end, where it begins")
    write_numbers(stream, 1_000, 2_000)
    wait_for(lambda: new.metric("airlock_stream_records_in_total") == {"": 1_000}, "the shadow")
    stream.wait()
    time.sleep(0.01)
    since = time.time()
    write_numbers(stream, 2_000, 3_000)
    wait_for(lambda: new.metric("airlock_stream_records_in_total") == {"": 2_000}, "the shadow")
    stream.wait()
    growing, over = threading.Thread(target=lambda: write_on(stream, over)), threading.Event()
    growing.start()
    job = {"kind": "shadow", "stream": str(stream.path), "shadow": str(shadow.path), "output": MEAN}
    try:
        compared = [run(job | {"since": since}), run(job)]
    finally:
        over.set()
        growing.join()
    assert [one.end() for one in (worker, new)] == [0, 0]
    for result, first in zip(compared, (2_000, 1_000), strict=True):
        held = [n for n in range(first, 3_000) if holds(30, str(n).encode(), "", 0, 0)]
        assert result["n"] >= len(held)
        assert result["only_current"]["n"] == result["only_shadow"]["n"] == 0
    assert compared[0]["n"] < compared[1]["n"]
    assert compared[1]["differ"] > 0


def write_on(stream: Stream, over: threading.Event) -> None:
    first = 3_000
    while not over.wait(0.05):
        write_numbers(stream, first, first + 100)
        first += 100
