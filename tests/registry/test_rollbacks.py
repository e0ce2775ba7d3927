"""What the registry remembers of ways back, and which of them are still to be carried out."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from airlock.exceptions import Conflict
from airlock.registry import Registry, migration
from airlock.registry.records import PassageRecord, RollbackRecord
from tests.registry.building import add_snapshot, begin


def into_use(registry: Registry, number: int) -> PassageRecord:
    """A version comes into use by a passage of its own."""
    passage = begin(registry, add_snapshot(registry, content=number), f"run-{number}")
    registry.history.make_current(
        passage_id=passage.id,
        deployment_id=None,
        service="cc-fraud",
        stage="PROD",
        mode="batch",
        snapshot_digest=passage.snapshot_digest,
    )
    return passage


@pytest.fixture
def three(registry: Registry) -> list[PassageRecord]:
    """Versions 1, 2 and 3 came into use, one after the other."""
    return [into_use(registry, number) for number in (1, 2, 3)]


def go_back(registry: Registry, to: str, by: str = "olga") -> RollbackRecord:
    left, *earlier = registry.history.versions("cc-fraud", "PROD", "batch")
    [target] = [version for version in earlier if version.snapshot_name == to]
    return registry.rollbacks.begin(left, target, requested_by=by, reason="bad")


def events(registry: Registry, rollback: RollbackRecord) -> list[tuple[str, str]]:
    return [(entry.event, entry.actor) for entry in registry.ledger.entries(subject=rollback.id)]


@pytest.mark.usefixtures("three")
def test_one_that_is_asked_for_again_is_the_same(registry: Registry) -> None:
    begun = go_back(registry, "fraud@2")
    assert go_back(registry, "fraud@2", by="omar") == begun
    registry.rollbacks.make_current(begun.id, None)
    done = registry.rollbacks.end(begun.id)
    assert registry.rollbacks.end(begun.id) == registry.rollbacks.confirm(begun.id) == done
    assert events(registry, done) == [("rollback.began", "olga"), ("rollback.ended", "airlock")]


@pytest.mark.usefixtures("three")
def test_another_target_replaces_it_and_the_first_one_may_be_asked_for_once_more(registry: Registry) -> None:
    first = go_back(registry, "fraud@2")
    second = go_back(registry, "fraud@1", by="omar")
    third = go_back(registry, "fraud@2")

    assert len({first.id, second.id, third.id}) == 3
    assert registry.rollbacks.under_way("cc-fraud", "PROD", "batch") == third
    assert events(registry, first) == [("rollback.began", "olga"), ("rollback.replaced", "omar")]
    with pytest.raises(Conflict, match="asked for another version since"):
        registry.rollbacks.make_current(second.id, None)


def test_a_version_that_comes_into_use_overtakes_it(registry: Registry, three: list[PassageRecord]) -> None:
    begun = go_back(registry, "fraud@2")
    newer = into_use(registry, 4)

    assert registry.rollbacks.get(begun.id).outcome == "overtaken"
    with pytest.raises(Conflict, match="another version has come into use since"):
        registry.rollbacks.make_current(begun.id, None)
    left, *_ = registry.history.versions("cc-fraud", "PROD", "batch")
    assert left.passage_id == newer.id
    left_since = registry.rollbacks.left_since
    bad = left_since("cc-fraud", "PROD", "batch", three[2].snapshot_digest, three[2].started_at)
    assert bad is not None, "what people left stays bad"


def test_a_version_that_was_left_comes_into_use_by_a_new_passage_only(
    registry: Registry, three: list[PassageRecord]
) -> None:
    done = go_back(registry, "fraud@2")
    registry.rollbacks.make_current(done.id, None)
    registry.rollbacks.end(done.id)
    version = {
        "service": "cc-fraud",
        "stage": "PROD",
        "snapshot_digest": three[2].snapshot_digest,
    }

    with pytest.raises(Conflict, match="olga has gone back from this version of cc-fraud in PROD"):
        registry.history.make_current(passage_id=three[2].id, deployment_id=None, mode="batch", **version)

    registry.passages.finish(three[2].id, "rolled_back", "")
    anew = begin(registry, registry.snapshots.get("fraud@3"), "run-3+1")
    registry.history.make_current(passage_id=anew.id, deployment_id=None, mode="batch", **version)
    with pytest.raises(Conflict, match="another version has come into use since"):
        registry.rollbacks.confirm(done.id)


def test_what_was_open_before_there_were_outcomes_is_overtaken_by_the_migration(empty_url: str) -> None:
    registry = Registry(empty_url)
    registry.migrate()
    for number in (1, 2, 3):
        into_use(registry, number)
    begun = go_back(registry, "fraud@2")
    newer = into_use(registry, 4)
    with registry.database.write() as transaction:
        as_before = "UPDATE rollbacks SET ended_at = NULL"
        for change in (as_before, "ALTER TABLE rollbacks DROP COLUMN outcome"):
            transaction.connection.execute(text(change))
        transaction.connection.execute(text(f"UPDATE {migration.VERSION_TABLE} SET version_num = '0005'"))

    registry.migrate()

    ended = registry.rollbacks.get(begun.id)
    in_use = registry.history.current("cc-fraud", "PROD", "batch")
    assert in_use is not None
    assert (ended.outcome, ended.ended_at, in_use.passage_id) == ("overtaken", in_use.from_time, newer.id)
    registry.close()
