"""Answers that come within 50 ms of the parking, when Airflow has not booked it yet.

Airflow 3.3 may then fail the task's try and forget the answer. No decision may be lost, and nobody may be
asked twice, on either database; half of the answers are given on Airflow's own page, half over Airlock's API.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from airlock.registry import Registry
from demo.stack import AirflowStack
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import Project, write_model
from tests.postgres import postgres_server

AT_ONCE = 30
GATES = 33
"""A few more: a machine that is busy with other tests may look too late now and then."""
SERVICE = "many-gates"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def airflow_with_gates(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Airflow, Project]]:
    project = Project(tmp_path_factory.mktemp("project"))
    stages = [f"S{number:02}" for number in range(GATES + 1)]
    project.lifecycle("many-gates", stages=[{"name": stage} for stage in stages])
    project.service(SERVICE, "many-gates", mode="batch")
    for stage in stages[1:]:
        project.write(f"policies/{stage}.yaml", {"stage": stage, "approvals": [{"role": "model-risk"}]})
    everywhere = {"runtime": "everywhere", "kind": "local", "stages": stages, "capacity": 4}
    project.write("runtimes/everywhere.yaml", everywhere)
    folder = tmp_path_factory.mktemp("airflow")
    if request.param == "sqlite":
        yield from run(AirflowStack(folder, dags=project.dags, include=project.include), project)
        return
    with postgres_server() as server:
        stack = AirflowStack(
            folder,
            dags=project.dags,
            include=project.include,
            database_url=server.database("airflow"),
            registry_url=server.database("airlock"),
        )
        yield from run(stack, project)


def run(stack: AirflowStack, project: Project) -> Iterator[tuple[Airflow, Project]]:
    """Start Airflow and register the project."""
    stack.migrate()
    with stack:
        stack.start()
        running = Airflow(stack)
        stack.wait_until(
            lambda: running.as_user("ada").get(f"/api/v2/dags/{SERVICE}").status_code == 200,
            "no DAG appeared",
        )
        running.airlock("ada", "apply", str(project.include), "--yes")
        yield running, project


@pytest.mark.timeout(900)
def test_no_decision_is_lost_and_nobody_is_asked_twice(
    airflow_with_gates: tuple[Airflow, Project], tmp_path: Path
) -> None:
    airflow, _ = airflow_with_gates
    airflow.snapshot(write_model(tmp_path / "model", model="many", factor=2), SERVICE)
    airflow.as_user("rita")
    run_id = airflow.promote("many@1", SERVICE)
    passage = airflow.stack.wait_until(lambda: airflow.passage(SERVICE, run_id), "no passage")
    parked = parking_of(airflow, run_id)
    delays = []

    for number in range(GATES):
        task_id = f"S{number:02}.gate"
        delays.append(parked(task_id))
        if number % 2:
            answer = airflow.answer_request("rita", SERVICE, run_id, task_id, "Approve", f"gate {number}")
        else:
            answer = airflow.decide("rita", passage["id"], f"S{number + 1:02}", "approve", f"gate {number}")
        assert answer.status_code in (200, 201), answer.text

    assert airflow.outcome(SERVICE, run_id)["outcome"] == "completed"
    at_once = sum(delay < 0.05 for delay in delays)
    assert at_once >= AT_ONCE, f"only {at_once} answers were sent within 50 ms of the parking"
    registry = Registry(airflow.stack.registry_database_url)
    decisions = registry.decisions.list(passage["id"])
    assert [decision.comment for decision in decisions] == [f"gate {number}" for number in range(GATES)]
    gates = registry.gates_open.list(passage["id"])
    assert len(gates) == GATES, "each gate asked once"
    asked = [entry for entry in registry.ledger.entries() if entry.event in ("gate.opened", "gate.renewed")]
    assert len(asked) == GATES


def parking_of(airflow: Airflow, run_id: str):  # type: ignore[no-untyped-def]
    """Waits on Airflow's own database until a gate is parked; tells how long ago it was not yet."""
    url = sa.make_url(airflow.stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    if url.drivername.startswith("postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    query = sa.text("SELECT state FROM task_instance WHERE run_id = :run AND task_id = :task")

    def wait(task_id: str) -> float:
        deadline = time.monotonic() + 120
        looked = time.monotonic()
        with engine.connect() as connection:
            while time.monotonic() < deadline:
                before, looked = looked, time.monotonic()
                state = connection.execute(query, {"run": run_id, "task": task_id}).scalar_one_or_none()
                if state == "awaiting_input":
                    return time.monotonic() - before
                if state == "failed":
                    raise AssertionError(f"{task_id} failed")
                time.sleep(0.01)
        raise AssertionError(f"{task_id} was not parked: {airflow.tasks(SERVICE, run_id)}")

    return wait
