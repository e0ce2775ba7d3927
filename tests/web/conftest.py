"""Fixtures of the tests of the API."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from tests.web.application import airflow_app, anonymous, as_user, no_runs, registry, story, token_of

__all__ = ["airflow_app", "anonymous", "as_user", "no_runs", "registry", "story", "token_of"]


@pytest.fixture
def routes(airflow_app: FastAPI) -> list[Any]:
    """All routes of the mounted Airlock application."""
    mounts = [route for route in airflow_app.routes if isinstance(route, Mount) and route.path == "/airlock"]
    assert len(mounts) == 1
    return list(mounts[0].routes)
