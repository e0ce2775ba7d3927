"""One real Airflow on PostgreSQL for all end-to-end tests; each test has a service of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.registry import Registry
from demo.stack import AirflowStack
from tests.e2e.airflow_client import Airflow
from tests.e2e.git_bundle import GitBundle
from tests.e2e.project import Project
from tests.e2e.services import declare_services
from tests.postgres import postgres_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder runs real Airflow."""
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"))
    declare_services(project)
    return project


@pytest.fixture(scope="session")
def git_bundle(tmp_path_factory: pytest.TempPathFactory) -> GitBundle:
    return GitBundle(tmp_path_factory.mktemp("git"))


@pytest.fixture(scope="session")
def airflow(
    project: Project, git_bundle: GitBundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    bundles = [
        {
            "name": "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"refresh_interval": 2},
        },
        {
            "name": "git",
            "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
            "kwargs": {
                "tracking_ref": "main",
                "subdir": "dags",
                "repo_url": str(git_bundle.project.folder),
                "refresh_interval": 5,
            },
        },
    ]
    kill_points = tmp_path_factory.mktemp("kill-points")
    with postgres_server() as server:
        stack = AirflowStack(
            tmp_path_factory.mktemp("airflow"),
            dags=project.dags,
            include=project.include,
            database_url=server.database("airflow"),
            registry_url=server.database("airlock"),
            options={
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
                "AIRFLOW__AIRLOCK__GATE_INTERVAL_SECONDS": "60",
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).parent / "faults"),
                "KILL_POINTS": str(kill_points),
            },
        )
        stack.migrate()
        with stack:
            stack.start()
            running = Airflow(stack)
            wanted = len(list((project.include / "services").glob("*.yaml"))) + 1  # and the one from git
            stack.wait_until(
                lambda: running.as_user("ada").get("/api/v2/dags").json()["total_entries"] >= wanted,
                "Airflow did not find the services",
            )
            running.airlock("ada", "apply", str(project.include), "--yes")
            yield running


@pytest.fixture(scope="session")
def registry(airflow: Airflow) -> Registry:
    """The same registry that the running Airflow uses."""
    return Registry(airflow.stack.registry_database_url)
