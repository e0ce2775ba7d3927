"""Airlock inside Airflow's own API application: real tokens, real routes, two real SQLite databases."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airlock.registry import Registry
from tests.web.project import write_project
from tests.web.story import Story

PASSWORDS = {name: f"{name}-secret" for name in ("ada", "olga", "dana", "rita", "omar", "vera")}

AsUser = Callable[[str], TestClient]


@cache
def prepared_home() -> Path:
    """AIRFLOW_HOME with a project, passwords, and a migrated database that knows the project's DAGs."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    home = Path(os.environ["AIRFLOW_HOME"])
    project = write_project(home / "project")
    (home / "passwords.json").write_text(json.dumps(PASSWORDS))
    initdb()
    with create_session() as session:
        session.add(DagBundleModel(name="tests"))
    bag = DagBag(project / "dags", bundle_path=project / "dags")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "tests", None)
    return home


@cache
def application() -> FastAPI:
    """Airflow's API application, with Airlock as Airflow itself finds and mounts it."""
    from airflow.api_fastapi.app import create_app

    prepared_home()
    return create_app(apps="core")


@pytest.fixture
def airflow_app() -> FastAPI:
    """One application for all tests: its databases change, it does not."""
    return application()


@cache
def migrated_registry() -> Path:
    """A registry with tables and nothing in them, to be copied."""
    path = prepared_home() / "registry.db"
    registry = Registry(f"sqlite:///{path}")
    registry.migrate()
    registry.close()
    return path


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The registry that the application uses in this test, empty; the artifact store is new, too."""
    from airlock.orchestration.configuration import open_registry

    monkeypatch.setenv("AIRFLOW__AIRLOCK__DATABASE_URL", f"sqlite:///{tmp_path}/registry.db")
    monkeypatch.setenv("AIRFLOW__AIRLOCK__ARTIFACT_STORE", f"file://{tmp_path}/artifacts")
    monkeypatch.setenv("AIRFLOW__AIRLOCK__WORKSPACE", f"{tmp_path}/workspace")
    shutil.copy(migrated_registry(), tmp_path / "registry.db")
    registry = open_registry()
    yield registry
    registry.close()


@pytest.fixture
def no_runs(airflow_app: FastAPI) -> Iterator[None]:
    """Airflow without DAG runs, before and after."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    def forget() -> None:
        with create_session() as session:
            session.execute(delete(DagRun))

    forget()
    yield
    forget()


@pytest.fixture
def anonymous(airflow_app: FastAPI, registry: Registry, no_runs: None) -> TestClient:
    """A client that is not logged in."""
    return TestClient(airflow_app)


@pytest.fixture
def token_of(anonymous: TestClient) -> Callable[[str], str]:
    """Logs a person in, as the CLI does, and gives the token."""

    def log_in(name: str) -> str:
        answer = anonymous.post("/auth/token", json={"username": name, "password": PASSWORDS[name]})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["access_token"])

    return log_in


@pytest.fixture
def as_user(airflow_app: FastAPI, token_of: Callable[[str], str]) -> AsUser:
    """A client that sends a person's token."""

    def client(name: str) -> TestClient:
        return TestClient(airflow_app, headers={"Authorization": f"Bearer {token_of(name)}"})

    return client


@pytest.fixture
def story(registry: Registry, as_user: AsUser) -> Story:
    """Short ways to bring a snapshot somewhere."""
    return Story(registry, as_user)
