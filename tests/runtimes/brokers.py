"""Kafka for streams on runtimes: librdkafka's mock cluster, with a front that keeps offsets as brokers do."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from airlock.runtimes.streams import IDLE, StreamRole, stream_file
from airlock.spec import Kafka
from tests.host.stream.mock_cluster import MockCluster
from tests.host.stream.transactions import TransactionalFront

PARTITIONS = 4
SECRET = "a password that nobody may see"


class Brokers:
    """The cluster. Each test has topics of its own.

    :param address: where runtimes reach it; of nine characters, as the mock's own is.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._mock = MockCluster()
        self._front = TransactionalFront(self._mock.servers, address)

    @property
    def client(self) -> dict[str, Any]:
        """Properties of librdkafka, with something secret among them."""
        return {
            "bootstrap.servers": self._front.servers,
            "fetch.wait.max.ms": 10,
            "session.timeout.ms": 1_500,
            "heartbeat.interval.ms": 300,
            "sasl.password": SECRET,
        }

    def topics(self) -> Kafka:
        """New topics."""
        name = uuid.uuid4().hex[:8]
        kafka = Kafka("events", f"input-{name}", f"output-{name}")
        self.make(kafka)
        return kafka

    def make(self, kafka: Kafka) -> None:
        """Make all topics of a service."""
        for topic in (kafka.input, *kafka.written):
            self._mock.create(topic, PARTITIONS)

    def file(self, kafka: Kafka, deployment: str, role: StreamRole = IDLE) -> dict[str, Any]:
        """A stream file for these topics."""
        return stream_file(
            kafka, self.client, service=kafka.input, stage="DEV", deployment=deployment, role=role
        )

    def write(self, kafka: Kafka, amounts: Iterable[float]) -> None:
        """Write records for the obedient model to the input."""
        producer = Producer({"bootstrap.servers": self._front.servers})
        for amount in amounts:
            record = {"act": "", "text": "", "amount": amount}
            producer.produce(kafka.input, json.dumps(record), key=str(amount))
        assert producer.flush(30) == 0

    def answers(self, kafka: Kafka) -> list[float]:
        """What was answered so far, in order of size."""
        return self.answers_in(kafka.output)

    def answers_in(self, topic: str) -> list[float]:
        """The answers in one topic, in order of size."""
        return sorted(json.loads(message.value() or b"")["doubled"] for message in self.read(topic))

    def read(self, topic: str) -> list[Message]:
        """All there is in a topic now."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._front.servers,
                "group.id": f"reader-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        found, ended = [], set()
        deadline = time.monotonic() + 60
        try:
            while len(ended) < PARTITIONS:
                assert time.monotonic() < deadline, f"{topic} could not be read to its end"
                for message in consumer.consume(1_000, 0.05):
                    error = message.error()
                    if error is None:
                        found.append(message)
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        ended.add(message.partition())
        finally:
            consumer.close()
        return found
