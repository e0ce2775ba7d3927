"""Who may approve: separation of duties, roles, and one place for one person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model

# Not the table of jobs: the scheduler that runs now has a row in it.
DB_CLEAN = ("--yes", "--skip-archive", "--tables", "dag_run,task_instance,task_instance_history,log,xcom")


def waiting_at_the_gate(airflow: Airflow, tmp_path: Path, service: str) -> tuple[str, str]:
    """A passage that waits on its way to LIVE: its run and its id. Requested by dana."""
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    run_id = airflow.promote(f"{service}@1", service)
    airflow.task_state(service, run_id, "LAB.gate", "awaiting_input")
    passage = airflow.passage(service, run_id)
    assert passage is not None
    return run_id, str(passage["id"])


def test_the_requesters_own_approval_is_refused_and_recorded(
    airflow: Airflow, registry: Registry, tmp_path: Path
) -> None:
    run_id, passage_id = waiting_at_the_gate(airflow, tmp_path, "four-eyes")

    over_airlock = airflow.decide("dana", passage_id, "LIVE", "approve")
    over_airflow = airflow.answer_request("dana", "four-eyes", run_id, "LAB.gate", "Approve")

    assert over_airlock.status_code == 409
    assert "separates duties" in over_airlock.text
    assert over_airflow.status_code == 409
    refused = [decision for decision in registry.decisions.list(passage_id) if decision.state == "refused"]
    assert {decision.user for decision in refused} == {"dana"}
    assert airflow.tasks("four-eyes", run_id)["LAB.gate"] == "awaiting_input"


def test_one_person_does_not_fill_two_places(airflow: Airflow, registry: Registry, tmp_path: Path) -> None:
    """ada has both roles, rita one of them: together they fill both places, ada alone fills one."""
    run_id, passage_id = waiting_at_the_gate(airflow, tmp_path, "two-places")

    assert airflow.decide("ada", passage_id, "LIVE", "approve").status_code == 201
    airflow.decide("ada", passage_id, "LIVE", "approve", "Once more.")
    counted = [decision for decision in registry.decisions.list(passage_id) if decision.state == "accepted"]
    assert [decision.user for decision in counted] == ["ada"]
    assert airflow.tasks("two-places", run_id)["LIVE.pick_runtime"] in (None, "scheduled")

    assert airflow.decide("rita", passage_id, "LIVE", "approve").status_code == 201
    assert airflow.outcome("two-places", run_id)["outcome"] == "completed"


def test_a_rejection_ends_the_passage_and_nothing_turns_red(airflow: Airflow, tmp_path: Path) -> None:
    run_id, _ = waiting_at_the_gate(airflow, tmp_path, "rejected")

    answer = airflow.answer_request("rita", "rejected", run_id, "LAB.gate", "Reject", "Not on a Friday.")

    assert answer.status_code == 200
    passage = airflow.outcome("rejected", run_id)
    assert passage["outcome"] == "rejected"
    assert "Not on a Friday." in passage["reason"]
    assert airflow.run_end("rejected", run_id) == "success"


def test_who_approved_outlives_the_dag_run(airflow: Airflow, registry: Registry, tmp_path: Path) -> None:
    run_id, passage_id = waiting_at_the_gate(airflow, tmp_path, "cleaned")
    for user in ("rita", "omar"):
        airflow.decide(user, passage_id, "LIVE", "approve", f"{user} has read it.")
    airflow.run_end("cleaned", run_id)

    answer = airflow.as_user("ada").delete(f"/api/v2/dags/cleaned/dagRuns/{run_id}")
    assert answer.status_code == 204, answer.text
    airflow.stack.run("airflow", "db", "clean", *DB_CLEAN, "--clean-before-timestamp", str(datetime.now(UTC)))

    decisions = registry.decisions.list(passage_id)
    assert [(d.user, d.verdict, d.comment) for d in decisions] == [
        ("rita", "approve", "rita has read it."),
        ("omar", "approve", "omar has read it."),
    ]
    [live] = [row for row in airflow.where("cleaned") if row["stage"] == "LIVE"]
    assert set(live["approved_by"]) == {"omar", "rita"}
    assert airflow.airlock("ada", "audit", "verify").returncode == 0
