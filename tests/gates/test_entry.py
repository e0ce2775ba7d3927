"""Every condition of entering a stage, one by one and together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airlock.gates import EntryFacts, may_enter
from airlock.spec import Policy, Roles
from tests.gates.facts import (
    FACTS,
    LIFECYCLE,
    PASSAGE,
    POLICY,
    SNAPSHOT,
    check_row,
    decided,
    decision,
    with_status,
)

APPROVED = decided(FACTS, "mia", "ivo")
ASKS_NOBODY = replace(FACTS, policy=Policy("PROD"))


def codes(facts: EntryFacts) -> list[str]:
    return [unmet.code for unmet in may_enter(facts)]


def test_with_all_conditions_met_it_may_enter() -> None:
    assert may_enter(APPROVED) == []
    assert may_enter(ASKS_NOBODY) == []


def test_everything_that_is_amiss_is_told_at_once() -> None:
    facts = replace(
        with_status("smoke", "fail"),
        passage=replace(PASSAGE, state="finished", outcome="superseded", reason="fraud@4 is on its way"),
        snapshot_problems=["model.py was changed"],
        policy=Policy("PROD", approvals=POLICY.approvals, evidence=["performance"]),
    )
    assert [str(unmet) for unmet in may_enter(facts)] == [
        "The passage of fraud@3 is over: superseded. fraud@4 is on its way (whoever promotes it again)",
        "The stored files of fraud@3 are not those that were checked: model.py was changed "
        "(whoever restores the artifact store)",
        "Check smoke at UAT failed. smoke is fail. (ann, by a new snapshot)",
        "The policy of PROD wants a passed check of kind performance at an earlier stage. "
        "(whoever writes the life cycle)",
        "An approval as model-risk is missing. (mia)",
        "An approval as it-operations is missing. (ivo, mia)",
    ]


def test_a_queued_passage_waits() -> None:
    assert codes(replace(APPROVED, passage=replace(PASSAGE, state="queued"))) == ["passage_queued"]


def test_files_that_nobody_looked_at_are_not_a_condition() -> None:
    assert may_enter(replace(APPROVED, snapshot_problems=None)) == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("pass", None),
        ("warn", None),
        ("fail", "check_failed"),
        ("error", "check_error"),
        ("skipped", "check_skipped"),
        ("something new", "check_error"),
    ],
)
def test_a_check_counts_by_its_status(status: str, code: str | None) -> None:
    facts = decided(with_status("smoke", status), "mia", "ivo")
    assert codes(facts) == ([code] if code else [])


def test_a_missing_check_is_no_passed_check() -> None:
    facts = replace(FACTS, results={"DEV": FACTS.results["DEV"]})
    assert codes(decided(facts, "mia", "ivo")) == ["check_missing", "check_missing"]
    replaced = tuple(replace(row, replaced=True) for row in FACTS.results["UAT"])
    facts = replace(FACTS, results={**FACTS.results, "UAT": replaced})
    assert codes(decided(facts, "mia", "ivo")) == ["check_missing", "check_missing"]


@pytest.mark.parametrize(("status", "met"), [("fail", True), ("error", False), ("skipped", False)])
def test_a_check_that_only_warns_may_fail_but_must_have_run(status: str, met: bool) -> None:
    assert (codes(decided(with_status("latency", status), "mia", "ivo")) == []) == met


def test_an_approval_accepts_inconclusive_evidence() -> None:
    facts = with_status("smoke", "inconclusive")
    unmet = may_enter(facts)[0]
    assert unmet.code == "check_inconclusive"
    assert "An approval of this evidence accepts it." in unmet.message
    assert unmet.who == ("ivo", "mia")
    assert codes(decided(facts, "mia", "ivo")) == []
    assert "check_inconclusive" in codes(decided(facts, *APPROVED.decisions)), "they saw other evidence"


def test_where_nobody_is_asked_inconclusive_evidence_stops_it() -> None:
    (unmet,) = may_enter(with_status("smoke", "inconclusive", ASKS_NOBODY))
    assert unmet.code == "check_inconclusive"
    assert "The policy of PROD asks nobody, so nobody can accept that." in unmet.message


def test_the_first_stage_needs_no_evidence() -> None:
    facts = replace(FACTS, stage="DEV", policy=Policy("DEV"), results={})
    assert may_enter(facts) == []


def test_evidence_of_a_kind_may_come_from_any_earlier_stage() -> None:
    asks_contract = Policy("PROD", evidence=["contract"])
    assert may_enter(replace(FACTS, policy=asks_contract)) == []
    failed = {**FACTS.results, "DEV": (check_row("DEV", "contract", "inconclusive"),)}
    assert codes(replace(FACTS, policy=asks_contract, results=failed)) == ["evidence_missing"]


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot_digest": "sha256:other"},
        {"evidence_digest": "sha256:other"},
        {"policy_digest": "sha256:other"},
        {"stage": "UAT"},
        {"state": "refused"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_decision_on_anything_else_is_void(change: dict[str, Any]) -> None:
    facts = decided(FACTS, decision("mia", **change), "ivo")
    assert codes(facts) == ["approval_missing"]
    rejection = decided(APPROVED, *APPROVED.decisions, decision("mia", "reject", **change))
    assert codes(rejection) == []


def test_a_change_of_evidence_or_policy_voids_what_was_approved() -> None:
    rerun = with_status("smoke", "warn", APPROVED)
    assert codes(rerun) == ["approval_missing", "approval_missing"]
    relaxed = Policy("PROD", approvals=[POLICY.approvals[0]])
    assert codes(replace(APPROVED, policy=relaxed)) == ["approval_missing"]


def test_one_rejection_is_enough() -> None:
    facts = decided(FACTS, "mia", "ivo", decision("mia", "reject", comment="the lift is too small"))
    unmet = may_enter(facts)
    assert (unmet[0].code, unmet[0].message) == (
        "rejected",
        "mia rejected fraud@3 for PROD: the lift is too small",
    )


@pytest.mark.parametrize("user", ["rob", "ann"], ids=["requester", "author"])
def test_duties_are_separated_even_if_such_a_decision_got_into_the_registry(user: str) -> None:
    assert codes(decided(FACTS, user, "ivo")) == ["approval_missing"]
    together = replace(FACTS, policy=Policy("PROD", approvals=POLICY.approvals, separation_of_duties=False))
    assert codes(decided(together, user, "ivo")) == []


def test_who_lost_the_role_since_approving_counts_no_more() -> None:
    facts = replace(APPROVED, roles=Roles({"model-risk": ["zoe"], "it-operations": ["ivo"]}))
    (unmet,) = may_enter(facts)
    assert (unmet.code, unmet.who) == ("approval_missing", ("zoe",))


def test_a_place_that_nobody_can_fill_is_told_apart() -> None:
    facts = replace(FACTS, roles=Roles({"model-risk": ["ann", "rob"], "it-operations": ["ivo"]}))
    unmet = may_enter(facts)[0]
    assert unmet.code == "approval_impossible"
    assert "nobody is left who could give it (ann, rob may not: separation of duties)" in unmet.message


def test_the_facts_are_those_of_the_previous_stage() -> None:
    assert FACTS.previous is not None
    assert FACTS.previous.name == "UAT"
    assert replace(FACTS, stage="DEV").previous is None
    assert LIFECYCLE.stages[0].name == "DEV"
    assert SNAPSHOT.name == "fraud@3"
