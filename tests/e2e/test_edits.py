"""Files that change while a passage runs, and files with mistakes."""

from __future__ import annotations

from pathlib import Path

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.git_bundle import GitBundle
from tests.e2e.project import Project, write_model


def test_an_edited_life_cycle_stops_the_passage(
    airflow: Airflow, project: Project, registry: Registry, tmp_path: Path
) -> None:
    service = "edited"
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    run_id = airflow.promote(f"{service}@1", service)
    airflow.task_state(service, run_id, "LAB.gate", "awaiting_input")
    began = registry.passages.by_run(service, run_id)
    assert began is not None

    project.lifecycle("edited", stages=[{"name": "LAB"}, {"name": "LIVE", "checks": ["smoke"]}])
    for user in ("rita", "omar"):
        airflow.decide(user, began.id, "LIVE", "approve")

    assert airflow.run_end(service, run_id) == "failed"
    passage = airflow.outcome(service, run_id)
    assert passage["outcome"] == "failed"
    assert began.lifecycle_digest in passage["reason"], "with which digest it began"
    assert passage["reason"].count("sha256:") == 2, "and which it found"


def test_on_a_git_bundle_the_passage_goes_on_unchanged(
    airflow: Airflow, git_bundle: GitBundle, registry: Registry, tmp_path: Path
) -> None:
    service = git_bundle.service
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    run_id = airflow.promote(f"{service}@1", service)
    airflow.task_state(service, run_id, "LAB.gate", "awaiting_input")
    began = registry.passages.by_run(service, run_id)
    assert began is not None

    git_bundle.edit(stages=[{"name": "LAB"}, {"name": "LIVE", "checks": ["smoke"]}])
    dag = f"/api/v2/dags/{service}"
    airflow.wait(
        lambda: airflow.as_user("ada").get(dag).json()["bundle_version"] == git_bundle.version(),
        "Airflow did not see the commit",
        service,
        run_id,
        seconds=120,
    )
    for user in ("rita", "omar"):
        airflow.decide(user, began.id, "LIVE", "approve")

    assert airflow.outcome(service, run_id)["outcome"] == "completed"
    assert "LIVE.check.smoke" not in airflow.tasks(service, run_id)


def test_a_broken_file_takes_only_its_own_dag_away(airflow: Airflow, project: Project) -> None:
    project.service("broken", "guarded", mode="batch")
    broken = project.include / "services" / "broken.yaml"
    broken.write_text(broken.read_text().replace("owner:", "ownr:"))

    def errors() -> str:
        return airflow.as_user("ada").get("/api/v2/importErrors").text

    airflow.stack.wait_until(lambda: "broken.yaml" in errors(), "no import error appeared")

    assert "ownr" in errors()
    assert "owner" in errors(), "it names the key that was meant"
    others = airflow.as_user("ada").get("/api/v2/dags/four-eyes").json()
    assert (others["is_stale"], others["has_import_errors"]) == (False, False)
    broken.unlink()
    airflow.stack.wait_until(lambda: "broken.yaml" not in errors(), "the import error stayed")
