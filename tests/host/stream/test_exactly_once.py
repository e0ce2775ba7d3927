"""Every record has exactly one committed answer, whoever dies, comes or goes in the middle."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from pathlib import Path

import pytest
from confluent_kafka import Message

from host.serving.live import wait_for
from host.stream.kafka import PARTITIONS, REAL, StartWorker, Stream, headers
from host.stream.mock_cluster import ADD_OFFSETS, COMMIT_OFFSETS, END_TRANSACTION

RECORDS = 100_000
KILLS = 50

# Codes of Kafka's protocol.
CONCURRENT_TRANSACTIONS, ILLEGAL_GENERATION, PRODUCER_FENCED = 51, 22, 90

Transaction = tuple[str, int]
"""The name of the process that wrote it, and its number there."""
Offsets = dict[int, set[int]]
"""By partition of the input the offsets that a transaction answers."""


def committed(stream: Stream, topics: tuple[str, ...]) -> list[Message]:
    """What a reader of committed records sees in some topics.

    The mock cluster does not hide aborted records, so there it is told from the records themselves: the
    broker's side knows which offsets each committed transaction moved its group to (:mod:`.transactions`). A
    transaction is that one if it answers exactly those offsets, all of them, and is the last to do so. Every
    other transaction must be the last that its process ever began, as when it was killed in it: a process
    that committed twice, or went on behind an abort without telling, would be found out here.
    """
    messages = [message for topic in topics for message in stream.cluster.read(topic)]
    if REAL:
        return messages
    written: dict[Transaction, list[Message]] = defaultdict(list)
    answered: dict[Transaction, Offsets] = defaultdict(lambda: defaultdict(set))
    for message in messages:
        stamps = headers(message)
        name, _, number = stamps["airlock-transaction"].rpartition("/")
        written[name, int(number)].append(message)
        answered[name, int(number)][int(stamps["airlock-partition"])].add(int(stamps["airlock-offset"]))
    kept: set[Transaction] = set()
    standing = dict.fromkeys(range(PARTITIONS), 0)
    exactly: dict[tuple[tuple[int, int, int], ...], list[Transaction]] = defaultdict(list)
    for transaction, offsets in answered.items():
        spans = tuple(sorted((one, min(all_), max(all_) + 1) for one, all_ in offsets.items()))
        if all(end - begin == len(offsets[partition]) for partition, begin, end in spans):
            exactly[spans].append(transaction)
    for commit in stream.cluster.front.commits:
        moves = {place[2]: offset for place, offset in commit.items() if place[0] == stream.content["group"]}
        if not moves:
            continue
        spans = tuple(sorted((one, standing[one], offset) for one, offset in moves.items()))
        assert exactly[spans], f"nothing answers {spans}, which is committed"
        kept.add(max(exactly[spans], key=lambda one: written[one][0].timestamp()[1]))
        standing.update(moves)
    last: dict[str, int] = defaultdict(int)
    for name, number in written:
        last[name] = max(last[name], number)
    for name, number in written.keys() - kept:
        assert number == last[name], "a process went on behind a transaction that is not committed"
    return [message for transaction in kept for message in written[transaction]]


def numbers_in(messages: list[Message]) -> list[int]:
    return sorted(int(message.key() or b"") for message in messages)


def write_numbers(stream: Stream, first: int, last: int) -> None:
    stream.cluster.write(
        stream.content["input"],
        ({"key": str(n), "value": b'{"n":%d}' % (n % 7), "partition": n % PARTITIONS} for n in range(first, last)),
    )


@pytest.mark.slow
def test_no_answer_is_lost_or_doubled_when_the_worker_is_killed_again_and_again(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    chance = random.Random(4)
    write_numbers(stream, 0, RECORDS)
    stream.change(batch={"records": 300}, instance="one")
    group, topic = stream.content["group"], stream.content["input"]

    def progress() -> int:
        return sum(stream.cluster.committed(group, topic).values())

    for kill in range(KILLS):
        worker = start_worker(double)
        # Some die while they start, the others somewhere in their records.
        if kill % 10 == 0:
            time.sleep(chance.uniform(0.1, 1.0))
        else:
            goal = progress() + chance.randint(1, RECORDS // KILLS)
            wait_for(lambda goal=goal: progress() >= goal, f"record {goal}")  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.02))
        worker.kill()
    assert progress() < RECORDS, "the stream was over before the last worker was killed"
    worker = start_worker(double)
    stream.wait()
    assert worker.end() == 0, worker.log
    assert numbers_in(committed(stream, (stream.content["output"],))) == list(range(RECORDS))
