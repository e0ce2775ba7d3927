"""Rollouts in the API: the page of what the guards found, and a person's word where they cannot tell."""

from __future__ import annotations

import pytest

from airlock.registry import Registry
from airlock.web import gate_answers
from tests.web.application import AsUser
from tests.web.story import API, Story, answer_of, state_of
from tests.web.test_required_actions import answer_page


@pytest.mark.parametrize(("option", "verdict"), [("Go on", "approve"), ("Roll back", "reject")])
def test_an_answer_on_airflows_page_is_a_decision(
    story: Story, as_user: AsUser, registry: Registry, option: str, verdict: str
) -> None:
    gate = story.at_the_rollout()

    assert answer_page(as_user("rita"), gate, option, "I looked.").status_code == 200

    (decision,) = registry.decisions.list(gate.passage_id)
    assert (decision.stage, decision.user, decision.verdict) == ("LIVE.rollout", "rita", verdict)
    assert (decision.accepted, decision.evidence_digest) == (True, gate.evidence_digest)
    assert answer_of(gate) == {"by": "rita", "chosen": [option]}


def test_an_answer_over_airlocks_api_wakes_the_task(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_rollout()

    answer = as_user("omar").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE.rollout", "verdict": "reject"}
    )

    assert answer.status_code == 201
    assert answer.json()["missing"] == []
    assert answer_of(gate) == {"by": "omar", "chosen": ["Roll back"]}
    assert state_of(gate) == "scheduled"


def test_somebody_without_a_role_is_refused_and_airflow_never_hears_of_it(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_rollout()

    answer = answer_page(as_user("ada"), gate, "Go on")

    assert answer.status_code == 409
    assert "has none of the roles that decide about LIVE" in answer.json()["detail"]
    (decision,) = registry.decisions.list(gate.passage_id)
    assert (decision.user, decision.state) == ("ada", "refused")
    assert answer_of(gate) is None


def test_the_question_stands_among_the_gates(story: Story, as_user: AsUser) -> None:
    gate = story.at_the_rollout()

    [view] = as_user("rita").get(f"{API}/gates", params={"mine": True}).json()

    assert (view["stage"], view["task_id"], view["why_not_you"]) == ("LIVE.rollout", "LIVE.rollout", None)
    assert view["missing"] == [
        {"role": "one person with a role of LIVE", "candidates": ["dana", "omar", "rita"]}
    ]
    assert view["report"].endswith(f"/reports/{gate.passage_id}/LIVE/rollout")
    assert as_user("ada").get(f"{API}/gates", params={"mine": True}).json() == []


def test_the_passage_tells_of_its_rollout(story: Story, as_user: AsUser) -> None:
    gate = story.at_the_rollout()

    lab, live = as_user("vera").get(f"{API}/passages/{gate.passage_id}").json()["stages"]

    assert lab["rollout"] is None
    assert (live["rollout"]["strategy"], live["rollout"]["step"]) == ("canary", "5 %")
    assert (live["rollout"]["asks"], live["rollout"]["outcome"], live["state"]) == (True, None, "asking")


def test_the_page_shows_what_the_guards_found(story: Story, as_user: AsUser, registry: Registry) -> None:
    gate = story.at_the_rollout()
    address = f"{API}/reports/{gate.passage_id}/LIVE/rollout"
    answer_page(as_user("rita"), gate, "Roll back", "<b>No</b>")

    page = as_user("vera").get(address)

    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Under way: 5 %, and people are asked." in page.text
    assert "new@1 answered 12 requests, 1 of them" in page.text
    assert "12 requests are &lt;few&gt;." in page.text
    assert "rita rolled it back: &lt;b&gt;No&lt;/b&gt;" in page.text
    [rollout] = registry.rollouts.list(gate.passage_id)
    registry.rollouts.end(rollout.id, "rolled_back", "A person decided.")
    assert "was rolled back" in as_user("vera").get(address).text
    assert address in as_user("vera").get(f"{API}/reports/{gate.passage_id}/LIVE").text
    assert as_user("vera").get(f"{API}/reports/{gate.passage_id}/LAB/rollout").status_code == 404


def test_each_verdict_has_its_button(story: Story) -> None:
    gate, entry = story.at_the_rollout(), story.at_the_gate()

    assert gate_answers.option_of(gate, "approve") == "Go on"
    assert gate_answers.option_of(entry, "reject") == "Reject"
