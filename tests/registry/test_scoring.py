"""Runs of scheduled scoring: which version, and which parts are done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airlock.exceptions import Conflict, NotFound
from airlock.registry import Registry
from airlock.registry.records import ScoringRecord
from tests.registry.building import add_snapshot

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
PART: dict[str, Any] = {
    "rows_in": 3_000_000_000,
    "rows_out": 2_999_999_999,
    "rows_rejected": 1,
    "files": [{"path": "part-0.parquet", "rows": 2_999_999_999, "sha256": "f" * 64}],
}


def start(registry: Registry, *, content: int = 1, run_id: str = "scheduled__2026-03-01") -> ScoringRecord:
    snapshot = add_snapshot(registry, content=content)
    return registry.scoring.begin(
        service="cc-fraud",
        interval_start=START,
        interval_end=END,
        input="data/2026-03-01/*.parquet",
        output="scores/2026-03-01",
        snapshot_digest=snapshot.digest,
        run_id=run_id,
    )


def test_a_run_keeps_the_version_it_began_with(registry: Registry) -> None:
    first = start(registry, content=1)
    assert (first.snapshot_name, first.attempt, first.state) == ("fraud@1", 1, "running")
    assert (first.interval_start, first.interval_end) == (START, END)
    assert start(registry, content=2) == first
    assert registry.scoring.find("cc-fraud", first.run_id) == first
    assert registry.scoring.find("cc-fraud", "another") is None


def test_partitions_are_counted_once(registry: Registry) -> None:
    run = start(registry)
    registry.scoring.partition_done(run.id, "a", **PART)
    rows = registry.ledger.head().count
    registry.scoring.partition_done(run.id, "a", **PART)
    assert registry.ledger.head().count == rows, "reported again by a task that was killed after reporting"
    registry.scoring.partition_done(run.id, "b", **{**PART, "rows_in": 1})
    registry.scoring.partition_done(run.id, "b", **{**PART, "rows_in": 2})
    found = registry.scoring.find("cc-fraud", run.run_id)
    assert found is not None
    assert [(part.partition, part.rows_in) for part in found.partitions] == [("a", 3_000_000_000), ("b", 2)]
    assert found.partitions[0].files == tuple(PART["files"])


def test_a_run_ends_once(registry: Registry) -> None:
    run = start(registry)
    ended = registry.scoring.complete(run.id)
    assert ended.state == "completed"
    assert ended.ended_at is not None
    assert registry.scoring.fail(run.id, "too late") == ended
    with pytest.raises(Conflict, match="has ended: it is completed"):
        registry.scoring.partition_done(run.id, "a", **PART)


def test_a_run_that_was_cleared_begins_anew_with_the_version_of_now(registry: Registry) -> None:
    first = start(registry, content=1)
    registry.scoring.partition_done(first.id, "a", **PART)
    registry.scoring.fail(first.id, "no space left")
    second = start(registry, content=2)
    assert (second.attempt, second.snapshot_name, second.partitions) == (2, "fraud@2", ())
    assert [run.attempt for run in registry.scoring.list("cc-fraud")] == [2, 1]
    assert registry.scoring.list("other") == []
    assert registry.scoring.list()[1].reason == "no space left"


def test_an_unknown_run_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no scoring run 7"):
        registry.scoring.complete(7)
