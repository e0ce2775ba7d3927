"""One passage of a service at a time: the rules for a second one, also when two begin at once."""

from __future__ import annotations

import pytest

from airlock.exceptions import Conflict, NotFound
from airlock.registry import Registry
from airlock.registry.records import PassageRecord
from tests.registry.building import LIFECYCLE, add_snapshot, begin, deploy, include, runtime
from tests.registry.racing import race


def test_a_passage_begins_once_for_a_run(registry: Registry) -> None:
    snapshot = add_snapshot(registry)
    first = begin(registry, snapshot, "fraud@1")
    assert (first.state, first.snapshot_name, first.requested_by) == ("active", "fraud@1", "rob")
    assert first.lifecycle == LIFECYCLE.model_dump(mode="json")
    assert begin(registry, snapshot, "fraud@1", by="somebody else") == first
    assert registry.passages.by_run("cc-fraud", "fraud@1") == first == registry.passages.active("cc-fraud")
    assert registry.passages.get(first.id) == first
    assert registry.passages.list("cc-fraud") == [first]
    assert registry.passages.by_run("other", "fraud@1") is None
    assert len(registry.ledger.entries(event="passage.")) == 1


def test_an_unknown_snapshot_or_passage_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no snapshot sha256:0"):
        registry.passages.begin(
            service="s",
            snapshot_digest="sha256:0",
            lifecycle_digest="x",
            lifecycle={},
            run_id="r",
            by="ann",
        )
    with pytest.raises(NotFound, match="no passage 'pas-0'"):
        registry.passages.get("pas-0")


def test_the_same_snapshot_again_is_a_conflict_that_names_the_run(registry: Registry) -> None:
    snapshot = add_snapshot(registry)
    first = begin(registry, snapshot, "run-1")
    for _ in range(2):
        with pytest.raises(
            Conflict, match=r"fraud@1 is already on its way for .* cc-fraud: run run-1, active"
        ):
            begin(registry, snapshot, "run-2")
    duplicate = registry.passages.by_run("cc-fraud", "run-2")
    assert duplicate is not None
    assert (duplicate.state, duplicate.outcome) == ("finished", "duplicate")
    assert registry.passages.active("cc-fraud") == first

    registry.passages.finish(first.id, "failed", "a disk broke")
    assert begin(registry, snapshot, "run-2").state == "active", "cleared, and nothing else is under way now"


def test_another_service_may_promote_the_same_snapshot(registry: Registry) -> None:
    snapshot = add_snapshot(registry, services=["cc-fraud", "other"])
    assert begin(registry, snapshot, "run-1").state == "active"
    assert begin(registry, snapshot, "run-1", service="other").state == "active"


@pytest.mark.parametrize("newcomer_is_older", [False, True])
def test_a_newcomer_supersedes_whatever_its_version(registry: Registry, newcomer_is_older: bool) -> None:
    one, two = add_snapshot(registry, content=1), add_snapshot(registry, content=2)
    before, after = (two, one) if newcomer_is_older else (one, two)
    first = begin(registry, before, "run-1")
    second = begin(registry, after, "run-2", by="zoe")
    superseded = registry.passages.get(first.id)
    assert second.state == "active"
    assert (superseded.outcome, superseded.superseded_by) == ("superseded", second.id)
    assert superseded.reason == "superseded by run run-2, requested by zoe"
    assert superseded.ended_at is not None
    assert begin(registry, before, "run-1") == superseded, "its run cannot bring it back"


def test_passages_queue_in_the_order_they_came(registry: Registry) -> None:
    snapshots = [add_snapshot(registry, content=number) for number in range(3)]
    first, second, third = (
        begin(registry, snapshot, f"run-{number}", on_newer="queue")
        for number, snapshot in enumerate(snapshots)
    )
    assert [first.state, second.state, third.state] == ["active", "queued", "queued"]
    assert registry.passages.promote_queued(first.id), "it is active already"
    assert not registry.passages.promote_queued(second.id), "the first is still under way"
    registry.passages.finish(first.id, "completed", "at PROD")
    assert not registry.passages.promote_queued(third.id), "the second came before it"
    assert registry.passages.promote_queued(second.id)
    assert registry.passages.promote_queued(second.id), "asking again changes nothing"
    assert not registry.passages.promote_queued(first.id), "it is over"
    registry.passages.finish(second.id, "rejected", "not good enough", by="mia")
    assert registry.passages.promote_queued(third.id)


def test_nobody_overtakes_the_queue(registry: Registry) -> None:
    snapshots = [add_snapshot(registry, content=number) for number in range(3)]
    first = begin(registry, snapshots[0], "run-0", on_newer="queue")
    queued = begin(registry, snapshots[1], "run-1", on_newer="queue")
    registry.passages.finish(first.id, "completed", "at PROD")
    assert begin(registry, snapshots[2], "run-2", on_newer="queue").state == "queued"
    with pytest.raises(Conflict, match="run run-1, queued"):
        begin(registry, snapshots[1], "run-3", on_newer="queue")
    newest = begin(registry, snapshots[0], "run-4", on_newer="supersede")
    assert newest.state == "active"
    assert registry.passages.get(queued.id).superseded_by == newest.id


def test_the_first_outcome_stays(registry: Registry) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1")
    ended = registry.passages.finish(passage.id, "rejected", "too weak", by="mia")
    assert (ended.state, ended.outcome, ended.reason) == ("finished", "rejected", "too weak")
    assert registry.passages.finish(passage.id, "failed", "a task failed afterwards") == ended
    (entry,) = registry.ledger.entries(event="passage.finished")
    assert (entry.actor, entry.details["outcome"]) == ("mia", "rejected")


def test_the_end_closes_gates_and_gives_back_what_is_not_on_a_runtime(registry: Registry) -> None:
    registry.catalog.apply(include(runtime("r", capacity=5)), by="ops")
    passage = begin(registry, add_snapshot(registry), "run-1")
    live = deploy(registry, passage, "DEV")
    planned = deploy(registry, passage, "PROD", ready=False)
    registry.gates_open.open(
        passage_id=passage.id,
        stage="PROD",
        dag_id="cc-fraud",
        run_id="run-1",
        task_id="DEV.gate",
        evidence_digest="e",
        policy_digest="p",
        expires_at=None,
    )
    registry.passages.finish(passage.id, "expired", "nobody answered")
    assert [lease.deployment_id for lease in registry.leases.held()] == [live.id]
    retired = registry.deployments.get(planned.id)
    assert (retired.state, retired.reason) == ("retired", "the passage is expired")
    assert registry.gates_open.open_for() == []
    gate = registry.gates_open.find("cc-fraud", "run-1", "DEV.gate")
    assert gate is not None
    assert gate.outcome == "expired"


def test_a_failed_passage_goes_on_if_nothing_else_is_under_way(registry: Registry) -> None:
    one, two = add_snapshot(registry, content=1), add_snapshot(registry, content=2)
    passage = begin(registry, one, "run-1")
    assert registry.passages.resume(passage.id) == passage
    registry.passages.finish(passage.id, "failed", "a disk broke")
    resumed = registry.passages.resume(passage.id, by="ops")
    assert (resumed.state, resumed.outcome, resumed.ended_at) == ("active", None, None)

    registry.passages.finish(passage.id, "failed", "again")
    begin(registry, two, "run-2")
    with pytest.raises(Conflict, match="fraud@2 is under way for service cc-fraud in run run-2"):
        registry.passages.resume(passage.id)


def test_only_a_failed_passage_goes_on(registry: Registry) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1")
    registry.passages.finish(passage.id, "rejected", "too weak")
    with pytest.raises(Conflict, match=r"cannot go on: it is rejected \(too weak\)"):
        registry.passages.resume(passage.id)


def test_of_many_promotions_of_one_snapshot_at_once_one_runs(registry: Registry, url: str) -> None:
    snapshot = add_snapshot(registry)
    registry.close()

    def promote(own: Registry, number: int) -> str | None:
        try:
            return begin(own, snapshot, f"run-{number}").run_id
        except Conflict:
            return None

    (winner,) = [run_id for run_id in race(8, url, promote) if run_id is not None]
    active = registry.passages.active("cc-fraud")
    assert active is not None
    assert active.run_id == winner
    outcomes = [passage.outcome for passage in registry.passages.list() if passage.id != active.id]
    assert outcomes == ["duplicate"] * 7


def test_of_many_snapshots_at_once_the_last_supersedes_the_others(registry: Registry, url: str) -> None:
    snapshots = [add_snapshot(registry, content=number) for number in range(8)]
    registry.close()
    begun = race(8, url, lambda own, number: begin(own, snapshots[number], f"run-{number}"))
    assert all(passage.state == "active" for passage in begun), "each was active when it began"
    active, *older = registry.passages.list("cc-fraud")
    assert active.state == "active"
    assert [passage.outcome for passage in older] == ["superseded"] * 7
    _each_was_superseded_by_the_next([active, *older])


def _each_was_superseded_by_the_next(newest_first: list[PassageRecord]) -> None:
    successors = [passage.superseded_by for passage in newest_first[1:]]
    assert successors == [passage.id for passage in newest_first[:-1]]


def test_of_many_snapshots_at_once_one_goes_and_the_others_queue(registry: Registry, url: str) -> None:
    snapshots = [add_snapshot(registry, content=number) for number in range(8)]
    registry.close()

    def go_through(own: Registry, number: int) -> None:
        """Wait for one's turn, and see that nobody else has it meanwhile."""
        passage = begin(own, snapshots[number], f"run-{number}", on_newer="queue")
        while not own.passages.promote_queued(passage.id):
            assert own.passages.get(passage.id).state == "queued"
        active = own.passages.active("cc-fraud")
        assert active is not None
        assert active.id == passage.id
        own.passages.finish(passage.id, "completed", "at PROD")

    race(8, url, go_through)
    assert [passage.outcome for passage in registry.passages.list()] == ["completed"] * 8
