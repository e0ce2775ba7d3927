"""Approving and rejecting over Airlock's API: the ledger first, then Airflow's own request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airlock.registry import Registry
from airlock.web import airflow_private, gate_answers
from tests.web.application import AsUser
from tests.web.story import API, Story, answer_of, state_of


def test_an_approval_is_recorded_and_wakes_the_gate(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate()

    answer = as_user("rita").post(
        f"{API}/passages/{gate.passage_id}/decisions",
        json={"stage": "LIVE", "verdict": "approve", "comment": "It is better than the old one."},
    )

    assert answer.status_code == 201
    assert answer.json()["missing"] == [{"role": "it-operations", "candidates": ["omar"]}]
    (decision,) = registry.decisions.list(gate.passage_id)
    assert (decision.user, decision.verdict, decision.state) == ("rita", "approve", "accepted")
    assert (decision.comment, decision.channel) == ("It is better than the old one.", "api")
    assert answer_of(gate) == {"by": "rita", "chosen": ["Approve"]}
    assert state_of(gate) == "scheduled"


def test_the_requesters_own_approval_is_refused_and_recorded(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate(by="dana")  # who has the role model-risk, too

    answer = as_user("dana").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE", "verdict": "approve"}
    )

    assert answer.status_code == 409
    assert answer.json()["error"] == "decision_refused"
    assert "dana requested this passage" in answer.json()["message"]
    (decision,) = registry.decisions.list(gate.passage_id)
    assert (decision.user, decision.state) == ("dana", "refused")
    assert answer_of(gate) is None
    assert state_of(gate) == "awaiting_input"


def test_the_person_is_who_is_logged_in_whatever_the_body_says(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate()

    as_user("olga").post(
        f"{API}/passages/{gate.passage_id}/decisions",
        json={"stage": "LIVE", "verdict": "approve", "user": "rita", "by": "rita"},
    )

    (decision,) = registry.decisions.list(gate.passage_id)
    assert (decision.user, decision.state) == ("olga", "refused")


def test_the_same_approval_again_counts_once(story: Story, as_user: AsUser, registry: Registry) -> None:
    gate = story.at_the_gate()
    body = {"stage": "LIVE", "verdict": "approve"}

    first = as_user("rita").post(f"{API}/passages/{gate.passage_id}/decisions", json=body)
    second = as_user("rita").post(f"{API}/passages/{gate.passage_id}/decisions", json=body)

    assert first.json()["decision"] == second.json()["decision"]
    assert len(registry.decisions.list(gate.passage_id)) == 1


def test_a_viewer_may_not_decide(story: Story, as_user: AsUser, registry: Registry) -> None:
    gate = story.at_the_gate()

    answer = as_user("vera").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE", "verdict": "reject"}
    )

    assert answer.status_code == 403
    assert registry.decisions.list(gate.passage_id) == []


def test_an_approval_waits_until_the_scheduler_has_booked_the_parking(
    story: Story, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow may fail a try that is answered in the moment of parking; the response does not wait for it."""
    monkeypatch.setattr(gate_answers, "SETTLING_SECONDS", 0.6)
    gate = story.at_the_gate(parked_for=timedelta(0))
    seen: list[float] = []
    answer = airflow_private.answer_request

    def answer_and_note(*names: str, **what: Any) -> airflow_private.Answered:
        state = airflow_private.task_state(gate.dag_id, gate.run_id, gate.task_id)
        assert state is not None
        assert state.since is not None
        seen.append(gate_answers._seconds_since(state.since))
        return answer(*names, **what)

    monkeypatch.setattr(gate_answers, "answer_request", answer_and_note)

    as_user("rita").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE", "verdict": "approve"}
    )

    assert seen
    assert seen[0] >= 0.6
    assert state_of(gate) == "scheduled"


def test_an_approval_is_not_given_to_a_question_that_has_changed(
    story: Story, as_user: AsUser, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New evidence between the decision and the waking: the person has not seen it, and is asked anew."""
    gate = story.at_the_gate()
    settled = gate_answers.settled

    async def evidence_changes_meanwhile(*what: Any, **more: Any) -> bool:
        registry.gates_open.open(
            passage_id=gate.passage_id,
            stage=gate.stage,
            dag_id=gate.dag_id,
            run_id=gate.run_id,
            task_id=gate.task_id,
            evidence_digest="sha256:new",
            policy_digest=gate.policy_digest,
            expires_at=None,
        )
        return await settled(*what, **more)

    monkeypatch.setattr(gate_answers, "settled", evidence_changes_meanwhile)

    answer = as_user("rita").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE", "verdict": "approve"}
    )

    assert answer.status_code == 201
    assert answer_of(gate) is None
    assert state_of(gate) == "awaiting_input"


def test_a_gate_that_does_not_ask_in_airflow_does_not_hold_the_decision_up(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    """The task was cleared, say: there is nothing to answer, and the decision stands."""
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    gate = story.at_the_gate()
    with create_session() as session:
        session.execute(delete(HITLDetail))

    answer = as_user("rita").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE", "verdict": "approve"}
    )

    assert answer.status_code == 201
    assert len(registry.decisions.list(gate.passage_id)) == 1


def test_gates_show_who_may_answer_them(story: Story, as_user: AsUser) -> None:
    gate = story.at_the_gate()

    (seen_by_rita,) = as_user("rita").get(f"{API}/gates", params={"mine": True}).json()
    assert seen_by_rita["passage_id"] == gate.passage_id
    assert seen_by_rita["snapshot_name"] == "credit-card-fraud@1"
    assert seen_by_rita["missing"] == [
        {"role": "model-risk", "candidates": ["dana", "rita"]},
        {"role": "it-operations", "candidates": ["omar"]},
    ]
    assert seen_by_rita["why_not_you"] is None

    assert as_user("olga").get(f"{API}/gates", params={"mine": True}).json() == []
    (seen_by_olga,) = as_user("olga").get(f"{API}/gates").json()
    assert "has none of the roles" in seen_by_olga["why_not_you"]


def test_a_passage_shows_its_stages_checks_and_decisions(story: Story, as_user: AsUser) -> None:
    gate = story.at_the_gate()
    as_user("rita").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE", "verdict": "approve"}
    )

    view = as_user("vera").get(f"{API}/passages/{gate.passage_id}").json()

    assert view["passage"]["snapshot_name"] == "credit-card-fraud@1"
    assert view["passage"]["url"].endswith("/dags/cc-fraud/runs/credit-card-fraud%3A1")
    lab, live = view["stages"]
    assert [check["status"] for check in lab["checks"]] == ["pass"]
    assert (live["gate"]["task_id"], live["state"]) == ("LAB.gate", "ahead")
    assert [decision["user"] for decision in live["decisions"]] == ["rita"]


def test_the_report_is_a_page_in_which_nothing_runs(story: Story, as_user: AsUser) -> None:
    gate = story.at_the_gate()

    page = as_user("vera").get(f"{API}/reports/{gate.passage_id}/LAB")

    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "credit-card-fraud@1" in page.text
    assert "model-risk" in page.text
    assert as_user("vera").get(f"{API}/reports/{gate.passage_id}/MOON").status_code == 404


def test_a_gate_shows_the_evidence_that_it_asks_about(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate()
    again = {"check": "smoke", "kind": "smoke", "status": "warn", "summary": "Slowly.", "metrics": []}
    registry.evidence.record(gate.passage_id, "dep-lab", "LAB", "smoke", again)

    [view] = as_user("rita").get(f"{API}/gates").json()

    assert (view["evidence_digest"], view["policy_digest"]) == (gate.evidence_digest, gate.policy_digest)
    answer = as_user("rita").post(
        f"{API}/passages/{gate.passage_id}/decisions", json={"stage": "LIVE", "verdict": "approve"}
    )
    assert answer.status_code == 409
    assert view["why_not_you"] in answer.json()["message"]
