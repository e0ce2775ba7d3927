"""The process that streams."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import pytest

from host.building import MEAN, build_snapshot
from host.serving.live import wait_for
from host.stream.conftest import NUMBER
from host.stream.kafka import LiveWorker, StartWorker, Stream, headers, stamp


def test_records_are_answered_and_stamped(stream: Stream, double: Path, start_worker: StartWorker) -> None:
    stream.cluster.write(
        stream.content["input"],
        ({"key": f"k{n}", "value": json.dumps({"n": n}), "partition": n % 4} for n in range(8)),
    )
    worker = start_worker(
        double,
        AIRLOCK_SNAPSHOT="double@3",
        AIRLOCK_DIGEST="sha256:abc",
        AIRLOCK_DEPLOYMENT="dep-1",
    )
    worker.ready()
    stream.wait()
    answers = {message.key(): message for message in stream.answers()}
    assert {key: json.loads(answer.value() or b"") for key, answer in answers.items()} == {
        f"k{n}".encode(): {"mean": n * 2.0} for n in range(8)
    }
    found = stamp(answers[b"k6"])
    assert found.worker.startswith(stream.content["group"])
    assert found._replace(worker="") == (
        "double@3",
        "sha256:abc",
        "dep-1",
        "",
        1,
        stream.content["input"],
        2,
        1,
    )
    assert worker.end() == 0, worker.log


def test_poison_goes_to_the_dead_letters_and_the_rest_is_answered(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    stream.change(max_record_bytes=100)
    poison = {
        "not_decodable": b"{",
        "bad_record": b'{"n": "two"}',
        "too_large": b'{"n": 1}' + b" " * 100,
        "empty": None,
        "model_failed": b'{"n": 13}',
    }
    good = [b'{"n": %d}' % n for n in range(5)]
    stream.cluster.write(
        stream.content["input"],
        (
            {
                "key": f"k{n}",
                "value": value,
                "partition": 0,
                "headers": [("trace", b"%d" % n)],
                "timestamp": 1_700_000_000_000 + n,
            }
            for n, value in enumerate([*poison.values(), *good, b'{"n": NaN}', b'{"m": 1}'])
        ),
    )
    worker = start_worker(double)
    worker.ready()
    stream.wait()
    assert len(stream.answers()) == 5
    dead = {message.key(): message for message in stream.dead_letters()}
    assert len(dead) == 7
    for n, (reason, value) in enumerate(poison.items()):
        letter = dead[f"k{n}".encode()]
        assert headers(letter)["airlock-reason"] == reason
        assert letter.value() == value
        assert headers(letter)["trace"] == str(n)
        assert stamp(letter)[-3:] == (stream.content["input"], 0, n)
        assert letter.timestamp()[1] == 1_700_000_000_000 + n
    assert headers(dead[b"k1"])["airlock-message"] == (
        """field 'n' is the string "two"; expected a finite number"""
    )
    assert "13 brings bad luck" in headers(dead[b"k4"])["airlock-message"]
    assert headers(dead[b"k10"])["airlock-reason"] == "not_decodable"
    assert "'m' is not a field" in headers(dead[b"k11"])["airlock-message"]
    assert worker.metric("airlock_stream_dead_letters_total") == {
        **dict.fromkeys(poison, 1),
        "not_decodable": 2,
        "bad_record": 2,
    }
    assert worker.metric("airlock_stream_records_in_total") == {"": 12}


@pytest.mark.parametrize("limit", [1_000_000, 2_000_000])
def test_a_record_too_large_to_be_forwarded_is_a_dead_letter_and_the_rest_goes_on(
    stream: Stream, double: Path, start_worker: StartWorker, limit: int
) -> None:
    canary = stream.cluster.topic("canary")
    stream.change(share={"topic": canary, "percent": 100}, max_record_bytes=limit)
    values = [b'{"n": 1}', b'{"n": 2}' + b" " * 1_020_000, b'{"n": 3}']
    stream.cluster.write(stream.content["input"], ({"value": value, "partition": 0} for value in values))
    worker = start_worker(double)
    worker.ready()
    stream.wait()
    # Without keys, they are in any partitions.
    assert {message.value() for message in stream.cluster.read(canary)} == {b'{"n": 1}', b'{"n": 3}'}
    [letter] = stream.dead_letters()
    assert letter.value() is None  # which the producer would not take either
    assert headers(letter)["airlock-reason"] == "too_large"
    assert stamp(letter)[-3:] == (stream.content["input"], 0, 1)
    assert worker.metric("airlock_stream_dead_letters_total") == {"too_large": 1}
    assert worker.metric("airlock_stream_records_forwarded_total") == {"": 2}
    assert worker.end() == 0, worker.log


# Waits in a batch while a file is there, and tells by another that it does.
WAITING = """
    import os, time
    def score(rows):
        if rows.iloc[0, 0] > 0:
            open(os.environ["SCORING"], "w").close()
            while os.path.exists(os.environ["HOLD"]):
                time.sleep(0.01)
        return rows.iloc[:, 0].to_numpy()
"""


@pytest.fixture
def holds(tmp_path: Path) -> dict[str, str]:
    """The files of the waiting model, the one that holds it there."""
    (tmp_path / "hold").touch()
    return {"HOLD": str(tmp_path / "hold"), "SCORING": str(tmp_path / "scoring")}


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    return build_snapshot(tmp_path / "waiting", WAITING, inputs=NUMBER, outputs=MEAN)


def test_a_term_lets_it_finish_what_is_in_hand(
    stream: Stream, waiting: Path, start_worker: StartWorker, holds: dict[str, str]
) -> None:
    stream.write({"n": 1})
    worker = start_worker(waiting, **holds)
    wait_for(Path(holds["SCORING"]).exists, "a batch")
    worker.process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(1)
    Path(holds["HOLD"]).unlink()
    assert worker.process.wait(30) == 0, worker.log
    assert "the group is left" in worker.log
    assert len(stream.answers()) == 1
    assert stream.done()


def test_what_does_not_end_is_given_up_after_the_drain(
    stream: Stream, waiting: Path, start_worker: StartWorker, holds: dict[str, str]
) -> None:
    stream.write({"n": 1})
    worker = start_worker(waiting, "--drain-seconds", "1", **holds)
    wait_for(Path(holds["SCORING"]).exists, "a batch")
    assert worker.end() == 1
    assert "still at work 1 seconds after" in worker.log
    assert stream.answers() == []


def test_a_slow_model_pauses_reading_and_stays_in_the_group(
    stream: Stream, waiting: Path, start_worker: StartWorker, holds: dict[str, str]
) -> None:
    stream.change(batch={"records": 10})
    stream.cluster.write(
        stream.content["input"], ({"value": b'{"n": 1}', "partition": 0} for _ in range(100))
    )
    worker = start_worker(waiting, **holds)
    wait_for(Path(holds["SCORING"]).exists, "a batch")
    wait_for(lambda: worker.metric("airlock_stream_paused") == {"": 1}, "a pause")
    # Another one comes: it gets its partitions when the batch is committed, and none of its records.
    other = start_worker(waiting, **holds)
    time.sleep(1.5)
    Path(holds["HOLD"]).unlink()
    other.ready()
    stream.wait()
    assert worker.metric("airlock_stream_paused") == {"": 0}
    assert [one.end() for one in (worker, other)] == [0, 0]
    origins = [stamp(one)[-3:] for one in stream.answers()]
    assert len(origins) == len(set(origins)) == 100


def model_process(worker: LiveWorker) -> psutil.Process:
    [child] = psutil.Process(worker.process.pid).children()
    return child


def test_a_model_whose_process_dies_is_told_and_nothing_is_committed(
    stream: Stream, waiting: Path, start_worker: StartWorker, holds: dict[str, str]
) -> None:
    stream.write({"n": 1})
    worker = start_worker(waiting, **holds)
    wait_for(Path(holds["SCORING"]).exists, "a batch")
    model_process(worker).kill()
    assert worker.process.wait(30) == 1
    assert (
        "the process of the model was ended by SIGKILL, as the system does when memory runs out, while it "
        "scored a micro-batch" in worker.log.splitlines()[-1]
    )
    assert not stream.done()


def test_the_models_process_ends_with_its_worker_however_that_ended(
    stream: Stream, waiting: Path, start_worker: StartWorker, holds: dict[str, str]
) -> None:
    stream.write({"n": 1})
    worker = start_worker(waiting, **holds)
    wait_for(Path(holds["SCORING"]).exists, "a batch")
    child = model_process(worker)
    worker.kill()
    child.wait(30)


def test_a_model_that_cannot_be_loaded_is_told(
    stream: Stream, tmp_path: Path, start_worker: StartWorker
) -> None:
    broken = build_snapshot(tmp_path / "broken", "import nothing_like_it", inputs=NUMBER, outputs=MEAN)
    worker = start_worker(broken)
    assert worker.process.wait(30) == 1
    assert "nothing_like_it" in worker.log.splitlines()[-1]


def test_what_a_model_prints_goes_to_the_log(
    stream: Stream, tmp_path: Path, start_worker: StartWorker
) -> None:
    source = """
        def score(rows):
            print("scoring", len(rows))
            return rows.iloc[:, 0].to_numpy()
    """
    talking = build_snapshot(tmp_path / "talking", source, inputs=NUMBER, outputs=MEAN)
    worker = start_worker(talking, PYTHONUNBUFFERED="")
    stream.write({"n": 1})
    stream.wait()
    assert len(stream.answers()) == 1
    assert worker.end() == 0, worker.log
    assert "scoring 1" in worker.log


def test_an_unknown_topic_is_named_at_once(stream: Stream, double: Path, start_worker: StartWorker) -> None:
    stream.change(output="no-such-topic")
    worker = start_worker(double)
    assert worker.process.wait(30) == 1
    assert "the topic 'no-such-topic' is not there" in worker.log.splitlines()[-1]
    assert "create it" in worker.log.splitlines()[-1]


def test_brokers_that_cannot_be_reached_are_told(
    stream: Stream, double: Path, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.change(client={"bootstrap.servers": "127.0.0.1:1"})
    worker = start_worker(double)
    assert worker.process.wait(60) == 1
    assert "the brokers cannot be reached" in worker.log.splitlines()[-1]


def test_a_property_that_librdkafka_does_not_know_is_2(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    stream.change(client={**stream.content["client"], "no.such": 1})
    worker = start_worker(double)
    assert worker.process.wait(30) == 2
    assert 'No such configuration property: "no.such"' in worker.log.splitlines()[-1]


def test_a_wrong_file_leaves_the_share_in_force(
    stream: Stream, double: Path, start_worker: StartWorker
) -> None:
    canary = stream.cluster.topic("canary")
    stream.change(share={"topic": canary, "percent": 5})
    worker = start_worker(double)
    worker.ready()
    for share in ({"topic": canary, "percent": 101}, {"topic": "no-such-topic", "percent": 7}):
        stream.change(share=share)
        wait_for(lambda: worker.metric("airlock_stream_file_right") == {"": 0}, "word of the mistake")
        assert worker.metric("airlock_stream_share_percent") == {canary: 5}
        stream.change(share={"topic": canary, "percent": 5.0})
        wait_for(lambda: worker.metric("airlock_stream_file_right") == {"": 1}, "a right file")
    stream.change(share=None)
    wait_for(lambda: worker.metric("airlock_stream_share_percent") == {"": 0}, "no share")


def test_the_port_changes_nothing(stream: Stream, double: Path, start_worker: StartWorker) -> None:
    worker = start_worker(double)
    url = worker.ready()
    for method in ("PUT", "POST", "DELETE"):
        assert httpx.request(method, f"{url}/share", content=b"{}").status_code == 501
    assert httpx.get(f"{url}/nowhere").json()["reason"] == "no_such_route"
    assert httpx.get(f"{url}/v2/health/live").json() == {"live": True}
    assert httpx.get(f"{url}/ping").json() == {"status": True}
    metrics = httpx.get(f"{url}/metrics").text
    for name in ("airlock_rows_total", "airlock_score_bucket", "airlock_stream_batch_seconds_bucket"):
        assert name in metrics


def test_lag_is_told_by_partition(stream: Stream, double: Path, start_worker: StartWorker) -> None:
    worker = start_worker(double)
    stream.write(*({"n": n} for n in range(400)))
    stream.wait()
    wait_for(lambda: set(worker.metric("airlock_stream_lag").values()) == {0}, "no lag")
