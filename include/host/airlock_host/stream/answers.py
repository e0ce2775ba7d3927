"""The answers in a topic, by the record that each answers."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import orjson

from airlock_host.exceptions import InputUnusable, KafkaUnusable
from airlock_host.schema import Schema
from airlock_host.stream.avro import answer_type
from airlock_host.stream.settings import StreamSettings

if TYPE_CHECKING:
    from confluent_kafka import Message

Origin = tuple[int, int, int]
"""Partition and offset of the record, and the row in it."""

_PATIENCE_SECONDS = 60.0


def read_answers(settings: StreamSettings, outputs: Schema) -> dict[Origin, dict[str, Any]]:
    """All committed answers of a stream's output to records of its input, up to now.

    :raises KafkaUnusable: the topic cannot be read.
    :raises InputUnusable: an answer is not of the stream's format.
    """
    decode = _decoder(settings, outputs)
    found: dict[Origin, dict[str, Any]] = {}
    for message in _messages(settings):
        headers: dict[str, Any] = dict(message.headers() or [])
        if headers.get("airlock-topic") != settings.input.encode():
            continue
        origin = int(headers["airlock-partition"]), int(headers["airlock-offset"])
        try:
            rows = decode(message.value() or b"")
        except Exception as error:
            raise InputUnusable(
                f"{settings.output}: the answer to {origin[0]}/{origin[1]} is not {settings.format}: {error}"
            ) from None
        for row, answer in enumerate(rows):
            found[(*origin, row)] = answer
    return found


def _decoder(settings: StreamSettings, outputs: Schema) -> Callable[[bytes], list[dict[str, Any]]]:
    match settings.format:
        case "json":
            return lambda value: [orjson.loads(value)]
        case "arrow":
            import pyarrow as pa

            return lambda value: pa.ipc.open_stream(value).read_all().to_pylist()
        case "avro":
            try:
                import fastavro
            except ImportError:
                raise KafkaUnusable("fastavro is not installed: install airlock-host[kafka]") from None
            schema = fastavro.parse_schema(answer_type(outputs))
            return lambda value: [fastavro.schemaless_reader(io.BytesIO(value), schema, None)]  # type: ignore[list-item]


def _messages(settings: StreamSettings) -> Iterator[Message]:
    """The committed records of the output, from its beginning to where it ends now."""
    try:
        from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
    except ImportError:
        raise KafkaUnusable("confluent-kafka is not installed: install airlock-host[kafka]") from None
    try:
        consumer = Consumer(
            {
                **settings.client,
                "group.id": f"{settings.group}.comparison.{uuid.uuid4().hex[:8]}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
    except KafkaException as error:
        raise InputUnusable(f"librdkafka does not take the properties: {error.args[0].str()}") from None
    try:
        topic = consumer.list_topics(settings.output, timeout=15.0).topics[settings.output]
        if topic.error is not None or not topic.partitions:
            raise KafkaUnusable(f"the topic {settings.output!r} is not there")
        consumer.assign([TopicPartition(settings.output, partition, 0) for partition in topic.partitions])
        left = set(topic.partitions)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while left:
            for message in consumer.consume(5_000, 0.1):
                wrong = message.error()
                deadline = time.monotonic() + _PATIENCE_SECONDS
                if wrong is None:
                    yield message
                elif wrong.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                elif not wrong.retriable():
                    raise KafkaUnusable(f"{settings.output}: {wrong.str()}")
            if time.monotonic() > deadline:
                raise KafkaUnusable(f"{settings.output}: nothing came for {_PATIENCE_SECONDS:.0f} s")
    except KafkaException as error:
        raise KafkaUnusable(f"{settings.output} cannot be read: {error.args[0].str()}") from None
    finally:
        consumer.close()
