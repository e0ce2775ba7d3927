"""Whose approve or reject counts, and the reason given to those whose does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.gates import EntryFacts, judge_vote, may_enter
from airlock.registry.records import Verdict
from airlock.spec import Policy
from tests.gates.facts import FACTS, PASSAGE, POLICY, decided, decision


def judge(facts: EntryFacts, user: str, verdict: Verdict = "approve", **seen: str) -> str | None:
    """Judge a vote of somebody who saw what is so now."""
    binding = {"evidence_digest": facts.evidence_digest, "policy_digest": facts.policy_digest, **seen}
    return judge_vote(facts, user=user, verdict=verdict, **binding)


@pytest.mark.parametrize("user", ["mia", "ivo"])
@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_somebody_with_the_role_counts(user: str, verdict: Verdict) -> None:
    assert judge(FACTS, user, verdict) is None


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("rob", "rob requested this passage, and the policy of PROD separates duties"),
        ("ann", "ann made fraud@3, and the policy of PROD separates duties"),
        ("eve", "eve has none of the roles that decide about PROD: model-risk, it-operations."),
    ],
)
def test_others_are_told_why_not(user: str, reason: str) -> None:
    assert str(judge(FACTS, user)).startswith(reason)


def test_requester_and_author_may_stop_what_they_may_not_approve() -> None:
    assert judge(FACTS, "rob", "reject") is None
    assert judge(FACTS, "ann", "reject") is None


def test_without_separation_of_duties_their_role_is_enough() -> None:
    together = Policy("PROD", approvals=POLICY.approvals, separation_of_duties=False)
    assert judge(replace(FACTS, policy=together), "rob") is None


def test_nobody_is_asked_twice() -> None:
    assert judge(decided(FACTS, "mia"), "mia") == "mia has approved this already."
    rejected = decided(FACTS, decision("mia", "reject"))
    assert judge(rejected, "mia", "reject") == "mia has rejected this already."
    assert judge(rejected, "mia") == "mia has rejected this already."
    assert judge(decided(FACTS, "mia"), "ivo") is None


def test_who_approved_may_still_reject() -> None:
    assert judge(decided(FACTS, "mia"), "mia", "reject") is None


def test_a_decision_that_was_void_does_not_bar_a_new_one() -> None:
    assert judge(decided(FACTS, decision("mia", evidence_digest="sha256:old")), "mia") is None
    assert judge(decided(FACTS, decision("mia", state="refused")), "mia") is None


def test_what_was_seen_must_be_what_is() -> None:
    assert "The evidence for fraud@3 has changed" in str(judge(FACTS, "mia", evidence_digest="sha256:old"))
    assert "The policy of PROD has changed" in str(judge(FACTS, "mia", policy_digest="sha256:old"))


def test_after_the_end_nobody_decides() -> None:
    over = replace(FACTS, passage=replace(PASSAGE, state="finished", outcome="expired"))
    assert judge(over, "mia") == "The passage of fraud@3 is over: expired."


def test_where_nobody_is_asked_nobody_decides() -> None:
    assert judge(replace(FACTS, policy=Policy("PROD")), "mia") == "The policy of PROD asks nobody."


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["mia", "ivo", "ann", "rob", "eve"]), st.sampled_from(["approve", "reject"])
        ),
        max_size=6,
    )
)
def test_votes_that_were_accepted_decide_as_may_enter_says(votes: list[tuple[str, Verdict]]) -> None:
    """Whatever comes in whatever order: it may enter exactly if mia and ivo approved and nobody rejected."""
    facts = FACTS
    for user, verdict in votes:
        if judge(facts, user, verdict) is None:
            facts = decided(facts, *facts.decisions, decision(user, verdict))
    approving = {each.user for each in facts.decisions if each.verdict == "approve"}
    rejecting = {each.user for each in facts.decisions if each.verdict == "reject"}
    assert (may_enter(facts) == []) == (approving == {"mia", "ivo"} and not rejecting)
    assert approving <= {"mia", "ivo"}
    assert "eve" not in approving | rejecting
