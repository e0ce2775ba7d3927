"""The process that streams."""

from __future__ import annotations

import json
from pathlib import Path

from host.stream.kafka import StartWorker, Stream, headers


def test_records_are_answered_and_stamped(stream: Stream, double: Path, start_worker: StartWorker) -> None:
    stream.cluster.write(
        stream.content["input"],
        ({"key": f"k{n}", "value": json.dumps({"n": n}), "partition": n % 4} for n in range(8)),
    )
    worker = start_worker(
        double,
        AIRLOCK_SNAPSHOT="double@3",
        AIRLOCK_DIGEST="sha256:abc",
        AIRLOCK_DEPLOYMENT="dep-1",
        AIRLOCK_SERVICE="doubling",
        AIRLOCK_STAGE="SIT",
    )
    worker.ready()
    stream.wait()
    answers = {message.key(): message for message in stream.answers()}
    assert {key: json.loads(answer.value() or b"") for key, answer in answers.items()} == {
        f"k{n}".encode(): {"mean": n * 2.0} for n in range(8)
    }
    stamps = headers(answers[b"k6"])
    assert stamps.pop("airlock-transaction").startswith(stream.content["group"])
    assert stamps == {
        "airlock-snapshot": "double@3",
        "airlock-digest": "sha256:abc",
        "airlock-deployment": "dep-1",
        "airlock-service": "doubling",
        "airlock-stage": "SIT",
        "airlock-topic": stream.content["input"],
        "airlock-partition": "2",
        "airlock-offset": "1",
    }
    assert worker.end() == 0, worker.log
