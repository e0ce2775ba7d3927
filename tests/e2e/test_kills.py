"""A worker's process may be killed at any line: the task runs again and finds what it did before."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model
from tests.e2e.services import KILL_POINTS

CASES = [(f"killed-in-{point.replace('_', '-')}", point) for point in KILL_POINTS]


@pytest.mark.parametrize(("service", "point"), [*CASES, ("killed-in-deploy-online", "deploy")])
def test_the_retried_task_finds_what_the_killed_one_did(
    airflow: Airflow, registry: Registry, tmp_path: Path, service: str, point: str
) -> None:
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    armed = Path(airflow.stack.environment["KILL_POINTS"]) / f"{service}.{point}"
    armed.touch()

    run_id = airflow.promote(f"{service}@1", service)
    passage = airflow.outcome(service, run_id)

    assert not armed.exists(), "the process was killed"
    assert passage["outcome"] == "completed"
    deployments = registry.deployments.list(service)
    assert sorted(deployment.stage for deployment in deployments) == ["FIRST", "SECOND"], "one for each stage"
    live = {deployment.id for deployment in registry.deployments.live(service)}
    assert {lease.deployment_id for lease in registry.leases.held() if lease.service == service} == live
    assert running_deployments(airflow) & {deployment.id for deployment in deployments} == live


def running_deployments(airflow: Airflow) -> set[str]:
    """Deployments that have a process on this machine now, by the folder in their command lines."""
    workspace = str(airflow.stack.workspace)
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        for argument in process.info["cmdline"] or ():
            if workspace in argument:
                found |= {part for part in Path(argument).parts if part.startswith("dep-")}
    return found
