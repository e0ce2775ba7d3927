"""Starting passages over the API: one run for each, in the name of who asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airlock.registry import Registry
from tests.web.application import AsUser
from tests.web.story import API, Story


def dag_runs() -> dict[str, Any]:
    """All DAG runs of Airflow by id."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {run.run_id: run for run in session.scalars(select(DagRun)).all()}


def end_run(run_id: str, state: str) -> None:
    """Let Airflow think that a run has ended."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(state=state))


def test_a_promotion_is_a_dag_run_in_the_users_name(story: Story, as_user: AsUser) -> None:
    snapshot = story.snapshot(by="ada")

    answer = as_user("dana").post(
        f"{API}/services/cc-fraud/promotions", json={"snapshot": snapshot["digest"]}
    )

    assert answer.status_code == 201
    run = answer.json()
    assert (run["run_id"], run["state"], run["paused"]) == ("credit-card-fraud:1", "queued", False)
    assert run["url"] == "http://testserver/dags/cc-fraud/runs/credit-card-fraud%3A1"
    started = dag_runs()["credit-card-fraud:1"]
    assert started.triggering_user_name == "dana"
    assert started.conf == {"snapshot": "credit-card-fraud@1"}


def test_a_snapshot_that_is_under_way_is_not_started_again(story: Story, as_user: AsUser) -> None:
    snapshot = story.snapshot()
    first = story.promote(snapshot["name"])

    again = as_user("dana").post(
        f"{API}/services/cc-fraud/promotions", json={"snapshot": "credit-card-fraud"}
    )

    assert again.status_code == 200
    assert again.json()["run_id"] == first["run_id"]
    assert list(dag_runs()) == ["credit-card-fraud:1"]


def test_a_run_that_was_triggered_by_hand_is_found_too(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    snapshot = story.snapshot()
    by_hand = as_user("dana").post(
        "/api/v2/dags/cc-fraud/dagRuns",
        json={"logical_date": None, "conf": {"snapshot": snapshot["name"]}, "dag_run_id": "manual__by-hand"},
    )
    assert by_hand.status_code == 200, by_hand.text
    story.begin({"service": "cc-fraud", "run_id": "manual__by-hand", "snapshot_name": snapshot["name"]})

    assert story.promote(snapshot["name"])["run_id"] == "manual__by-hand"


@pytest.mark.parametrize("outcome", ["failed", "rejected", "completed"])
def test_after_an_earlier_passage_the_run_gets_a_new_name(
    outcome: Any, story: Story, registry: Registry
) -> None:
    snapshot = story.snapshot()
    first = story.promote(snapshot["name"])
    registry.passages.finish(story.begin(first).id, outcome, "for the test")
    end_run(first["run_id"], "failed" if outcome == "failed" else "success")

    second = story.promote(snapshot["name"])
    end_run(second["run_id"], "failed")  # it failed before its first task could register the passage
    third = story.promote(snapshot["name"])

    assert [second["run_id"], third["run_id"]] == ["credit-card-fraud:1+1", "credit-card-fraud:1+2"]


def test_a_passage_whose_run_was_deleted_keeps_its_name(story: Story, registry: Registry) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    snapshot = story.snapshot()
    first = story.promote(snapshot["name"])
    registry.passages.finish(story.begin(first).id, "rejected", "for the test")
    with create_session() as session:
        session.execute(delete(DagRun))

    assert story.promote(snapshot["name"])["run_id"] == "credit-card-fraud:1+1"


def test_two_promotions_at_the_same_moment_are_one_run(story: Story, as_user: AsUser) -> None:
    story.snapshot()
    clients = [as_user("ada"), as_user("dana"), as_user("rita"), as_user("omar")]

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(
            pool.map(
                lambda client: client.post(
                    f"{API}/services/cc-fraud/promotions", json={"snapshot": "credit-card-fraud@1"}
                ),
                clients,
            )
        )

    assert list(dag_runs()) == ["credit-card-fraud:1"]
    assert sum(answer.status_code == 201 for answer in answers) <= 1
    # SQLite may be too busy for one of them, which is told and can be tried again.
    assert {answer.status_code for answer in answers} <= {200, 201, 503}
    assert {answer.json()["run_id"] for answer in answers if answer.is_success} == {"credit-card-fraud:1"}


def test_a_snapshot_for_another_service_is_refused(story: Story, as_user: AsUser) -> None:
    story.snapshot()

    answer = as_user("ada").post(
        f"{API}/services/tumour-triage/promotions", json={"snapshot": "credit-card-fraud@1"}
    )

    assert answer.status_code == 409
    assert "does not serve tumour-triage" in answer.json()["message"]
    assert "airlock snapshot create" in answer.json()["mend"]


def test_a_service_without_a_dag_is_named(story: Story, as_user: AsUser) -> None:
    story.snapshot(services=["cc-fraud", "no-such-service"])

    answer = as_user("ada").post(
        f"{API}/services/no-such-service/promotions", json={"snapshot": "credit-card-fraud@1"}
    )

    assert answer.status_code == 404
    assert "no DAG no-such-service" in answer.json()["message"]


def test_where_a_service_runs_is_asked_with_a_time(story: Story, as_user: AsUser) -> None:
    client = as_user("vera")

    assert client.get(f"{API}/services/cc-fraud/where").json() == []
    assert client.get(f"{API}/services/cc-fraud/where", params={"at": "2026-03-31T12:00Z"}).json() == []
    assert client.get(f"{API}/services/cc-fraud/where", params={"at": "yesterday"}).status_code == 422


def test_a_run_is_shown_before_its_passage_is_registered(story: Story, as_user: AsUser) -> None:
    run = story.promote(story.snapshot()["name"])
    address = f"{API}/services/cc-fraud/runs/{run['run_id']}"

    assert as_user("vera").get(address).json()["passage_id"] is None
    passage = story.begin(run)
    assert as_user("vera").get(address).json()["passage_id"] == passage.id
    assert as_user("vera").get(f"{API}/services/cc-fraud/runs/nothing").status_code == 404
