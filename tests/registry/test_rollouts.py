"""What the registry remembers of moving traffic."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from airlock.exceptions import NotFound, RegistryError
from airlock.registry import Registry, tables
from airlock.registry.records import RolloutRecord
from airlock.spec import Canary, digest
from tests.registry.building import add_snapshot, begin, deploy, include, runtime

EVIDENCE = {"guards": [{"guard": "error_rate", "status": "pass"}]}


def start(registry: Registry, run: int = 2) -> RolloutRecord:
    """A canary of the run's version beside the first version."""
    registry.catalog.apply(include(runtime("r", capacity=9)), by="ops")
    old = begin(registry, add_snapshot(registry, content=1), "run-1")
    current = deploy(registry, old, "PROD")
    new = begin(registry, add_snapshot(registry, content=run), f"run-{run}")
    return registry.rollouts.begin(
        passage_id=new.id,
        service="cc-fraud",
        stage="PROD",
        strategy=Canary().model_dump(mode="json"),
        deployment_id=deploy(registry, new, "PROD").id,
        current_deployment_id=current.id,
    )


def test_a_rollout_begins_once(registry: Registry) -> None:
    rollout = start(registry)

    assert (rollout.step, rollout.extended, rollout.since, rollout.outcome) == (0, 0, None, None)
    assert start(registry) == rollout
    assert registry.rollouts.list(rollout.passage_id, "PROD") == [rollout]


def test_each_step_is_measured_from_its_own_readings(registry: Registry) -> None:
    rollout = start(registry)

    begun = registry.rollouts.measure_from(rollout.id, 0, {"new": 1})
    again = registry.rollouts.measure_from(rollout.id, 0, {"new": 2})
    assert again == begun
    assert (begun.readings, begun.since is not None) == ({"new": 1}, True)

    advanced = registry.rollouts.advance(begun, EVIDENCE)
    assert (advanced.step, advanced.since, advanced.readings) == (1, None, None)
    assert registry.rollouts.measure_from(rollout.id, 0, {"new": 3}) == advanced, "that step is over"


def test_what_is_compared_twice_at_once_is_kept_once(registry: Registry) -> None:
    rollout = start(registry)
    assert registry.rollouts.keep_answers(rollout, {"n": 0}) == rollout, "it is not measured yet"

    begun = registry.rollouts.measure_from(rollout.id, 0, {"new": 1})
    kept = registry.rollouts.keep_answers(begun, {"n": 1})
    assert kept.readings == {"new": 1, "answers": {"n": 1}}
    assert registry.rollouts.keep_answers(begun, {"n": 2}) == kept
    assert registry.rollouts.keep_answers(kept, {"n": 3}).readings == {"new": 1, "answers": {"n": 3}}

    advanced = registry.rollouts.advance(kept, EVIDENCE)
    assert registry.rollouts.keep_answers(kept, {"n": 4}) == advanced, "that step is over"


def test_a_move_that_is_said_again_changes_nothing(registry: Registry) -> None:
    rollout = start(registry)

    extended = registry.rollouts.extend(rollout, EVIDENCE)
    assert registry.rollouts.extend(rollout, EVIDENCE) == extended
    asked = registry.rollouts.ask(extended, EVIDENCE)
    assert registry.rollouts.ask(asked, {"guards": []}) == asked
    assert asked.asked == digest(EVIDENCE)
    advanced = registry.rollouts.advance(asked, EVIDENCE)
    assert registry.rollouts.advance(asked, EVIDENCE) == advanced
    assert (advanced.step, advanced.extended, advanced.asked) == (1, 0, None)

    moves = [(step.step, step.extended, step.move) for step in registry.rollouts.steps(rollout.id)]
    assert moves == [(0, 0, "extend"), (0, 1, "ask"), (0, 1, "advance")]


def test_the_first_outcome_stays(registry: Registry) -> None:
    rollout = start(registry)

    ended = registry.rollouts.end(rollout.id, "rolled_back", "too many errors", EVIDENCE)
    assert registry.rollouts.end(rollout.id, "completed", "never mind") == ended
    assert registry.rollouts.advance(ended, EVIDENCE) == ended
    assert (ended.outcome, ended.reason) == ("rolled_back", "too many errors")

    assert [entry.event for entry in registry.ledger.entries(subject=rollout.id)] == [
        "rollout.began",
        "rollout.roll_back",
    ]
    assert registry.ledger.verify() == []


def test_one_rollout_of_a_service_is_under_way_at_a_stage(registry: Registry) -> None:
    first = start(registry, run=2)
    second = start(registry, run=3)

    assert registry.rollouts.get(first.id).outcome == "stopped"
    assert second.outcome is None


def test_what_was_found_cannot_be_changed(registry: Registry) -> None:
    rollout = start(registry)
    registry.rollouts.extend(rollout, EVIDENCE)

    for change in (update(tables.rollout_steps).values(evidence={}), delete(tables.rollout_steps)):
        with pytest.raises(RegistryError, match="append-only"), registry.database.write() as transaction:
            transaction.connection.execute(change)


def test_an_unknown_rollout(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no rollout 'rol-0'"):
        registry.rollouts.get("rol-0")
