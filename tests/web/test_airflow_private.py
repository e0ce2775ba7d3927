"""What Airlock uses of Airflow's private parts is where it was, and is what it was.

When Airflow moves something, one of these fails and says what; the rest of the tests would only say that
everything is broken.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from airlock.web import airflow_private

PRIVATE = [
    ("airflow.api.common.trigger_dag", "trigger_dag"),
    ("airflow.api_fastapi.app", "get_auth_manager"),
    ("airflow.api_fastapi.auth.managers.models.base_user", "BaseUser"),
    ("airflow.api_fastapi.auth.managers.models.resource_details", "DagAccessEntity"),
    ("airflow.api_fastapi.auth.managers.models.resource_details", "DagDetails"),
    ("airflow.api_fastapi.core_api.datamodels.hitl", "UpdateHITLDetailPayload"),
    ("airflow.api_fastapi.core_api.routes.public.hitl", "update_hitl_detail"),
    ("airflow.api_fastapi.core_api.security", "GetUserDep"),
    ("airflow.api_fastapi.core_api.security", "auth_manager_from_app"),
    ("airflow.api_fastapi.core_api.security", "get_user"),
    ("airflow.api_fastapi.core_api.security", "requires_access_dag"),
    ("airflow.api_fastapi.logging.decorators", "action_logging"),
]


@pytest.mark.parametrize(("module", "name"), PRIVATE)
def test_airflow_has_not_moved_it(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name), f"Airflow has moved {module}.{name}"


PARAMETERS = [
    (
        "airflow.api.common.trigger_dag",
        "trigger_dag",
        {"dag_id", "run_id", "conf", "triggered_by", "triggering_user_name"},
    ),
    (
        "airflow.api_fastapi.core_api.routes.public.hitl",
        "update_hitl_detail",
        {"dag_id", "dag_run_id", "task_id", "update_hitl_detail_payload", "user", "session", "map_index"},
    ),
    ("airflow.api_fastapi.core_api.security", "get_user", {"request", "_oauth_token", "bearer_credentials"}),
    ("airflow.api_fastapi.core_api.security", "requires_access_dag", {"method", "access_entity"}),
]


@pytest.mark.parametrize(("module", "name", "parameters"), PARAMETERS)
def test_it_still_takes_what_airlock_gives(module: str, name: str, parameters: set[str]) -> None:
    found = set(inspect.signature(getattr(importlib.import_module(module), name)).parameters)

    assert parameters <= found


def test_only_one_module_imports_them() -> None:
    """Everything else of the package goes through airlock.web.airflow_private."""
    from pathlib import Path

    package = Path(inspect.getfile(airflow_private)).parents[1]
    importing = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "airflow.api_fastapi" in path.read_text() or "airflow.api.common" in path.read_text()
    ]

    assert importing == ["web/airflow_private.py"]


def routes_that_answer(app: Any) -> set[tuple[str, str]]:
    return {
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute) and "hitl" in route.path.lower()
        for method in route.methods - {"GET", "HEAD"}
    }


def test_airflow_takes_answers_by_one_route_only(airflow_app: FastAPI) -> None:
    """RequiredActions watches this one. Another (a bulk route, say) would let answers pass unseen."""
    public = "/api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}/hitlDetails"

    assert routes_that_answer(airflow_app) == {("PATCH", public)}
