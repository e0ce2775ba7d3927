"""Whose word counts about a rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airlock.gates import RolloutQuestion, question_about, stage_in_question
from airlock.registry.records import Verdict
from tests.gates.facts import PASSAGE, POLICY, ROLES, SNAPSHOT, decision

EVIDENCE = "sha256:found"
QUESTION = RolloutQuestion(PASSAGE, SNAPSHOT, "PROD", POLICY, ROLES, EVIDENCE, ())


def said(user: str, verdict: Verdict, **fields: Any) -> RolloutQuestion:
    """The question with one decision more."""
    bound = {"evidence_digest": EVIDENCE, "policy_digest": POLICY.digest, "stage": "PROD.rollout", **fields}
    return replace(QUESTION, decisions=(*QUESTION.decisions, decision(user, verdict, **bound)))


def test_questions_are_named_after_their_stage() -> None:
    assert stage_in_question(question_about("PROD")) == "PROD"
    assert stage_in_question("PROD") is None


@pytest.mark.parametrize(
    ("user", "verdict", "refusal"),
    [
        ("mia", "approve", None),
        ("ivo", "approve", None),
        ("rob", "approve", "rob requested this passage"),
        ("ann", "approve", "ann made fraud@3"),
        ("rob", "reject", None),
        ("eve", "reject", "eve has none of the roles"),
    ],
)
def test_who_may_say_what(user: str, verdict: Verdict, refusal: str | None) -> None:
    found = QUESTION.refusal(
        user=user, verdict=verdict, evidence_digest=EVIDENCE, policy_digest=POLICY.digest
    )

    assert found is None if refusal is None else refusal in str(found)


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        (replace(QUESTION, evidence_digest="sha256:other"), "What was asked has changed"),
        (replace(QUESTION, evidence_digest=None), "Nobody is asked"),
        (replace(QUESTION, passage=replace(PASSAGE, state="finished", outcome="superseded")), "is over"),
    ],
)
def test_only_what_was_asked_can_be_answered(question: RolloutQuestion, refusal: str) -> None:
    found = question.refusal(
        user="mia", verdict="approve", evidence_digest=EVIDENCE, policy_digest=POLICY.digest
    )

    assert refusal in str(found)


def test_without_separation_of_duties_everybody_with_a_role_counts() -> None:
    question = replace(QUESTION, policy=POLICY.model_copy(update={"separation_of_duties": False}))

    assert QUESTION.candidates == ("ivo", "mia")
    assert question.candidates == ("ann", "ivo", "mia", "rob")


def test_the_answer_is_what_was_said_about_this_evidence() -> None:
    assert QUESTION.answer is None
    assert said("mia", "approve").answer == "approve"
    assert said("mia", "approve", evidence_digest="sha256:older").answer is None
    assert said("mia", "approve", state="refused").answer is None
    both = said("mia", "approve").decisions + said("ivo", "reject").decisions
    assert replace(QUESTION, decisions=both).answer == "reject"
