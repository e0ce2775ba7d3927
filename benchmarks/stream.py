"""Kafka: the host's worker against a bare loop that consumes and produces with the same client.

::

    python benchmarks/stream.py [--records 300000] [--rounds 3] [--quick]

Prints one line of JSON, and a table on standard error. All contestants read the same JSON records of 20
numbers from a topic of four partitions, and write as many in transactions with their offsets, 2,000 at once:

- ``bare``: writes each value back as it came, with its key. No model, no check, no headers: the limit.
- ``bare_headers``: the same with a header as long as the host's.
- ``bare_scoring``: decodes, scores with the same logistic regression, writes JSON. No check, no headers.
- ``host``: ``airlock_host stream`` with that model: decodes, checks, scores, stamps.

They take turns, each in a process of its own, and their clients have the same settings. Watched is how the
output grows, from its first tenth on. The cluster is librdkafka's mock, in a process of its own, or the real
one that KAFKA_BOOTSTRAP_SERVERS names. The mock keeps 5 MB a partition, which is why the same thousand values
come again and again. It copies memory and never waits for a disk or another broker, so that hardly anything
but Python is left to measure: the ratios are the lowest that can be.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import host_subjects as subjects

CONTESTANTS = ("bare", "bare_headers", "bare_scoring", "host")
PARTITIONS = 4
BATCH = 2_000
PATIENCE_SECONDS = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 60,000 records")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--servers", help=argparse.SUPPRESS)
    parser.add_argument("--topics", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.records, options.rounds = 60_000, 1
    subjects.run_in_own_environment(__file__)
    if options.contestant == "cluster":
        be_the_cluster()
    elif options.contestant:
        bare(options.servers, *options.topics, options.records, options.contestant, options.model)
    else:
        with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
            report = measure(Path(folder), options.records, options.rounds)
        print(json.dumps(report))
        print(table(report), file=sys.stderr)


def be_the_cluster() -> None:
    """The mock cluster: tells its address, and ends with its standard input."""
    from confluent_kafka import Producer

    mock = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(mock.list_topics(timeout=10).brokers.values()))
    print(f"{broker.host}:{broker.port}", flush=True)
    sys.stdin.read()


def measure(folder: Path, records: int, rounds: int) -> dict[str, Any]:
    """Let all contestants take turns."""
    report = {"benchmark": "stream", "records": records, "rounds": rounds, **subjects.machine()}
    model = subjects.write_snapshot(folder / "model", subjects.learn("linear"))
    values = [
        json.dumps(dict(zip(subjects.FEATURES, row, strict=True))).encode()
        for row in subjects.features(1_000, seed=10).tolist()
    ]
    cluster = None
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if not servers:
        cluster = subprocess.Popen(
            [sys.executable, __file__, "--contestant", "cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert cluster.stdout is not None
        servers = cluster.stdout.readline().strip()
    runs: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    try:
        for _ in range(rounds):
            for name in CONTESTANTS:
                print(name, file=sys.stderr, flush=True)
                topics = [new_topic(servers) for _ in range(3)]
                fill(servers, topics[0], values, records)
                runs[name].append(turn(name, servers, topics, records, model, folder))
    finally:
        if cluster is not None:
            cluster.communicate("")
    for name in CONTESTANTS:
        report[name] = {"records_per_second": round(statistics.median(runs[name]))}
    for name in CONTESTANTS[:-1]:
        report["host"][f"of_{name}"] = round(
            statistics.median(host / other for host, other in zip(runs["host"], runs[name], strict=True)),
            3,
        )
    return report


def new_topic(servers: str) -> str:
    """A topic of four partitions, which is what the mock makes when it is asked for one."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = f"bench-{uuid.uuid4().hex[:8]}"
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        made = AdminClient({"bootstrap.servers": servers}).create_topics([NewTopic(topic, PARTITIONS, 1)])
        made[topic].result(30)
    else:
        Producer({"bootstrap.servers": servers}).list_topics(topic, timeout=10)
    return topic


def fill(servers: str, topic: str, values: list[bytes], records: int) -> None:
    from confluent_kafka import Producer

    # The mock keeps 5 MB a partition, as they came.
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "compression.type": "zstd",
            "linger.ms": 50,
            "batch.num.messages": 5_000,
        }
    )
    for number in range(records):
        producer.produce(
            topic, values[number % len(values)], key=b"%d" % number, partition=number % PARTITIONS
        )
        if number % 10_000 == 0:
            producer.flush()
    assert producer.flush(60) == 0


def turn(name: str, servers: str, topics: list[str], records: int, model: Path, folder: Path) -> float:
    """Records a second of one run of one contestant, as seen from the topic it writes."""
    if name == "host":
        stream = {
            "client": {"bootstrap.servers": servers, "fetch.wait.max.ms": 10},
            "group": f"host-{uuid.uuid4().hex}",
            "batch": {"records": BATCH},
            **dict(zip(("input", "output", "dead_letter"), topics, strict=True)),
        }
        (folder / "stream.json").write_text(json.dumps(stream), encoding="utf-8")
        command = ["-m", "airlock_host", "stream", "--model", str(model), "--port", "0"]
        command += ["--stream", str(folder / "stream.json")]
    else:
        command = [__file__, "--contestant", name, "--servers", servers, "--records", str(records)]
        command += ["--model", str(model), "--topics", *topics[:2]]
    process = subprocess.Popen(
        [sys.executable, *command],
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "AIRLOCK_SNAPSHOT": "benchmark@1",
            "AIRLOCK_DIGEST": "sha256:" + "0" * 64,
            "AIRLOCK_DEPLOYMENT": "dep-1",
            "AIRLOCK_SERVICE": "benchmark",
            "AIRLOCK_STAGE": "PROD",
        },
    )
    try:
        return rate(servers, topics[1], records)
    finally:
        process.terminate()
        process.wait()


def rate(servers: str, topic: str, records: int) -> float:
    """Watch a topic grow to its end; what comes before the first tenth is the start-up of readers."""
    from confluent_kafka import Consumer, TopicPartition

    watcher = Consumer({"bootstrap.servers": servers, "group.id": "watcher"})
    deadline = time.monotonic() + PATIENCE_SECONDS
    begun, before = 0.0, 0
    while time.monotonic() < deadline:
        ends = [
            watcher.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
            for partition in range(PARTITIONS)
        ]
        found, now = sum(ends), time.perf_counter()
        if not begun and found >= records / 10:
            begun, before = now, found
        if found >= records:
            watcher.close()
            return (records - before) / (now - begun)
        time.sleep(0.005)
    raise SystemExit(f"only {found} of {records} records were written")


def bare(servers: str, source: str, target: str, records: int, name: str, model: Path) -> None:
    """The least that consumes and produces with transactions."""
    import numpy as np
    import orjson
    from confluent_kafka import Consumer, Producer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"bare-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
            "fetch.queue.backoff.ms": 20,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "transactional.id": uuid.uuid4().hex,
            "compression.type": "lz4",
            "linger.ms": 1,
            "delivery.report.only.error": True,
        }
    )
    consumer.subscribe([source])
    producer.init_transactions(30)
    headers = None
    if name == "bare_headers":
        headers = [("airlock-stamp", b"x" * 160)]
    score = pickle.loads((model / "model.pkl").read_bytes()).predict_proba
    done = 0
    while done < records:
        messages = consumer.consume(BATCH, 0.02)
        if not messages:
            continue
        producer.begin_transaction()
        offsets = {}
        values = [message.value() for message in messages]
        if name == "bare_scoring":
            rows = [list(orjson.loads(value).values()) for value in values]  # type: ignore[arg-type]
            values = [orjson.dumps({"score": one}) for one in score(np.array(rows))[:, 1].tolist()]
        for message, value in zip(messages, values, strict=True):
            producer.produce(target, value, message.key(), headers=headers)
            offsets[message.partition()] = message.offset() + 1  # type: ignore[operator]
        producer.send_offsets_to_transaction(
            [TopicPartition(source, partition, offset) for partition, offset in offsets.items()],  # type: ignore[arg-type]
            consumer.consumer_group_metadata(),
            30,
        )
        producer.commit_transaction(30)
        done += len(messages)
    consumer.close()


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['records']:,} records, {report['processors']} processors, "
        f"load {report['load_before']} before"
    ]
    lines += [f"{name:14}{report[name]['records_per_second']:>10,} records/s" for name in CONTESTANTS]
    host = report["host"]
    lines.append("host: " + ", ".join(f"{host[f'of_{name}']} of {name}" for name in CONTESTANTS[:-1]))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
