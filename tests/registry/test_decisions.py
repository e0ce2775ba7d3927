"""Decisions are written once, refused ones with the reason; gates that ask are known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airlock.exceptions import NotFound
from airlock.registry import Registry
from airlock.registry.records import DecisionRecord, GateRecord, PassageRecord
from tests.registry.building import add_snapshot, begin
from tests.registry.racing import race

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
TUESDAY = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def passage(registry: Registry) -> PassageRecord:
    return begin(registry, add_snapshot(registry), "run-1")


def decide(registry: Registry, passage: PassageRecord, **fields: Any) -> DecisionRecord:
    decision: dict[str, Any] = {
        "stage": "PROD",
        "evidence_digest": "sha256:e",
        "policy_digest": "sha256:p",
        "user": "mia",
        "verdict": "approve",
        "comment": "looks right",
        "channel": "airlock",
        "accepted": True,
        **fields,
    }
    return registry.decisions.record(passage_id=passage.id, **decision)


def test_a_decision_is_bound_to_what_was_decided_on(registry: Registry, passage: PassageRecord) -> None:
    decision = decide(registry, passage)
    assert decision.accepted
    assert decision.snapshot_digest == passage.snapshot_digest
    assert (decision.evidence_digest, decision.policy_digest) == ("sha256:e", "sha256:p")
    assert registry.decisions.list(passage.id) == [decision] == registry.decisions.list(passage.id, "PROD")
    assert registry.decisions.list(passage.id, "UAT") == []
    entry = registry.ledger.entries(event="decision.")[0]
    assert (entry.event, entry.actor, entry.at) == ("decision.accepted", "mia", decision.given_at)
    assert entry.details["comment"] == "looks right"


def test_it_is_written_once(registry: Registry, passage: PassageRecord) -> None:
    first = decide(registry, passage)
    assert decide(registry, passage, comment="clicked twice", channel="airflow") == first
    assert decide(registry, passage, accepted=False, reason="mia has approved this already") == first
    others = [
        decide(registry, passage, user="ivo"),
        decide(registry, passage, verdict="reject"),
        decide(registry, passage, evidence_digest="sha256:other"),
        decide(registry, passage, policy_digest="sha256:other"),
        decide(registry, passage, stage="UAT"),
    ]
    assert registry.decisions.list(passage.id) == [first, *others]


def test_a_refused_one_is_remembered_with_its_reason(registry: Registry, passage: PassageRecord) -> None:
    refused = decide(registry, passage, user="rob", accepted=False, reason="rob requested this")
    assert (refused.state, refused.reason) == ("refused", "rob requested this")
    assert decide(registry, passage, user="rob", accepted=False, reason="rob requested this") == refused
    other_reason = decide(registry, passage, user="rob", accepted=False, reason="rob has no role")
    accepted = decide(registry, passage, user="rob")
    assert registry.decisions.list(passage.id) == [refused, other_reason, accepted]
    assert accepted.accepted, "being refused once does not bar somebody who has the role now"


def test_a_decision_on_nothing_is_not_found(registry: Registry, passage: PassageRecord) -> None:
    with pytest.raises(NotFound, match="no passage 'pas-0'"):
        registry.decisions.record(
            passage_id="pas-0",
            stage="PROD",
            evidence_digest="e",
            policy_digest="p",
            user="mia",
            verdict="approve",
            comment="",
            channel="airlock",
            accepted=True,
        )


def test_given_twice_at_once_it_is_written_once(registry: Registry, passage: PassageRecord, url: str) -> None:
    registry.close()
    given = race(8, url, lambda own, _: decide(own, passage).id)
    assert len(set(given)) == 1
    assert len(registry.decisions.list(passage.id)) == 1


def ask(registry: Registry, passage: PassageRecord, **fields: Any) -> GateRecord:
    question: dict[str, Any] = {
        "stage": "PROD",
        "dag_id": "cc-fraud",
        "run_id": "run-1",
        "task_id": "DEV.gate",
        "evidence_digest": "sha256:e",
        "policy_digest": "sha256:p",
        "expires_at": MONDAY,
        **fields,
    }
    return registry.gates_open.open(passage_id=passage.id, **question)


def test_a_gate_that_asks_is_known_until_it_closes(registry: Registry, passage: PassageRecord) -> None:
    gate = ask(registry, passage)
    assert (gate.service, gate.snapshot_name, gate.expires_at) == ("cc-fraud", "fraud@1", MONDAY)
    assert registry.gates_open.open_for() == registry.gates_open.open_for("cc-fraud") == [gate]
    assert registry.gates_open.open_for(passage_id=passage.id) == [gate]
    assert registry.gates_open.open_for("other") == []
    registry.gates_open.close(passage.id, "PROD")
    registry.gates_open.close(passage.id, "PROD")
    assert registry.gates_open.open_for() == []
    closed = registry.gates_open.find("cc-fraud", "run-1", "DEV.gate")
    assert closed is not None
    assert closed.outcome == "entered"
    assert closed.closed_at is not None
    assert len(registry.ledger.entries(event="gate.closed")) == 1


def test_asking_again_does_not_put_off_the_end(registry: Registry, passage: PassageRecord) -> None:
    gate = ask(registry, passage)
    assert ask(registry, passage, expires_at=TUESDAY) == gate
    renewed = ask(registry, passage, evidence_digest="sha256:new", expires_at=TUESDAY)
    assert (renewed.id, renewed.evidence_digest, renewed.expires_at) == (gate.id, "sha256:new", TUESDAY)


def test_a_gate_that_was_cleared_asks_anew(registry: Registry, passage: PassageRecord) -> None:
    first = ask(registry, passage)
    registry.gates_open.close(passage.id, "PROD")
    second = ask(registry, passage)
    assert second.id != first.id
    assert registry.gates_open.find("cc-fraud", "run-1", "DEV.gate") == second
    assert [gate.id for gate in registry.gates_open.list(passage.id)] == [first.id, second.id]
    assert registry.gates_open.find("cc-fraud", "run-1", "UAT.gate") is None
