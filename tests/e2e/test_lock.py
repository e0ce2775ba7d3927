"""The deploy task judges for itself: no state that somebody gave a task in Airflow opens the door."""

from __future__ import annotations

from pathlib import Path

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model


def waiting_at_the_gate(airflow: Airflow, tmp_path: Path, service: str, factor: float = 2) -> str:
    """A passage that waits for approvals on its way from LAB to LIVE."""
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=factor), service)
    run_id = airflow.promote(f"{service}@1", service)
    airflow.task_state(service, run_id, "LAB.gate", "awaiting_input")
    return run_id


def approve(airflow: Airflow, service: str, run_id: str) -> None:
    """Give both approvals that LIVE asks for."""
    passage = airflow.passage(service, run_id)
    assert passage is not None
    for user in ("rita", "omar"):
        assert airflow.decide(user, passage["id"], "LIVE", "approve").status_code == 201


def test_a_gate_marked_success_by_hand_does_not_deploy(airflow: Airflow, tmp_path: Path) -> None:
    service = "marked-by-hand"
    run_id = waiting_at_the_gate(airflow, tmp_path, service)

    airflow.mark_success(service, run_id, "LAB.gate")

    assert airflow.run_end(service, run_id) == "failed"
    assert airflow.tasks(service, run_id)["LIVE.deploy"] == "failed"
    assert "An approval as model-risk is missing" in airflow.log(service, run_id, "LIVE.deploy")
    assert not [row for row in airflow.where(service) if row["stage"] == "LIVE"]


def test_an_approval_is_void_once_the_evidence_has_changed(
    airflow: Airflow, registry: Registry, tmp_path: Path
) -> None:
    service = "evidence-changed"
    run_id = waiting_at_the_gate(airflow, tmp_path, service)
    approve(airflow, service, run_id)
    airflow.task_state(service, run_id, "LIVE.gate", "awaiting_input")
    passage = registry.passages.by_run(service, run_id)
    assert passage is not None
    [row] = registry.evidence.results(passage.id, "LAB")

    measured_again = {**row.result, "summary": "Measured again, with another result."}
    registry.evidence.record(passage.id, row.deployment_id, "LAB", row.check_name, measured_again)
    before = len(registry.deployments.list(passage_id=passage.id, stage="LIVE"))
    airflow.clear(service, run_id, "LIVE.deploy")

    airflow.task_state(service, run_id, "LIVE.deploy", "failed")
    assert "An approval as model-risk is missing" in airflow.log(service, run_id, "LIVE.deploy", attempt=2)
    assert len(registry.deployments.list(passage_id=passage.id, stage="LIVE")) == before


def test_changed_files_are_refused_at_deploy(airflow: Airflow, tmp_path: Path) -> None:
    service = "bytes-changed"  # with a factor of its own: equal files of several snapshots are stored once
    run_id = waiting_at_the_gate(airflow, tmp_path, service, factor=7.25)
    source = (tmp_path / "model" / "model.py").read_bytes()
    artifacts = airflow.stack.home / "airlock" / "artifacts"
    [stored] = [path for path in artifacts.rglob("*") if path.is_file() and path.read_bytes() == source]
    stored.chmod(0o644)
    stored.write_bytes(source.replace(b"* 7.25", b"* 9.25"))

    approve(airflow, service, run_id)

    assert airflow.run_end(service, run_id) == "failed"
    assert "model.py" in airflow.log(service, run_id, "LIVE.deploy")
