"""What a worker reads changes while it runs, and every record still has exactly one committed answer."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Message

from airlock_host.stream.shares import holds
from host.serving.live import wait_for
from host.stream.kafka import REAL, LiveWorker, StartWorker, Stream, stamp
from host.stream.numbers import numbers_in, write_numbers

RECORDS = 12_000
MakeStream = Callable[[str], Stream]


@pytest.fixture
def deployed(stream: Stream, tmp_path: Path) -> MakeStream:
    """The stream file of one deployment of the service: all on the same topics, and idle at first."""
    own = {name: stream.cluster.topic(name) for name in ("share", "shadow", "shadow-dead")}

    def make(instance: str) -> Stream:
        content = {
            **stream.content,
            "instance": instance,
            "reads": "nothing",
            "batch": {"records": 200},
            "share": {"topic": own["share"], "percent": 0},
            "shadow": {"output": own["shadow"], "dead_letter": own["shadow-dead"], "percent": 100},
        }
        made = Stream(stream.cluster, tmp_path / f"{instance}.json", content)
        made.change()
        return made

    return make


def committed(stream: Stream, *workers: LiveWorker) -> list[Message]:
    """The answers that a reader of committed records sees.

    The mock cluster does not hide aborted ones. There each of the workers, whose instance names are their
    own, has committed as many transactions as the broker's side counted, and they are its first.
    """
    if REAL:
        return stream.answers()
    assert not [worker.log for worker in workers if "aborted" in worker.log]
    found = []
    for answer in stream.answers():
        by = stamp(answer)
        if by.transaction <= stream.cluster.front.counts[by.worker.rpartition(".")[0]]:
            found.append(answer)
    return found


def deployment(answer: Message) -> str:
    return stamp(answer).deployment


def reads(worker: LiveWorker) -> str:
    return next(name for name, value in worker.metric("airlock_stream_reads").items() if value)


def at_end(worker: LiveWorker) -> bool:
    return worker.metric("airlock_stream_at_end") == {"": 1}


def direct(file: Stream, worker: LiveWorker, what: str, **keys: object) -> None:
    """Have a worker read something else, and wait until it does."""
    file.change(reads=what, **keys)
    wait_for(lambda: reads(worker) == what, f"word of {what}")
    worker.ready()


def forward(file: Stream, worker: LiveWorker, percent: float) -> None:
    """Have a worker forward a share, and wait until it does."""
    share = {**file.content["share"], "percent": percent}
    file.change(share=share)
    wait_for(
        lambda: worker.metric("airlock_stream_share_percent") == {share["topic"]: percent},
        f"word of {percent} %",
    )


def test_an_idle_worker_is_ready_and_takes_nothing(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    file = deployed("dep-1")
    write_numbers(stream, 0, 100)
    worker = start_worker(double, file=file)
    worker.ready()
    time.sleep(1.5)
    assert reads(worker) == "nothing"
    assert not at_end(worker)
    assert worker.metric("airlock_stream_records_in_total") == {"": 0}
    assert stream.answers() == []
    assert worker.end() == 0, worker.log


def test_a_worker_begins_and_stops_and_begins_again(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    file = deployed("dep-1")
    worker = start_worker(double, file=file)
    worker.ready()
    write_numbers(stream, 0, RECORDS)
    direct(file, worker, "input")
    wait_for(lambda: worker.metric("airlock_stream_records_in_total")[""] > 0, "a record")
    direct(file, worker, "nothing")
    assert worker.metric("airlock_stream_lag") == {}
    standing = stream.cluster.committed(stream.content["group"], stream.content["input"])
    write_numbers(stream, RECORDS, RECORDS + 100)
    time.sleep(0.5)
    assert stream.cluster.committed(stream.content["group"], stream.content["input"]) == standing
    direct(file, worker, "input")
    wait_for(lambda: at_end(worker), "the end")
    assert stream.done()
    assert worker.end() == 0, worker.log
    assert numbers_in(committed(stream, worker)) == list(range(RECORDS + 100))


def test_the_input_is_handed_over_in_the_middle(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    """Blue/green: the old version stays, warm."""
    files = [deployed("dep-1"), deployed("dep-2")]
    old, new = (start_worker(double, file=file, AIRLOCK_DEPLOYMENT=file.path.stem) for file in files)
    for worker in (old, new):
        worker.ready()
    direct(files[0], old, "input")
    write_numbers(stream, 0, RECORDS)
    wait_for(lambda: old.metric("airlock_stream_records_in_total")[""] > 0, "a record")
    direct(files[0], old, "nothing")
    direct(files[1], new, "input")
    write_numbers(stream, RECORDS, 2 * RECORDS)
    wait_for(lambda: at_end(new), "the end")
    assert [worker.end() for worker in (old, new)] == [0, 0]
    answers = committed(stream, old, new)
    assert numbers_in(answers) == list(range(2 * RECORDS))
    assert {deployment(one) for one in answers} == {"dep-1", "dep-2"}


def test_a_canary_grows_and_takes_over(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    files = [deployed("dep-1"), deployed("dep-2")]
    old, new = (start_worker(double, file=file, AIRLOCK_DEPLOYMENT=file.path.stem) for file in files)
    for worker in (old, new):
        worker.ready()
    direct(files[0], old, "input")
    direct(files[1], new, "share")
    for step, percent in enumerate((0, 5, 50)):
        forward(files[0], old, percent)
        write_numbers(stream, step * RECORDS, (step + 1) * RECORDS)
    direct(files[0], old, "nothing")
    wait_for(lambda: at_end(new), "the end of the share")
    direct(files[1], new, "input")
    wait_for(lambda: at_end(new), "the end")
    assert [worker.end() for worker in (old, new)] == [0, 0]
    answers = committed(stream, old, new)
    assert numbers_in(answers) == list(range(3 * RECORDS))
    by_topic = {stamp(one).topic for one in answers if deployment(one) == "dep-2"}
    assert by_topic <= {stream.content["input"], files[0].content["share"]["topic"]}


def test_a_canary_is_rolled_back_though_it_is_dead(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    """The current version answers what was forwarded before it goes on with the input."""
    files = [deployed("dep-1"), deployed("dep-2")]
    old, new = (start_worker(double, file=file, AIRLOCK_DEPLOYMENT=file.path.stem) for file in files)
    for worker in (old, new):
        worker.ready()
    direct(files[0], old, "input")
    direct(files[1], new, "share")
    forward(files[0], old, 50)
    write_numbers(stream, 0, RECORDS)
    wait_for(lambda: new.metric("airlock_stream_records_in_total")[""] > 0, "a forwarded record")
    new.end(signal.SIGKILL)
    write_numbers(stream, RECORDS, 2 * RECORDS)
    direct(files[0], old, "share")
    assert stream.cluster.count(files[0].content["share"]["topic"]) > 0
    wait_for(lambda: at_end(old), "the end of the share")
    direct(files[0], old, "input", share={**files[0].content["share"], "percent": 0})
    wait_for(lambda: at_end(old), "the end")
    assert old.end() == 0, old.log
    answers = committed(stream, old, new)
    assert numbers_in(answers) == list(range(2 * RECORDS))
    assert {deployment(one) for one in answers} == {"dep-1", "dep-2"}


def test_a_shadow_begins_at_the_end_and_writes_only_beside(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    files = [deployed("dep-1"), deployed("dep-2")]
    shadow = files[1].content["shadow"]
    write_numbers(stream, 0, 100)
    old, new = (start_worker(double, file=file, AIRLOCK_DEPLOYMENT=file.path.stem) for file in files)
    for worker in (old, new):
        worker.ready()
    direct(files[0], old, "input")
    direct(files[1], new, "shadow", shadow={**shadow, "percent": 30})
    wait_for(lambda: at_end(new), "the end, where it begins")
    write_numbers(stream, 100, 2_000)
    stream.cluster.write(stream.content["input"], [{"key": f"bad{n}", "value": b"{"} for n in range(100)])
    wait_for(lambda: at_end(new) and at_end(old) and stream.done(), "the end")
    assert new.metric("airlock_stream_records_in_total") == {"": 2_000}
    assert [worker.end() for worker in (old, new)] == [0, 0]
    assert numbers_in(committed(stream, old, new)) == list(range(2_000))
    beside = stream.cluster.read(shadow["output"])
    assert {deployment(answer) for answer in beside} == {"dep-2"}
    assert {deployment(answer) for answer in stream.answers()} == {"dep-1"}
    held = [n for n in range(100, 2_000) if holds(30, str(n).encode(), "", 0, 0)]
    assert numbers_in(beside) == held
    assert len(stream.dead_letters()) == 100
    letters = stream.cluster.read(shadow["dead_letter"])
    assert len(letters) == sum(holds(30, b"bad%d" % n, "", 0, 0) for n in range(100))


def test_a_worker_that_starts_again_does_what_its_file_says(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    file = deployed("dep-1")
    worker = start_worker(double, file=file)
    worker.ready()
    direct(file, worker, "input")
    write_numbers(stream, 0, RECORDS)
    wait_for(lambda: worker.metric("airlock_stream_records_in_total")[""] > 0, "a record")
    worker.end(signal.SIGTERM)
    again = start_worker(double, file=file)
    again.ready()
    wait_for(lambda: at_end(again), "the end")
    assert reads(again) == "input"
    assert again.end() == 0, again.log
    assert stream.done()


def test_what_cannot_be_read_changes_nothing(
    stream: Stream, deployed: MakeStream, double: Path, start_worker: StartWorker
) -> None:
    file = deployed("dep-1")
    worker = start_worker(double, file=file)
    worker.ready()
    direct(file, worker, "input")
    file.change(reads="share", share={"topic": "no-such-topic", "percent": 0})
    wait_for(lambda: worker.metric("airlock_stream_file_right") == {"": 0}, "word of the mistake")
    assert reads(worker) == "input"
    write_numbers(stream, 0, 100)
    stream.wait()
    assert worker.end() == 0, worker.log
