"""One record through a model before anyone relies on it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock_host.exceptions import SnapshotUnusable
from airlock_host.json_rows import read_records
from airlock_host.models import load
from airlock_host.schema import Schema
from airlock_host.snapshot import Snapshot
from airlock_host.warm_up import example_value, warm_up
from host.building import GOOD, build_snapshot

SEEN = "seen = []\ndef score(rows):\n    seen.append(rows)\n    return [{'score': 0.5, 'decision': 'no'}]\n"
limits = st.none() | st.integers(-100, 100)


def test_the_first_golden_record_is_taken(tmp_path: Path) -> None:
    model = load(Snapshot.open(build_snapshot(tmp_path / "s", SEEN, golden=[GOOD, {**GOOD, "age": 90}])))
    warm_up(model)
    import model as module  # type: ignore[import-not-found]

    assert [frame["age"].tolist() for frame in module.seen] == [[40]]


@pytest.mark.parametrize("golden", [{**GOOD, "age": 3}, {"income": 1}])
def test_a_golden_record_that_breaks_the_schema_is_fatal(tmp_path: Path, golden: dict[str, Any]) -> None:
    model = load(Snapshot.open(build_snapshot(tmp_path / "s", SEEN, golden=[golden])))
    with pytest.raises(SnapshotUnusable, match="first golden record cannot be scored: record 0: field 'age'"):
        warm_up(model)


@pytest.mark.parametrize("text", ["", "no json\n", "{}\n"])
def test_golden_records_that_cannot_be_read_are_fatal(tmp_path: Path, text: str) -> None:
    folder = build_snapshot(tmp_path / "s", SEEN, golden=[GOOD])
    (folder / "golden.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(SnapshotUnusable, match=r"golden\.jsonl must hold lines such as"):
        warm_up(load(Snapshot.open(folder)))


def test_a_made_up_record_that_fails_is_only_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warm_up(
            load(Snapshot.open(build_snapshot(tmp_path / "s", "def score(rows):\n    raise KeyError('a')\n")))
        )
    assert "a record made up from the input schema cannot be scored: the model raised KeyError" in caplog.text


@given(kind=st.sampled_from(["string", "integer", "number", "boolean", "timestamp"]), low=limits, high=limits)
def test_a_made_up_value_always_fits(kind: str, low: int | None, high: int | None) -> None:
    if low is not None and high is not None and low > high:
        low, high = high, low
    limited = {"min": low, "max": high} if kind in ("integer", "number") else {}
    schema = Schema.read([{"name": "x", "type": kind, **limited}])
    assert read_records([{"x": example_value(schema.fields[0])}], schema).count == 1
