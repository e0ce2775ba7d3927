"""A snapshot's way through all stages, on real Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model


def approve(airflow: Airflow, service: str, run_id: str, gate: str, *users: str) -> None:
    """Approve on Airflow's own page as each of these people."""
    for user in users:
        airflow.task_state(service, run_id, gate, "awaiting_input")
        answer = airflow.answer_request(user, service, run_id, gate, "Approve", "Looks right.")
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("service", "mode"), [("four-stages-online", "online"), ("four-stages-batch", "batch")]
)
def test_travels_from_dev_to_prod(
    airflow: Airflow, registry: Registry, tmp_path: Path, service: str, mode: str
) -> None:
    model = f"doubler-{mode}"
    airflow.snapshot(write_model(tmp_path / "model", model=model, factor=2), service)

    run_id = airflow.promote(f"{model}@1", service)
    approve(airflow, service, run_id, "SIT.gate", "rita")
    approve(airflow, service, run_id, "UAT.gate", "rita", "omar")
    passage = airflow.outcome(service, run_id)

    assert passage["outcome"] == "completed"
    assert airflow.run_end(service, run_id) == "success"
    [live] = [row for row in airflow.where(service) if row["stage"] == "PROD"]
    assert (live["snapshot_name"], live["mode"], live["current"]) == (f"{model}@1", mode, True)
    assert set(live["approved_by"]) == {"omar", "rita"}
    if mode == "online":
        url = live["endpoints"][0]["url"]
        assert httpx.post(f"{url}/score", json={"value": 21}).json() == {"product": 42.0}
    else:
        assert registry.deployments.live(service) == [], "every batch runtime was given back"
    assert {lease.deployment_id for lease in registry.leases.held() if lease.service == service} == {
        deployment.id for deployment in registry.deployments.live(service)
    }


def test_the_newest_snapshot_is_taken_by_default(airflow: Airflow, tmp_path: Path) -> None:
    for version in (1, 2):
        airflow.snapshot(
            write_model(tmp_path / str(version), model="newest", factor=version), "newest-by-default"
        )

    run_id = airflow.trigger("newest-by-default")

    assert airflow.outcome("newest-by-default", run_id)["snapshot_name"] == "newest@2"


def test_an_unknown_snapshot_is_named_in_the_error(airflow: Airflow) -> None:
    run_id = airflow.trigger("unknown-snapshot", snapshot="no-such-model@7")

    assert airflow.run_end("unknown-snapshot", run_id) == "failed"
    assert "no-such-model" in airflow.log("unknown-snapshot", run_id, "begin_passage")


def test_a_failed_check_is_an_outcome_and_not_a_crash(airflow: Airflow, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", model="liar", factor=3)
    promised = {"input": {"value": 1.0}, "output": {"product": 4.0}}  # it answers 3.0
    (folder / "golden.jsonl").write_text(json.dumps(promised) + "\n")
    airflow.snapshot(folder, "failing-check")

    run_id = airflow.promote("liar@1", "failing-check")
    passage = airflow.outcome("failing-check", run_id)

    assert passage["outcome"] == "rejected_by_checks"
    assert airflow.run_end("failing-check", run_id) == "success"
    assert airflow.tasks("failing-check", run_id)["LIVE.deploy"] == "skipped"
