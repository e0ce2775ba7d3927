"""Kafka: the host's worker against mlserver's Kafka mode.

::

    python benchmarks/stream_peers.py [--records 60000] [--rounds 3] [--quick]

Prints one line of JSON, and a table on standard error. Both score JSON records of the same 20 numbers from a
topic of four partitions with the same logistic regression, in one process, on the cluster of ``stream.py``:

- ``host``: ``airlock_host stream``, plain records. Answers and offsets are committed in one transaction:
  each record gets one answer, whatever ends when. It goes on where its group stands.
- ``mlserver``: mlserver with its runtime for scikit-learn, one tensor of the Open Inference Protocol V2 a
  record, which is all it reads. It has no transactions and no consumer group: each start begins at the end of
  the topic. What came while it was down gets no answer, and what it was working on when it ended none either;
  where its producer tries again, an answer can be there twice. Broken records are only logged.

They take turns. The host is measured as ``stream.py`` does it: its topic is filled before it starts, and
what comes before the first tenth of its answers is its start-up. mlserver, with a tenth as many records, has
to run before they are written; the time is from the first that is written to the last that is answered. The
answer to the first record is held against the model. Where mlserver cannot be installed or started, the
reason takes the place of its numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host_subjects as subjects
from benchmarks import rest_load, stream
from benchmarks import servers as peers

if TYPE_CHECKING:
    from confluent_kafka import Consumer

BATCH = 2_000
PATIENCE_SECONDS = 120
FEWER = 10
"""How many times fewer records mlserver gets, which take it as long or longer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 20,000 records")
    options = parser.parse_args()
    if options.quick:
        options.records, options.rounds = 20_000, 1
    subjects.run_in_own_environment(__file__)
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder, cluster() as address:
        report = measure(Path(folder), address, options.records, options.rounds)
    print(json.dumps(report))
    print(table(report), file=sys.stderr)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The address of librdkafka's mock in a process of its own, or of the real cluster."""
    real = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if real:
        yield real
        return
    mock = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stream.py")), "--contestant", "cluster"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert mock.stdout is not None
    try:
        yield mock.stdout.readline().strip()
    finally:
        mock.communicate("")


def measure(folder: Path, address: str, records: int, rounds: int) -> dict[str, Any]:
    """Let both take turns."""
    import joblib

    report: dict[str, Any] = {"benchmark": "stream_peers", "records": records, "rounds": rounds}
    model = subjects.learn("linear")
    snapshot = subjects.write_snapshot(folder / "snapshot", model)
    stored = folder / "model.joblib"
    joblib.dump(model, stored)
    rows = subjects.features(1_000, seed=10)
    right = float(model.predict_proba(rows[:1])[0, 1])
    report["mlserver"] = {"version": peers.version_of("mlserver")}
    runs: dict[str, list[float]] = {"host": [], "mlserver": []}
    measured = peers.Measured()
    with peers.noting(measured):
        peers.prepare("mlserver")
    report |= subjects.machine()
    for _ in range(rounds):
        print("host", file=sys.stderr, flush=True)
        runs["host"].append(host(folder, address, snapshot, rows.tolist(), records, right))
        if not measured.not_measured:
            print("mlserver", file=sys.stderr, flush=True)
            with peers.noting(measured):
                found = mlserver(folder, address, stored, rows.tolist(), records // FEWER, right)
                runs["mlserver"].append(found)
    report["host"] = {"records_per_second": round(statistics.median(runs["host"]))}
    if measured.not_measured:
        report["mlserver"]["not_measured"] = measured.not_measured
        return report
    report["mlserver"] |= {
        "records": records // FEWER,
        "records_per_second": round(statistics.median(runs["mlserver"])),
    }
    ratios = [one / other for one, other in zip(runs["host"], runs["mlserver"], strict=True)]
    report["host"]["times_mlserver"] = round(statistics.median(ratios), 2)
    return report


def host(folder: Path, address: str, snapshot: Path, rows: peers.Rows, records: int, right: float) -> float:
    """Records a second of the host."""
    topics = [stream.new_topic(address) for _ in range(3)]
    values = [json.dumps(dict(zip(subjects.FEATURES, row, strict=True))).encode() for row in rows]
    settings = {
        "client": {"bootstrap.servers": address, "fetch.wait.max.ms": 10},
        "group": f"host-{uuid.uuid4().hex}",
        "batch": {"records": BATCH},
        **dict(zip(("input", "output", "dead_letter"), topics, strict=True)),
    }
    fill(address, topics[0], values, records)
    (folder / "stream.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [str(subjects.PYTHON), "-m", "airlock_host", "stream", "--model", str(snapshot), "--port", "0"]
    command += ["--stream", str(folder / "stream.json")]
    deployment = {
        "AIRLOCK_SNAPSHOT": "benchmark@1",
        "AIRLOCK_DIGEST": "sha256:" + "0" * 64,
        "AIRLOCK_DEPLOYMENT": "dep-1",
        "AIRLOCK_SERVICE": "benchmark",
        "AIRLOCK_STAGE": "PROD",
    }
    log = folder / "host.log"
    with rest_load.started(command, log, {**subjects.HOST, **deployment}):
        found = stream.rate(address, topics[1], records)
    with reading(address, topics[1]) as answers:
        while values := read(answers, 5.0):
            if any(math.isclose(json.loads(value)["score"], right, rel_tol=1e-9) for value in values):
                return found
    raise SystemExit("no answer of the host is the model's to the first record")


def mlserver(folder: Path, address: str, stored: Path, rows: peers.Rows, records: int, right: float) -> float:
    """Records a second of mlserver.

    :raises NotMeasured: it does not start, or answers wrongly.
    """
    source, target = stream.new_topic(address), stream.new_topic(address)
    own = folder / "mlserver"
    topics = {"kafka_topic_input": source, "kafka_topic_output": target}
    port = rest_load.free_port()
    peers.write_mlserver(own, stored, port, kafka_enabled=True, kafka_servers=address, **topics)
    values = [json.dumps(peers.tensor([row])).encode() for row in rows]
    log = folder / "mlserver.log"
    command = [str(peers.environment_of("mlserver") / "bin" / "mlserver"), "start", str(own)]
    with rest_load.started(command, log, {"PYTHONPATH": ""}) as process, reading(address, target) as answers:
        wait_for_first(
            answers,
            lambda: fill(address, source, values, 1),
            lambda answer: math.isclose(peers.of_tensor(answer)[0], right, rel_tol=1e-9),
            process,
            log,
        )
        return rate(answers, lambda: fill(address, source, values, records), records)


@contextlib.contextmanager
def reading(address: str, topic: str) -> Iterator[Consumer]:
    """A reader of all that is written to a topic."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
        }
    )
    partitions = range(stream.PARTITIONS)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    try:
        yield consumer
    finally:
        consumer.close()


def wait_for_first(
    answers: Consumer,
    write_first: Callable[[], None],
    is_right: Callable[[Any], bool],
    process: subprocess.Popen[bytes],
    log: Path,
) -> None:
    """Write the first record until it is answered, as mlserver does not say when it begins; await the rest.

    :raises NotMeasured: it is not, or wrongly.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (values := read(answers, 1.0)):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip()
            how = "ended" if process.poll() is not None else "answered no record"
            last = said.rpartition("\n")[2]
            raise peers.NotMeasured(f"{how} at its start: {last}\n{said}")
        write_first()
    for value in values:
        if not is_right(json.loads(value)):
            raise peers.NotMeasured(f"answers {value[:200]!r}")
    while read(answers, 1.0):
        pass


def rate(answers: Consumer, write: Callable[[], None], records: int) -> float:
    """Records a second from the first that is written to the last that is answered.

    :raises NotMeasured: some are not answered.
    """
    begun = time.perf_counter()
    write()
    done = 0
    while done < records:
        done += len(read(answers, 0.05))
        if time.perf_counter() - begun > PATIENCE_SECONDS:
            raise peers.NotMeasured(f"answered only {done} of {records} records")
    return records / (time.perf_counter() - begun)


def read(answers: Consumer, seconds: float) -> list[bytes]:
    """The values that come within some time, at once when there are enough of them."""
    messages = answers.consume(BATCH, seconds)
    return [value for message in messages if not message.error() and (value := message.value()) is not None]


def fill(address: str, topic: str, values: list[bytes], records: int) -> None:
    """Records with the header that mlserver asks for, compressed as both read it: the mock keeps 5 MB."""
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": address,
            "compression.type": "gzip",
            "linger.ms": 50,
            "batch.num.messages": 5_000,
        }
    )
    for number in range(records):
        producer.produce(
            topic,
            values[number % len(values)],
            key=b"%d" % number,
            partition=number % stream.PARTITIONS,
            headers=[("mlserver-model", b"benchmark")],
        )
        if number % 10_000 == 0:
            producer.flush()
    assert producer.flush(60) == 0


def table(report: dict[str, Any]) -> str:
    found, other = report["host"], report["mlserver"]
    lines = [
        f"{report['processors']} processors, load {report['load_before']} before",
        f"{'host':10}{found['records_per_second']:>10,} records/s of {report['records']:,}",
    ]
    if "not_measured" in other:
        lines.append(f"mlserver {other['version']} is not measured: {other['not_measured']}")
    else:
        lines.append(f"{'mlserver':10}{other['records_per_second']:>10,} records/s of {other['records']:,}")
        lines.append(f"host: {found['times_mlserver']} times mlserver {other['version']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
