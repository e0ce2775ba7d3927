"""Answers given on Airflow's own page, against Airflow's own route: none is lost, none counts twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from airlock.exceptions import RegistryError
from airlock.orchestration.judge import give_decision
from airlock.registry import Registry
from airlock.registry.records import GateRecord
from airlock.web import gate_answers, required_actions
from tests.web.application import AsUser
from tests.web.story import Story, answer_of, state_of


def address(gate: GateRecord) -> str:
    run_id = quote(gate.run_id, safe="")
    return f"/api/v2/dags/{gate.dag_id}/dagRuns/{run_id}/taskInstances/{gate.task_id}/-1/hitlDetails"


def answer_page(
    client: TestClient, gate: GateRecord, option: str = "Approve", comment: str = ""
) -> httpx.Response:
    answer: httpx.Response = client.patch(
        address(gate), json={"chosen_options": [option], "params_input": {"comment": comment}}
    )
    return answer


def test_an_answer_on_airflows_page_is_in_the_ledger_when_airflow_has_it(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate()

    answer = answer_page(as_user("rita"), gate, comment="Looks good.")

    assert answer.status_code == 200
    assert answer.json()["responded_by"] == {"id": "rita", "name": "rita"}
    (decision,) = registry.decisions.list(gate.passage_id)
    assert (decision.user, decision.verdict, decision.accepted) == ("rita", "approve", True)
    assert (decision.comment, decision.channel) == ("Looks good.", "airflow")
    assert answer_of(gate) == {"by": "rita", "chosen": ["Approve"]}
    assert state_of(gate) == "scheduled"


def test_a_browser_with_airflows_cookie_is_known_too(
    story: Story, anonymous: TestClient, token_of: Callable[[str], str], registry: Registry
) -> None:
    gate = story.at_the_gate()
    anonymous.cookies.set("_token", token_of("rita"))

    assert answer_page(anonymous, gate, "Reject").status_code == 200

    (decision,) = registry.decisions.list(gate.passage_id)
    assert (decision.user, decision.verdict) == ("rita", "reject")


def test_the_resuming_gate_finds_the_decision_and_does_not_count_it_twice(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate()
    answer_page(as_user("rita"), gate)

    resumed = give_decision(
        registry,
        passage_id=gate.passage_id,
        stage=gate.stage,
        user="rita",
        verdict="approve",
        comment="",
        channel="airflow",
    )

    assert [decision.id for decision in registry.decisions.list(gate.passage_id)] == [resumed.id]


def test_a_decision_that_does_not_count_is_refused_with_its_reason_and_the_question_stays_open(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate(by="dana")

    answer = answer_page(as_user("dana"), gate)

    assert answer.status_code == 409
    assert "dana requested this passage" in answer.json()["detail"]
    assert answer_of(gate) is None
    assert state_of(gate) == "awaiting_input"
    assert [decision.state for decision in registry.decisions.list(gate.passage_id)] == ["refused"]


def test_a_second_person_is_recorded_while_airflow_still_works_on_the_first_answer(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    """Airflow alone would refuse the second with 409, and the answer would be lost."""
    gate = story.at_the_gate()
    assert answer_page(as_user("rita"), gate).status_code == 200

    second = answer_page(as_user("omar"), gate)

    assert second.status_code == 200
    assert second.json()["responded_by"]["name"] == "omar"
    assert second.json()["chosen_options"] == ["Approve"]
    people = [(decision.user, decision.state) for decision in registry.decisions.list(gate.passage_id)]
    assert people == [("rita", "accepted"), ("omar", "accepted")]
    assert answer_of(gate) == {"by": "rita", "chosen": ["Approve"]}


REGISTRY_ERRORS: list[Exception] = [
    RegistryError("The registry does not answer."),
    OperationalError("INSERT", {}, Exception("down")),
]


@pytest.mark.parametrize("error", REGISTRY_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("failing", ["_open_gate", "_record"])
def test_airflow_takes_no_answer_that_the_ledger_does_not_have(
    failing: str, error: Exception, story: Story, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = story.at_the_gate()

    def fail(*what: Any) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(required_actions, failing, fail)
        answer = answer_page(as_user("rita"), gate)

    assert answer.status_code == 503
    assert "answer again" in answer.json()["detail"]
    assert answer_of(gate) is None

    assert answer_page(as_user("rita"), gate).status_code == 200


def test_when_airflows_database_fails_the_answer_has_been_given_and_the_gate_is_woken(
    story: Story, as_user: AsUser, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite under load answers 500 "database is locked": the person need not know."""
    from airflow.models.hitl import HITLDetail
    from sqlalchemy import event

    gate = story.at_the_gate()
    failures: list[Any] = []

    def locked(mapper: Any, connection: Any, target: Any) -> None:
        if not failures:
            failures.append(target)
            raise OperationalError("UPDATE hitl_detail", {}, Exception("database is locked"))

    event.listen(HITLDetail, "before_update", locked)
    try:
        answer = answer_page(
            TestClient(as_user("rita").app, headers=as_user("rita").headers, raise_server_exceptions=False),
            gate,
        )
    finally:
        event.remove(HITLDetail, "before_update", locked)

    assert failures
    assert answer.status_code == 200
    assert answer.json()["responded_by"]["name"] == "rita"
    assert [decision.user for decision in registry.decisions.list(gate.passage_id)] == ["rita"]
    assert answer_of(gate) == {"by": "rita", "chosen": ["Approve"]}
    assert state_of(gate) == "scheduled"


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("vera", {"chosen_options": ["Approve"]}, 403),
        ("rita", {"chosen_options": ["Perhaps"]}, 400),
        ("rita", {"chosen_options": ["Approve", "Reject"]}, 400),
        ("rita", {"chosen_options": []}, 422),
        ("rita", {"chosen_options": "Approve"}, 422),
        ("rita", ["Approve"], 422),
    ],
)
def test_what_airflow_would_not_take_is_airflows_to_refuse(
    who: str, body: Any, status: int, story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate()

    assert as_user(who).patch(address(gate), json=body).status_code == status
    assert registry.decisions.list(gate.passage_id) == []
    assert answer_of(gate) is None


def test_nobody_answers_without_a_login(story: Story, anonymous: TestClient, registry: Registry) -> None:
    gate = story.at_the_gate()

    assert answer_page(anonymous, gate).status_code == 401
    assert registry.decisions.list(gate.passage_id) == []


def test_an_answer_to_a_gate_that_is_closed_is_airflows_affair(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    gate = story.at_the_gate()
    registry.gates_open.close(gate.passage_id, gate.stage)

    assert answer_page(as_user("rita"), gate).status_code == 200
    assert registry.decisions.list(gate.passage_id) == []


def test_requests_for_input_of_other_tasks_do_not_need_the_registry(
    story: Story, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*what: Any) -> None:
        raise RegistryError("The registry does not answer.")

    gate = story.at_the_gate()
    monkeypatch.setattr(required_actions, "_open_gate", fail)
    somebody_elses = address(gate).replace("LAB.gate", "begin_passage")

    answer = as_user("rita").patch(somebody_elses, json={"chosen_options": ["Approve"]})

    assert answer.status_code == 404  # Airflow's own answer: that task asks nothing


def test_an_answer_is_passed_on_when_the_parking_is_booked(
    story: Story, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_answers, "SETTLING_SECONDS", 0.5)
    gate = story.at_the_gate(parked_for=timedelta(0))
    asked: list[bool] = []
    settled = gate_answers.settled

    async def note(*what: Any, **more: Any) -> bool:
        asked.append(await settled(*what, **more))
        return asked[-1]

    monkeypatch.setattr(required_actions, "settled", note)

    assert answer_page(as_user("rita"), gate).status_code == 200
    assert asked == [True]
    assert state_of(gate) == "scheduled"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/dags/d/dagRuns/r/taskInstances/t/-1/hitlDetails",
        "/api/v2/dags/d/dagRuns/model:1+2/taskInstances/UAT.gate/0/hitlDetails/",
        "/airflow/api/v2/dags/d/dagRuns/r/taskInstances/t/-1/hitlDetails",
    ],
)
def test_the_route_is_recognised_behind_any_base_url(path: str) -> None:
    assert required_actions._ROUTE.search(path)


def test_other_requests_pass_untouched() -> None:
    """Nothing is looked up for them: the inner application gets the very same three objects."""
    import anyio

    seen: list[Any] = []

    async def inner(*objects: Any) -> None:
        seen.append(objects)

    async def run() -> None:
        middleware = required_actions.RequiredActions(inner)
        for scope in (
            {
                "type": "http",
                "method": "GET",
                "path": "/api/v2/dags/d/dagRuns/r/taskInstances/t/-1/hitlDetails",
            },
            {"type": "http", "method": "PATCH", "path": "/api/v2/dags/d"},
            {"type": "http", "method": "PATCH", "path": "/api/v2/dags/~/dagRuns/~/hitlDetails"},
            {"type": "lifespan"},
        ):
            await middleware(scope, receive, send)
            assert seen[-1] == (scope, receive, send)

    async def receive() -> Any:
        raise AssertionError("the body belongs to the inner application")

    async def send(message: Any) -> None:
        raise AssertionError("the answer belongs to the inner application")

    anyio.run(run)
    assert len(seen) == 4
