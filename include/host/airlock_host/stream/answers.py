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
from airlock_host.stream.shares import holds
from airlock_host.stream.stamps import origin

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

Place = tuple[int, int, int]
"""Partition and offset of the record, and the row in it."""

_PATIENCE_SECONDS = 60.0
_REACH_SECONDS = 15.0


def read_answers(
    settings: StreamSettings, topic: str, outputs: Schema, *, since: float | None = None, percent: float = 100
) -> dict[Place, dict[str, Any]]:
    """The committed answers in a topic to records of a stream's input, up to now.

    :param since: only those that were written at this time, in seconds of the epoch, or later.
    :param percent: only those to records of this share of the keys.
    :raises KafkaUnusable: the topic cannot be read.
    :raises InputUnusable: an answer is not of the stream's format.
    """
    decode = _decoder(settings, outputs)
    found: dict[Place, dict[str, Any]] = {}
    for message in _messages(settings, topic, since):
        headers: dict[str, Any] = dict(message.headers() or [])
        answered = origin(headers)
        if answered is None or answered.topic != settings.input:
            continue
        if not holds(percent, message.key(), *answered):
            continue
        try:
            rows = decode(message.value() or b"")
        except Exception as error:
            raise InputUnusable(
                f"{topic}: the answer to {answered.partition}/{answered.offset} "
                f"is not {settings.format}: {error}"
            ) from None
        for row, answer in enumerate(rows):
            found[answered.partition, answered.offset, row] = answer
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


def _reader(settings: StreamSettings) -> Consumer:
    from confluent_kafka import Consumer, KafkaException

    try:
        return Consumer(
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


def _messages(settings: StreamSettings, topic: str, since: float | None) -> Iterator[Message]:
    """The committed records of a topic, to where it ends now, however it grows meanwhile."""
    try:
        from confluent_kafka import KafkaException
    except ImportError:
        raise KafkaUnusable("confluent-kafka is not installed: install airlock-host[kafka]") from None
    consumer = _reader(settings)
    try:
        begins, ends = _bounds(consumer, topic, since)
        consumer.assign(begins)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while ends:
            for message in consumer.consume(5_000, 0.1):
                deadline = time.monotonic() + _PATIENCE_SECONDS
                if message.error() is None:
                    if _lies_before(message, ends) and _is_later(message, since):
                        yield message
                elif not _passes(message, ends):
                    raise KafkaUnusable(f"{topic}: {message.error().str()}")  # type: ignore[union-attr]
            if time.monotonic() > deadline:
                raise KafkaUnusable(f"{topic}: nothing came for {_PATIENCE_SECONDS:.0f} s")
    except KafkaException as error:
        raise KafkaUnusable(f"{topic} cannot be read: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _bounds(
    consumer: Consumer, topic: str, since: float | None
) -> tuple[list[TopicPartition], dict[int, int]]:
    """Where to begin in each partition with something to read, and the offset behind its last record."""
    from confluent_kafka import TopicPartition

    found = consumer.list_topics(topic, timeout=_REACH_SECONDS).topics[topic]
    if found.error is not None or not found.partitions:
        raise KafkaUnusable(f"the topic {topic!r} is not there")
    partitions = list(found.partitions)
    watermarks = {
        partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_REACH_SECONDS)
        for partition in partitions
    }
    begins = {partition: low for partition, (low, _) in watermarks.items()}
    if since is not None:
        times = [TopicPartition(topic, partition, int(since * 1000)) for partition in partitions]
        # Without a later record it is no offset, but a number below 0.
        for one in consumer.offsets_for_times(times, timeout=_REACH_SECONDS):
            begins[one.partition] = one.offset if one.offset >= 0 else watermarks[one.partition][1]
    ends = {partition: high for partition, (_, high) in watermarks.items() if begins[partition] < high}
    return [TopicPartition(topic, partition, begins[partition]) for partition in ends], ends


def _lies_before(message: Message, ends: dict[int, int]) -> bool:
    """Whether a record was there when the ends were asked for; ends that are reached are dropped."""
    partition: int = message.partition()  # type: ignore[assignment]
    end, behind = ends.get(partition, 0), message.offset() + 1  # type: ignore[operator]
    if behind >= end:
        # Later than its end where a mark of a transaction, which nobody is given, was the last before it.
        ends.pop(partition, None)
    return behind <= end


def _is_later(message: Message, since: float | None) -> bool:
    return since is None or message.timestamp()[1] >= since * 1000


def _passes(message: Message, ends: dict[int, int]) -> bool:
    """Whether a message with an error is none that matters: the end of a partition, or one that passes."""
    from confluent_kafka import KafkaError

    error = message.error()
    assert error is not None
    if error.code() == KafkaError._PARTITION_EOF:
        ends.pop(message.partition(), None)  # type: ignore[arg-type]
        return True
    return error.retriable()
