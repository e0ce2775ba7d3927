"""Every record has exactly one committed answer, whoever dies, comes or goes in the middle."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Message

from host.serving.live import wait_for
from host.stream.kafka import PARTITIONS, REAL, LiveWorker, StartWorker, Stream, stamp
from host.stream.mock_cluster import ADD_OFFSETS, COMMIT_OFFSETS, END_TRANSACTION
from host.stream.numbers import numbers_in, write_numbers

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
        by = stamp(message)
        written[by.worker, by.transaction].append(message)
        answered[by.worker, by.transaction][by.partition].add(by.offset)
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
    for process, count in written:
        last[process] = max(last[process], count)
    for process, count in written.keys() - kept:
        assert count == last[process], "a process went on behind a transaction that is not committed"
    return [message for transaction in kept for message in written[transaction]]


@pytest.mark.slow
def test_no_answer_is_lost_or_doubled_when_the_worker_is_killed_again_and_again(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    chance = random.Random(4)
    write_numbers(stream, 0, RECORDS)
    # Few at once, so that the records outlast the kills however quick the worker is.
    stream.change(batch={"records": 100}, instance="one")
    group, topic = stream.content["group"], stream.content["input"]

    def progress() -> int:
        return sum(stream.cluster.committed(group, topic).values())

    for kill in range(KILLS):
        worker = start_worker(double)
        # Some die while they start, the others somewhere in their records.
        if kill % 10 == 0:
            time.sleep(chance.uniform(0.1, 1.0))
        else:
            goal = progress() + chance.randint(1, RECORDS // KILLS // 4)
            wait_for(lambda goal=goal: progress() >= goal, f"record {goal}")  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.02))
        worker.kill()
    assert progress() < RECORDS, "the stream was over before the last worker was killed"
    worker = start_worker(double)
    stream.wait()
    assert worker.end() == 0, worker.log
    assert numbers_in(committed(stream, (stream.content["output"],))) == list(range(RECORDS))
    # Else it has shown nothing.
    assert REAL or len(stream.answers()) > RECORDS


def test_a_worker_comes_and_the_other_goes_in_the_middle(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    stream.change(batch={"records": 200})
    blue = start_worker(double, AIRLOCK_SNAPSHOT="double@1")
    blue.ready()
    write_numbers(stream, 0, 20_000)
    green = start_worker(double, AIRLOCK_SNAPSHOT="double@2")
    green.ready()
    write_numbers(stream, 20_000, 30_000)
    assert blue.end() == 0, blue.log
    write_numbers(stream, 30_000, 40_000)
    stream.wait()
    assert green.end() == 0, green.log
    answers = committed(stream, (stream.content["output"],))
    assert numbers_in(answers) == list(range(40_000))
    assert {stamp(answer).snapshot for answer in answers} == {"double@1", "double@2"}


def test_the_share_changes_in_the_middle(stream: Stream, double: Path, start_worker: StartWorker) -> None:
    canary = stream.cluster.topic("canary")
    stream.change(batch={"records": 200})
    worker = start_worker(double)
    worker.ready()
    seen: list[set[bytes | None]] = []
    first = 0
    for percent in (0, 5, 50, 100, 0):
        stream.change(share={"topic": canary, "percent": percent})
        in_force = {canary: float(percent)}
        wait_for(partial(_tells, worker, in_force), "word of the share")
        before = {message.key() for message in stream.cluster.read(canary)}
        write_numbers(stream, first, first + 2_000)
        stream.wait()
        seen.append({message.key() for message in stream.cluster.read(canary)} - before)
        first += 2_000
    assert worker.end() == 0, worker.log
    assert [len(keys) for keys in seen[::2]] == [0, len(seen[2]), 0]
    assert 40 < len(seen[1]) < 170
    assert 850 < len(seen[2]) < 1150
    assert len(seen[3]) == 2_000
    forwarded = stream.cluster.read(canary)
    assert numbers_in(stream.answers() + forwarded) == list(range(10_000))
    assert not any(message.headers() for message in forwarded)


def test_the_new_version_answers_its_share_into_the_same_output(
    stream: Stream, double: Path, start_worker: StartWorker, tmp_path: Path
) -> None:
    canary = stream.cluster.topic("canary")
    stream.change(share={"topic": canary, "percent": 30})
    new = Stream(stream.cluster, tmp_path / "new.json", {**stream.content, "input": canary, "group": canary})
    del new.content["share"]
    new.change()
    old_worker = start_worker(double, AIRLOCK_SNAPSHOT="double@1")
    new_worker = start_worker(double, file=new, AIRLOCK_SNAPSHOT="double@2")
    write_numbers(stream, 0, 1_000)
    stream.wait()
    # Marks of transactions stand between forwarded records: their offsets do not count them.
    wait_for(lambda: len(stream.answers()) >= 1_000, "the answers of both")
    assert [worker.end() for worker in (old_worker, new_worker)] == [0, 0]
    answers = stream.answers()
    assert numbers_in(answers) == list(range(1_000))
    by_new = [one for one in answers if stamp(one).snapshot == "double@2"]
    assert 200 < len(by_new) < 400


def _tells(worker: LiveWorker, share: dict[str, float]) -> bool:
    return worker.metric("airlock_stream_share_percent") == share


@pytest.mark.skipif(bool(REAL), reason="only the mock cluster fails on demand")
@pytest.mark.parametrize(
    ("request_kind", "code"),
    [(END_TRANSACTION, CONCURRENT_TRANSACTIONS), (COMMIT_OFFSETS, ILLEGAL_GENERATION)],
)
def test_errors_of_a_transaction_cost_no_record(
    stream: Stream, double: Path, start_worker: StartWorker, request_kind: int, code: int
) -> None:
    worker = start_worker(double)
    worker.ready()
    stream.cluster.mock.fail(request_kind, code)
    write_numbers(stream, 0, 100)
    stream.wait()
    assert worker.end() == 0, worker.log
    answers = stream.answers()
    aborted = worker.log.count("a transaction is aborted")
    assert aborted == (code == ILLEGAL_GENERATION)
    # The aborted ones are there as well on the mock, and were the first of their process.
    numbers = numbers_in([one for one in answers if stamp(one).transaction != 1])
    assert (numbers if aborted else numbers_in(answers)) == list(range(100))


@pytest.mark.skipif(bool(REAL), reason="only the mock cluster fails on demand")
def test_a_worker_whose_place_was_taken_ends_with_3(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    worker = start_worker(double)
    worker.ready()
    stream.cluster.mock.fail(ADD_OFFSETS, PRODUCER_FENCED)
    write_numbers(stream, 0, 1)
    assert worker.process.wait(30) == 3
    assert "another worker took this one's place" in worker.log.splitlines()[-1]


@pytest.mark.skipif(
    not REAL, reason="the mock cluster does not hide aborted records (KAFKA_BOOTSTRAP_SERVERS)"
)
def test_readers_of_committed_records_never_see_an_aborted_one(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    stream.change(batch={"records": 100}, instance="one")
    write_numbers(stream, 0, 20_000)
    for _ in range(5):
        worker = start_worker(double)
        worker.ready()
        time.sleep(0.3)
        worker.kill()
    start_worker(double)
    stream.wait()
    assert numbers_in(stream.answers()) == list(range(20_000))
