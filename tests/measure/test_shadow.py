"""Comparing what two versions answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer

from airlock_host.columns import Columns
from airlock_host.exceptions import InputUnusable
from airlock_host.measure import run
from airlock_host.measure.shadow import compare, in_common
from airlock_host.schema import Schema
from airlock_host.stream.codecs import codec
from airlock_host.stream.settings import Avro, StreamSettings

OUTPUTS = Schema.read(
    [{"name": "score", "type": "number", "nullable": True}, {"name": "decision", "type": "string"}]
)


def answer(score: float | None, decision: str) -> dict[str, object]:
    return {"score": score, "decision": decision}


def test_what_differs_is_counted_by_output() -> None:
    current = {
        (0, 0, 0): answer(0.5, "yes"),
        (0, 1, 0): answer(0.25, "no"),
        (1, 0, 0): answer(None, "no"),
        (1, 1, 0): answer(None, "no"),
        (2, 9, 0): answer(0.5, "yes"),
    }
    shadow = {
        (0, 0, 0): answer(0.75, "yes"),
        (0, 1, 0): answer(0.25, "yes"),
        (1, 0, 0): answer(None, "no"),
        (1, 1, 0): answer(0.5, "no"),
        (3, 4, 0): answer(0.5, "yes"),
    }
    measured = compare(current, shadow, OUTPUTS)
    assert (measured["n"], measured["differ"]) == (4, 3)
    assert measured["only_current"] == {"n": 1, "shown": [{"partition": 2, "offset": 9, "row": 0}]}
    assert measured["only_shadow"] == {"n": 1, "shown": [{"partition": 3, "offset": 4, "row": 0}]}
    assert measured["numbers"]["score"] == {
        "compared": 2,
        "differ": 2,
        "greatest": 0.25,
        "mean": 0.125,
        "mean_shift": 0.125,
        "at": {"partition": 0, "offset": 0, "row": 0},
    }
    decision = measured["labels"]["decision"]
    assert (decision["compared"], decision["differ"]) == (4, 1)
    assert {"current": "no", "shadow": "yes", "n": 1} in decision["confusion"]


def test_small_differences_may_be_none() -> None:
    current, shadow = ({(0, 0, 0): answer(score, "yes")} for score in (0.5, 0.5001))
    assert compare(current, shadow, OUTPUTS)["differ"] == 1
    assert compare(current, shadow, OUTPUTS, atol=0.001)["differ"] == 0


def test_nothing_in_common() -> None:
    measured = compare({(0, 0, 0): answer(1, "yes")}, {}, OUTPUTS)
    assert (measured["n"], measured["differ"], measured["figures"]) == (0, 0, [])
    assert measured["numbers"]["score"]["greatest"] is None


def test_differences_are_drawn() -> None:
    current, shadow = (
        {(0, offset, 0): answer(offset * factor, "yes") for offset in range(20)} for factor in (1.0, 1.1)
    )
    (figure,) = compare(current, shadow, OUTPUTS)["figures"]
    assert figure["svg"].startswith("<svg")
    assert "1.9 at most" in figure["alt"]


def test_what_only_one_can_have_answered_is_left_out() -> None:
    """The shadow began late and has not come to the end; in partition 2 it has nothing yet."""
    current = {(0, n, 0): answer(1, "yes") for n in range(10)} | {(2, 1, 0): answer(1, "yes")}
    shadow = {(0, n, 0): answer(1, "yes") for n in (4, 5, 7)}
    ours, theirs = in_common(current, shadow)
    assert sorted(ours) == [(0, n, 0) for n in (4, 5, 6, 7)]
    assert theirs == shadow
    assert compare(ours, theirs, OUTPUTS)["only_current"]["n"] == 1


def test_a_shadow_that_is_ahead_is_not_alone() -> None:
    current = {(0, n, 0): answer(1, "yes") for n in range(5)}
    shadow = {(0, n, 0): answer(1, "yes") for n in range(10)} | {(1, 0, 0): answer(1, "yes")}
    _, theirs = in_common(current, shadow)
    assert sorted(theirs) == [*((0, n, 0) for n in range(5)), (1, 0, 0)]


@pytest.mark.parametrize("since", ["yesterday", -1, True, float("nan")])
def test_since_is_a_time(tmp_path: Path, since: object) -> None:
    names = {"group": "g", "input": "in", "output": "out", "dead_letter": "dead"}
    for name in ("stream", "shadow"):
        content = {**names, "client": {"bootstrap.servers": "x:1"}, "output": name}
        (tmp_path / name).write_text(json.dumps(content))
    job = {
        "kind": "shadow",
        "output": [],
        "since": since,
        **{n: str(tmp_path / n) for n in ("stream", "shadow")},
    }
    with pytest.raises(InputUnusable, match=r"'since' is .*; expected seconds of the epoch"):
        run(job)


def test_streams_that_answer_into_one_topic_are_not_compared(tmp_path: Path) -> None:
    names = {"group": "g", "input": "in", "output": "out", "dead_letter": "dead"}
    (tmp_path / "stream").write_text(json.dumps({**names, "client": {"bootstrap.servers": "x:1"}}))
    job = {"kind": "shadow", "output": [], **dict.fromkeys(("stream", "shadow"), str(tmp_path / "stream"))}
    with pytest.raises(InputUnusable, match="both streams answer into 'out'"):
        run(job)


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    """A mock cluster, by what the checks environment has."""
    mock = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(mock.list_topics(timeout=10).brokers.values()))
    yield f"{broker.host}:{broker.port}"
    mock.close()


@pytest.mark.parametrize("kind", ["json", "avro", "arrow"])
def test_a_job_reads_the_answers_of_both_from_their_topics(kind: str, servers: str, tmp_path: Path) -> None:
    fields = [{"name": "score", "type": "number"}]
    outputs = Schema.read(fields)
    schema = {"type": "record", "name": "Loan", "fields": []}
    avro = Avro(schema) if kind == "avro" else None
    settings = StreamSettings({}, "g", "in", "out", "dead", format=kind, avro=avro)
    write = codec(settings, Schema([]), outputs).write
    for name, scores in (("current", [0.0, 1.0, 2.0, 3.0]), ("shadow", [1.0, 3.0, 3.0])):
        producer = Producer({"bootstrap.servers": servers})
        ends = list(range(1, len(scores) + 1))
        values = write(Columns(outputs, len(scores), lambda field, of=scores: np.array(of)), ends)
        for offset, value in enumerate(values, start=name == "shadow"):
            producer.produce(
                f"{kind}-{name}", value, headers={"airlock-stamp": f"m@1 sha256:0 dep-1 w/1 in/0/{offset}"}
            )
        assert producer.flush(10) == 0
        content = {
            "client": {"bootstrap.servers": servers, "fetch.wait.max.ms": 10},
            "group": "g",
            "format": kind,
            "input": "in",
            "output": f"{kind}-{name}",
            "dead_letter": "dead",
            **({"avro": {"schema": schema}} if avro else {}),
        }
        (tmp_path / name).write_text(json.dumps(content))
    files = {"stream": str(tmp_path / "current"), "shadow": str(tmp_path / "shadow")}
    measured = run({"kind": "shadow", "output": fields, **files})
    assert (measured["n"], measured["differ"]) == (3, 1)
    assert measured["numbers"]["score"]["at"] == {"partition": 0, "offset": 2, "row": 0}
    contents = {name: json.loads(Path(file).read_text()) for name, file in files.items()}
    assert run({"kind": "shadow", "output": fields, **contents}) == measured, "files may be in the job itself"
