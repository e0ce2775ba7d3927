"""A cluster to test against, what is in its topics, and workers on it.

The cluster is librdkafka's own mock, a server for other processes as well, or the real one that
``KAFKA_BOOTSTRAP_SERVERS`` names. The mock keeps 5 MB a partition and does not hide aborted records.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from host.serving.live import wait_for
from host.stream.mock_cluster import MockCluster
from host.stream.transactions import TransactionalFront

REAL = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
PARTITIONS = 4


class Cluster:
    """A mock cluster, or the real one."""

    def __init__(self) -> None:
        if REAL:
            self.servers = REAL
            return
        self.mock = MockCluster()
        self.front = TransactionalFront(self.mock.servers)
        self.servers = self.front.servers

    def topic(self, name: str = "topic") -> str:
        """A new topic of four partitions."""
        topic = f"{name}-{uuid.uuid4().hex[:8]}"
        if REAL:
            made = AdminClient({"bootstrap.servers": self.servers}).create_topics(
                [NewTopic(topic, PARTITIONS, 1)]
            )
            made[topic].result(30)
        else:
            self.mock.create(topic, PARTITIONS)
        return topic

    def producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.servers,
                "compression.type": "lz4",
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                # What Java's producer may send, and more than librdkafka's by default.
                "message.max.bytes": 1_048_576,
            }
        )

    def write(self, topic: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Produce records, each given by the arguments of ``produce``."""
        producer = self.producer()
        for record in records:
            producer.produce(topic, **record)
        assert producer.flush(60) == 0

    def read(self, topic: str, *, committed: bool = True) -> list[Message]:
        """All there is in a topic now, partition after partition."""
        found: dict[int, list[Message]] = {partition: [] for partition in range(PARTITIONS)}
        for message in self._messages(topic, committed=committed):
            found[message.partition()].append(message)  # type: ignore[index]
        return [message for messages in found.values() for message in messages]

    def _messages(self, topic: str, *, committed: bool) -> Iterable[Message]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": f"reader-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        ended: set[int] = set()
        deadline = time.monotonic() + 60
        try:
            while len(ended) < PARTITIONS:
                assert time.monotonic() < deadline, f"{topic} could not be read to its end"
                for message in consumer.consume(10_000, 0.05):
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())  # type: ignore[arg-type]
                    else:
                        raise AssertionError(error)
        finally:
            consumer.close()

    def count(self, topic: str) -> int:
        """How many records, and on a real broker marks of transactions, a topic holds."""
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": "counter"})
        try:
            ends = [
                reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                for partition in range(PARTITIONS)
            ]
        finally:
            reader.close()
        return sum(high for _, high in ends)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Where a group stands, by partition."""
        if not REAL:
            return self.front.standing(group, topic)
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": group})
        try:
            partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
            return {one.partition: max(0, one.offset) for one in reader.committed(partitions, 10)}
        finally:
            reader.close()


@dataclass(frozen=True)
class Stream:
    """The topics and the group of one test, and its file."""

    cluster: Cluster
    path: Path
    content: dict[str, Any]

    def change(self, **keys: Any) -> None:
        """Write the file anew, whole or not at all."""
        self.content.update(keys)
        unfinished = self.path.with_suffix(".new")
        unfinished.write_text(json.dumps(self.content), encoding="utf-8")
        unfinished.replace(self.path)

    def write(self, *records: Mapping[str, Any], **keys: Any) -> None:
        """Produce JSON records to the input."""
        self.cluster.write(self.content["input"], ({"value": json.dumps(record)} for record in records))

    def answers(self) -> list[Message]:
        return self.cluster.read(self.content["output"])

    def dead_letters(self) -> list[Message]:
        return self.cluster.read(self.content["dead_letter"])

    def done(self) -> bool:
        """Whether every record of the input is committed."""
        standing = self.cluster.committed(self.content["group"], self.content["input"])
        return sum(standing.values()) >= self.cluster.count(self.content["input"])

    def wait(self) -> None:
        """Wait until every record of the input is committed."""
        wait_for(self.done, "the answers to all records")


class LiveWorker:
    """``python -m airlock_host stream`` on a free port of loopback."""

    def __init__(
        self, snapshot: Path, stream: Stream, folder: Path, options: tuple[str, ...], **environment: str
    ) -> None:
        folder.mkdir()
        self._port_file = folder / "port"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "airlock_host", "stream", "--model", str(snapshot)),
                    *("--stream", str(stream.path), "--port", "0", "--port-file", str(self._port_file)),
                    *options,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )

    @property
    def log(self) -> str:
        """All it wrote so far."""
        return self._log.read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        """Its base address, as soon as it listens."""
        wait_for(lambda: self._port_file.exists() or self.process.poll() is not None, "the port file")
        assert self._port_file.exists(), self.log
        return f"http://127.0.0.1:{int(self._port_file.read_text(encoding='ascii'))}"

    def ready(self) -> str:
        """Its base address, as soon as it is a member of its group."""
        url = self.url

        def is_ready() -> bool:
            assert self.process.poll() is None, self.log
            return _HTTP.get(f"{url}/v2/health/ready").status_code == 200

        wait_for(is_ready, "readiness")
        return url

    def metric(self, name: str) -> dict[str, float]:
        """Values of a metric by the label that it has beside those of the deployment, where it has one."""
        found = {}
        for line in _HTTP.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith(f"{name}{{"):
                labels, _, value = line.rpartition("} ")
                own = [text for label, text in _LABEL.findall(labels) if label not in _DEPLOYMENT]
                found[own[0] if own else ""] = float(value)
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        """End it now, if it still runs."""
        self.process.kill()
        self.process.wait()


def headers(message: Message) -> dict[str, str]:
    """A record's headers, the last of each name, as text."""
    found: list[tuple[str, bytes]] = message.headers() or []  # type: ignore[assignment]
    return {name: value.decode() for name, value in found}


class Stamp(NamedTuple):
    """What a record's stamp says: who answered, and what."""

    snapshot: str
    digest: str
    deployment: str
    worker: str
    transaction: int
    topic: str
    partition: int
    offset: int


def stamp(message: Message) -> Stamp:
    """The stamp of an answer or a dead letter."""
    *version, transaction, origin = headers(message)["airlock-stamp"].split(" ")
    worker, _, number = transaction.rpartition("/")
    topic, partition, offset = origin.split("/")
    return Stamp(*version, worker, int(number), topic, int(partition), int(offset))


_LABEL = re.compile('([a-z]+)="([^"]*)"')
_DEPLOYMENT = {"service", "stage", "snapshot"}
# One for all: making one takes a tenth of a second.
_HTTP = httpx.Client(trust_env=False, timeout=10.0)
StartWorker = Callable[..., LiveWorker]
