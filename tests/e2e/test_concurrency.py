"""Promotions that meet: the same snapshot twice, two snapshots of one service, runtimes that are full."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model


def two_versions(airflow: Airflow, tmp_path: Path, service: str) -> None:
    """Snapshots ``<service>@1`` and ``<service>@2``."""
    for version in (1, 2):
        folder = write_model(tmp_path / str(version), model=service, factor=version)
        airflow.snapshot(folder, service)


def test_the_same_snapshot_promoted_twice_at_once_is_one_run(
    airflow: Airflow, registry: Registry, tmp_path: Path
) -> None:
    service = "twice-at-once"
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    airflow.as_user("dana")

    with ThreadPoolExecutor(8) as people:
        runs = set(people.map(lambda _: airflow.promote(f"{service}@1", service), range(8)))

    assert len(runs) == 1
    promoted = runs.pop()
    # Of two runs that begin at the same moment either may be the first.
    airflow.task_state(service, promoted, "begin_passage", "success")
    by_hand = airflow.trigger(service, snapshot=f"{service}@1")

    assert airflow.run_end(service, by_hand) == "success"
    assert airflow.tasks(service, by_hand)["begin_passage"] == "skipped"
    assert promoted in airflow.log(service, by_hand, "begin_passage"), "it names the other run"
    assert len([passage for passage in registry.passages.list(service) if passage.state == "active"]) == 1


def test_a_newer_snapshot_supersedes_the_older(airflow: Airflow, tmp_path: Path) -> None:
    service = "superseded"
    two_versions(airflow, tmp_path, service)
    older = airflow.promote(f"{service}@1", service)
    airflow.task_state(service, older, "LAB.gate", "awaiting_input")

    newer = airflow.promote(f"{service}@2", service)

    passage = airflow.outcome(service, older)
    assert passage["outcome"] == "superseded"
    airflow.task_state(service, newer, "LAB.gate", "awaiting_input")
    assert airflow.run_end(service, older) == "success", "the older run ends by itself"


def test_a_newer_snapshot_waits_in_line(airflow: Airflow, tmp_path: Path) -> None:
    service = "queued"
    two_versions(airflow, tmp_path, service)
    older = airflow.promote(f"{service}@1", service)
    airflow.task_state(service, older, "LAB.gate", "awaiting_input")

    newer = airflow.promote(f"{service}@2", service)
    airflow.task_state(service, newer, "begin_passage", "deferred")
    waiting = airflow.passage(service, newer)
    assert waiting is not None
    assert waiting["state"] == "queued"

    first = airflow.passage(service, older)
    assert first is not None
    assert airflow.decide("rita", first["id"], "LIVE", "reject").status_code == 201
    airflow.task_state(service, newer, "LAB.gate", "awaiting_input")


def test_no_suitable_runtime_lists_each_with_its_reason(airflow: Airflow, tmp_path: Path) -> None:
    service = "no-runtime"
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)

    run_id = airflow.promote(f"{service}@1", service)

    assert airflow.run_end(service, run_id) == "failed"
    log = airflow.log(service, run_id, "NOWHERE.pick_runtime")
    assert "everywhere" in log
    assert "narrow" in log
    passage = airflow.outcome(service, run_id)
    assert passage["outcome"] == "failed"
    assert "NOWHERE" in passage["reason"]


def test_a_full_runtime_is_waited_for(airflow: Airflow, registry: Registry, tmp_path: Path) -> None:
    service = "narrow"
    airflow.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    slot = registry.leases.acquire(
        deployment_id="dep-of-another", service=service, stage="NARROW", mode="batch"
    )

    run_id = airflow.promote(f"{service}@1", service)
    airflow.task_state(service, run_id, "NARROW.pick_runtime", "deferred")
    assert slot.name in airflow.log(service, run_id, "NARROW.pick_runtime"), "it says what it waits for"

    registry.leases.release("dep-of-another")
    airflow.task_state(service, run_id, "NARROW.gate", "awaiting_input")
