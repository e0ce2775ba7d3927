"""One URL for a service at a stage, on real Airflow: no request is lost when its version changes."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model
from tests.gateway.backends import Load


def test_no_request_is_lost_when_a_version_is_replaced(airflow: Airflow, tmp_path: Path) -> None:
    service, stack = "behind-the-gateway", airflow.stack
    for version in (1, 2):
        airflow.snapshot(write_model(tmp_path / f"{version}", model="replaced", factor=version), service)
    first = airflow.promote("replaced@1", service)
    assert airflow.outcome(service, first)["outcome"] == "completed"
    answer = httpx.post(f"{stack.gateway}/{service}/SECOND/score", json={"value": 21}, timeout=30)
    assert (answer.json(), answer.headers["x-airlock-snapshot"]) == ({"product": 21.0}, "replaced@1")

    assert stack.gateway_port is not None
    with Load(
        stack.gateway_port, f"/{service}/SECOND/score", clients=4, body='{"value": 21}'
    ).running() as load:
        second = airflow.promote("replaced@2", service)
        assert airflow.outcome(service, second)["outcome"] == "completed"

    assert set(load.answers) == {'200 {"product":21.0}', '200 {"product":42.0}'}
    [live] = [row for row in airflow.where(service) if row["stage"] == "SECOND"]
    assert live["snapshot_name"] == "replaced@2", "the old one was taken away while requests came"
