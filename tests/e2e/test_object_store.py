"""Real Airflow with everything in an object store: snapshots, what checks write, data, input and output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from airlock.registry import Registry
from demo.stack import AirflowStack
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import Project, write_model
from tests.e2e.test_scoring import score
from tests.object_store import ObjectStore, object_store

SERVICE = "in-the-store"
DAY = "2026-03-01"
BUCKET = "s3://airlock"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("object-store")) as running:
        running.make_bucket("airlock")
        yield running


@pytest.fixture(scope="module")
def in_store(store: ObjectStore) -> fsspec.AbstractFileSystem:
    """The bucket, as whoever delivers data sees it."""
    return fsspec.filesystem(
        "s3",
        endpoint_url=store.url,
        key=store.variables["AWS_ACCESS_KEY_ID"],
        secret=store.variables["AWS_SECRET_ACCESS_KEY"],
        use_listings_cache=False,
    )


@pytest.fixture(scope="module")
def airflow_with_store(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """A real Airflow whose one service knows no folder of this machine."""
    project = Project(tmp_path_factory.mktemp("store-project"))
    measured = {"dataset": "holdout", "rmse": {"max": 0.001}}
    project.lifecycle("measured", stages=[{"name": "LAB", "checks": ["smoke", {"performance": measured}]}])
    project.service(
        SERVICE,
        "measured",
        mode="batch",
        datasets={"holdout": {"path": f"{BUCKET}/holdout.parquet", "target": "truth"}},
        schedule="0 2 * * *",
        input=f"{BUCKET}/in/{{{{ data_interval_start | ds }}}}/*.parquet",
        output=f"{BUCKET}/out/{{{{ data_interval_start | ds }}}}",
        partitions=2,
    )
    local = {
        "runtime": "everywhere",
        "kind": "local",
        "stages": ["LAB"],
        "capacity": 9,
        "connection": "object_store",
        "options": {"environment": {"AWS_ENDPOINT_URL": store.url, "AWS_REGION": "us-east-1"}},
    }
    project.write("runtimes/everywhere.yaml", local)
    (project.include / "runtimes/narrow.yaml").unlink()
    keys = {name: store.variables[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    connection = {"conn_type": "generic", "extra": json.dumps({"environment": keys})}
    stack = AirflowStack(
        tmp_path_factory.mktemp("airflow-store"),
        dags=project.dags,
        include=project.include,
        options={
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__AIRLOCK__ARTIFACT_STORE": f"{BUCKET}/artifacts",
            "AIRFLOW__AIRLOCK__SCRATCH": f"{BUCKET}/scratch",
            "AIRFLOW_CONN_OBJECT_STORE": json.dumps(connection),
            **store.variables,
        },
    )
    stack.migrate()
    with stack:
        stack.start()
        running = Airflow(stack)
        stack.wait_until(
            lambda: running.as_user("ada").get("/api/v2/dags").json()["total_entries"] >= 2,
            "Airflow did not find the services",
        )
        running.airlock("ada", "apply", str(project.include), "--yes")
        yield running


def write(in_store: fsspec.AbstractFileSystem, url: str, **columns: list[float]) -> None:
    with in_store.open(url, "wb") as stream:
        pq.write_table(pa.table(columns), stream)


def names(in_store: fsspec.AbstractFileSystem, folder: str) -> list[str]:
    """The names of the files in a folder."""
    return sorted(name.rpartition("/")[2] for name in in_store.find(folder))


def test_a_service_lives_in_an_object_store(
    airflow_with_store: Airflow, in_store: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    airflow = airflow_with_store
    values = [float(x) for x in range(300)]
    write(in_store, f"{BUCKET}/holdout.parquet", value=values, truth=[2 * value for value in values])
    for number in range(3):
        write(in_store, f"{BUCKET}/in/{DAY}/{number}.parquet", value=values[number::3])
    in_store.pipe(f"{BUCKET}/out/{DAY}/part-0009.parquet", b"of an earlier run")
    in_store.pipe(f"{BUCKET}/out/{DAY}/notes.txt", b"somebody's")
    airflow.snapshot(write_model(tmp_path / "model", model=SERVICE, factor=2), SERVICE)

    passage = airflow.outcome(SERVICE, airflow.promote(f"{SERVICE}@1", SERVICE))
    run_id = score(airflow, SERVICE, DAY)

    assert passage["outcome"] == "completed", passage
    assert names(in_store, f"{BUCKET}/scratch") == [], (
        "the checks' files are removed with their results recorded"
    )
    assert airflow.run_end(f"{SERVICE}.score", run_id) == "success"
    written = names(in_store, f"{BUCKET}/out/{DAY}")
    assert [name for name in written if name.startswith("part-")] == [
        "part-0001.parquet",
        "part-0002.parquet",
    ]
    assert "notes.txt" in written
    parts = []
    for name in ("part-0001.parquet", "part-0002.parquet"):
        with in_store.open(f"{BUCKET}/out/{DAY}/{name}") as stream:
            parts.append(pq.read_table(stream))
    scored = pa.concat_tables(parts).sort_by("value")
    assert scored["value"].to_pylist() == values
    assert scored["product"].to_pylist() == [2 * value for value in values]
    [run] = Registry(airflow.stack.registry_database_url).scoring.list(SERVICE)
    assert run.state == "completed"
