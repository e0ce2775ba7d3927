"""Back to the version before, while Airflow's scheduler is down."""

from __future__ import annotations

from pathlib import Path

import httpx

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model

SERVICE = "rolled-back"


def answer(airflow: Airflow) -> tuple[str, float]:
    """Which version answers at the stable address, and what."""
    url = f"{airflow.stack.gateway}/{SERVICE}/SECOND/score"
    found = httpx.post(url, json={"value": 21}, timeout=30)
    return found.headers["x-airlock-snapshot"], found.json()["product"]


def test_an_operator_goes_back_without_the_scheduler(
    airflow: Airflow, registry: Registry, tmp_path: Path
) -> None:
    for version in (1, 2):
        airflow.snapshot(write_model(tmp_path / f"{version}", model="bad", factor=version), SERVICE)
        run_id = airflow.promote(f"bad@{version}", SERVICE)
        assert airflow.outcome(SERVICE, run_id)["outcome"] == "completed"
    assert answer(airflow) == ("bad@2", 42.0)
    command = ("rollback", SERVICE, "--stage", "SECOND", "--reason", "It blocks everybody.", "--yes")

    refused = airflow.airlock("dana", *command, check=False)
    assert "Operators may go back" in refused.stderr

    airflow.stack.stop_component("scheduler")
    try:
        said = airflow.airlock("ada", *command).stdout
    finally:
        airflow.stack.start_component("scheduler")
    assert "bad@1 is in use in SECOND (online)." in said
    assert answer(airflow) == ("bad@1", 21.0)

    [live] = [row for row in airflow.where(SERVICE) if row["stage"] == "SECOND"]
    assert (live["snapshot_name"], live["current"], live["state"]) == ("bad@1", True, "ready")
    [done] = registry.rollbacks.list(SERVICE)
    assert (done.from_name, done.to_name, done.requested_by) == ("bad@2", "bad@1", "ada")
    assert done.ended_at is not None
    assert "bad@1 is in use in SECOND (online)." in airflow.airlock("ada", *command).stdout
    assert registry.rollbacks.list(SERVICE) == [done]
    again = airflow.airlock("ada", *command, "--reason", "This one does, too.", check=False)
    assert "no earlier version of rolled-back in SECOND (online) that is not marked bad" in again.stderr
