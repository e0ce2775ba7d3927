"""Scheduled batch scoring: one output for one interval, however often it is run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import Project, write_model

DAYS = ("2026-03-01", "2026-03-02")
ROWS = 100


def write_input(project: Project, service: str, days: Sequence[str], files: int = 4) -> None:
    """A few files of a few rows for each day."""
    for day in days:
        folder = project.folder / "data" / service / "in" / day
        folder.mkdir(parents=True)
        for number in range(files):
            first = number * ROWS
            table = pa.table({"value": [float(x) for x in range(first, first + ROWS)]})
            pq.write_table(table, folder / f"{number}.parquet")


def output(project: Project, service: str, day: str) -> pa.Table:
    """Everything that was written for one day, in the order of the input."""
    folder = project.folder / "data" / service / "out" / day
    parts = sorted(folder.glob("*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts]).sort_by("value")


def activate(airflow: Airflow, service: str, tmp_path: Path, factor: float) -> None:
    """Make a snapshot the service's active version."""
    airflow.snapshot(write_model(tmp_path / str(factor), model=service, factor=factor), service)
    run_id = airflow.promote(service, service)
    assert airflow.outcome(service, run_id)["outcome"] == "completed"


def score(airflow: Airflow, service: str, day: str) -> str:
    """Run the scoring of one day by hand; returns the run's id."""
    start = datetime.fromisoformat(f"{day}T02:00:00+00:00")
    answer = airflow.as_user("dana").post(
        f"/api/v2/dags/{service}.score/dagRuns",
        json={
            "logical_date": start.isoformat(),
            "data_interval_start": start.isoformat(),
            "data_interval_end": (start + timedelta(days=1)).isoformat(),
        },
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["dag_run_id"])


def test_a_backfill_gives_the_same_output_and_no_duplicates(
    airflow: Airflow, project: Project, registry: Registry, tmp_path: Path
) -> None:
    service = "scored"
    write_input(project, service, DAYS)
    activate(airflow, service, tmp_path, factor=2)
    for once_more in (False, True):
        answer = airflow.as_user("ada").post(
            "/api/v2/backfills",
            json={
                "dag_id": f"{service}.score",
                "from_date": f"{DAYS[0]}T00:00:00Z",
                "to_date": f"{DAYS[-1]}T23:59:59Z",
                "reprocess_behavior": "completed" if once_more else "none",
                "max_active_runs": 2,
            },
        )
        assert answer.status_code == 200, answer.text
        backfill = answer.json()["id"]
        airflow.stack.wait_until(
            lambda found=backfill: (
                airflow.as_user("ada").get(f"/api/v2/backfills/{found}").json()["completed_at"]
            ),  # type: ignore[misc]
            "the backfill did not end",
            seconds=180,
        )
        runs = registry.scoring.list(service)
        assert {run.state for run in runs} == {"completed"}, [run.reason for run in runs]
        for day in DAYS:
            table = output(project, service, day)
            assert table.num_rows == 4 * ROWS
            assert table["product"].to_pylist() == [2 * value for value in table["value"].to_pylist()]
    folder = project.folder / "data" / service / "out" / DAYS[0]
    assert len(list(folder.glob("*.parquet"))) == 3, "as many partitions as the service says"
    stamped = pq.read_schema(next(folder.glob("*.parquet"))).metadata
    assert any(b"scored@1" in value for value in stamped.values()), "the version stands in the file"
    assert [lease for lease in registry.leases.held() if lease.service == service] == []


def test_output_is_written_once_if_the_task_is_killed_before_it_reports(
    airflow: Airflow, project: Project, registry: Registry, tmp_path: Path
) -> None:
    service = "scored-killed"
    write_input(project, service, DAYS[:1])
    activate(airflow, service, tmp_path, factor=3)
    armed = Path(airflow.stack.environment["KILL_POINTS"]) / f"{service}.score.score"
    armed.touch()

    run_id = score(airflow, service, DAYS[0])

    assert airflow.run_end(f"{service}.score", run_id) == "success"
    assert not armed.exists(), "a process was killed"
    assert output(project, service, DAYS[0]).num_rows == 4 * ROWS
    [run] = registry.scoring.list(service)
    assert sum(part.rows_out for part in run.partitions) == 4 * ROWS


def test_a_run_without_an_interval_is_refused_in_words(airflow: Airflow) -> None:
    run_id = airflow.trigger("scored.score")

    assert airflow.run_end("scored.score", run_id) == "failed"
    assert "needs a data interval" in airflow.log("scored.score", run_id, "pick_runtime")
