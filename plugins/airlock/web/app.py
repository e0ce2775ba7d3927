"""The FastAPI application that Airflow's API server mounts under ``/airlock``."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI

from airlock.exceptions import AirlockError
from airlock.orchestration.configuration import open_registry
from airlock.web import (
    audit,
    blobs,
    decisions,
    include_files,
    me,
    passages,
    promotions,
    reports,
    rollbacks,
    runtimes,
    snapshots,
)
from airlock.web.airflow_private import get_user, use_airflows_auth_manager
from airlock.web.guards import same_origin
from airlock.web.problems import show_errors_as_problems

log = logging.getLogger(__name__)

URL_PREFIX = "/airlock"


def create_app() -> FastAPI:
    """Put the routes together; every one of them asks who is there and where the request comes from."""
    app = FastAPI(
        title="Airlock",
        description="Model life cycles on Airflow. `POST /auth/token` gives the bearer token to send along.",
        version="1",
        lifespan=_migrated,
        # FastAPI's own pages would be public; the description is served below, to those who are logged in.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    use_airflows_auth_manager(app)
    show_errors_as_problems(app)
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(get_user), Depends(same_origin)])
    for room in (
        me,
        blobs,
        snapshots,
        promotions,
        passages,
        decisions,
        include_files,
        runtimes,
        reports,
        rollbacks,
        audit,
    ):
        api.include_router(room.router)

    @api.get("/openapi.json", include_in_schema=False)
    def description() -> dict[str, Any]:
        return app.openapi()

    app.include_router(api)
    return app


@asynccontextmanager
async def _migrated(app: FastAPI) -> AsyncIterator[None]:
    """Bring the registry's tables up to date when the API server starts.

    A registry that cannot be reached must not keep Airflow from starting: requests then say what is wrong.
    """
    try:
        await anyio.to_thread.run_sync(open_registry().migrate)
    except (AirlockError, OSError) as error:
        log.error("Airlock's registry is not ready: %s", error)
    yield
