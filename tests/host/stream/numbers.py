"""A stream of numbered records: the number is the key, and each has one answer with that key."""

from __future__ import annotations

from confluent_kafka import Message

from host.stream.kafka import PARTITIONS, Stream


def numbers_in(messages: list[Message]) -> list[int]:
    return sorted(int(message.key() or b"") for message in messages)


def write_numbers(stream: Stream, first: int, last: int) -> None:
    stream.cluster.write(
        stream.content["input"],
        (
            {"key": str(n), "value": b'{"n":%d}' % (n % 7), "partition": n % PARTITIONS}
            for n in range(first, last)
        ),
    )
