"""The one place that imports what Airflow keeps to itself.

Nothing under ``airflow.api_fastapi`` is public: names have moved between minor versions. Everything that
the rest of this package wants from there has a function or a name here, and ``test_airflow_private.py``
says which import has moved when Airflow moves one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Literal

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.api_fastapi.core_api.security import (
    GetUserDep,
    auth_manager_from_app,
    get_user,
    requires_access_dag,
)
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.exceptions import DagRunAlreadyExists
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from fastapi import FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.types import Scope

__all__ = [
    "BaseUser",
    "DagAccessEntity",
    "GetUserDep",
    "action_logging",
    "get_user",
    "requires_access_dag",
]

Method = Literal["GET", "POST", "PUT", "DELETE"]

AWAITING_INPUT, RUNNING = "awaiting_input", "running"


def use_airflows_auth_manager(app: FastAPI) -> None:
    """Let Airflow's dependencies find the auth manager: they look for it on the app that they run in."""
    app.dependency_overrides[auth_manager_from_app] = get_auth_manager


def name_of(user: BaseUser) -> str:
    """The login name, under which Airlock knows a person.

    The name rather than the id, because Airflow's ``triggering_user_name`` and the people's lists in
    ``roles.yaml`` hold names; in Airflow's simple auth manager both are the same.
    """
    return str(user.get_name())


def may(user: BaseUser, method: Method, service: str | None, entity: DagAccessEntity | None = None) -> bool:
    """Whether the user has this right on a service's DAG (``None``: on DAGs in general)."""
    team = DagModel.get_team_name(service) if service else None
    return bool(
        get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=DagDetails(id=service, team_name=team), user=user
        )
    )


def may_configure(user: BaseUser) -> bool:
    """Whether the user may say where models run and who approves them.

    This asks for the right to change Airflow's connections: runtimes are used with the credentials of
    connections, and in every auth manager it is a right of operators and administrators. The right to
    change configuration would be the better name, but Airflow's FAB auth manager gives that to nobody.
    """
    return bool(get_auth_manager().is_authorized_connection(method="PUT", user=user))


async def user_of(scope: Scope) -> BaseUser | None:
    """Who sends a request, by the same rules as in Airflow's own routes; ``None`` without a valid login."""
    request = Request(scope)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = HTTPAuthorizationCredentials(scheme=scheme, credentials=token) if token else None
    try:
        return await get_user(request, None, bearer)
    except HTTPException:
        return None


@dataclass(frozen=True)
class DagState:
    """What matters of a DAG before it is triggered."""

    paused: bool
    has_import_errors: bool


def dag_state(dag_id: str) -> DagState | None:
    """The DAG as Airflow knows it now; ``None`` if it knows none."""
    with create_session() as session:
        model = session.scalar(select(DagModel).where(DagModel.dag_id == dag_id, ~DagModel.is_stale))
        if model is None:
            return None
        return DagState(paused=bool(model.is_paused), has_import_errors=bool(model.has_import_errors))


def run_state(dag_id: str, run_id: str) -> str | None:
    """State of a DAG run (queued, running, success, failed); ``None`` if there is no such run."""
    with create_session() as session:
        state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        return None if state is None else str(state)


def trigger_run(dag_id: str, run_id: str, *, conf: dict[str, Any], user: BaseUser) -> bool:
    """Start a DAG run in the user's name; ``False`` if a run of this id exists already."""
    try:
        trigger_dag(
            dag_id=dag_id,
            run_id=run_id,
            conf=conf,
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=name_of(user),
        )
    except DagRunAlreadyExists:
        return False
    except DBAPIError:
        # Two requests at the same moment: the unique index refuses the second run. Any other reason
        # leaves no run behind and is the caller's to know.
        if run_state(dag_id, run_id) is None:
            raise
        return False
    return True


@dataclass(frozen=True)
class TaskState:
    """A task instance's state, and since when it has it."""

    state: str | None
    since: datetime | None


def task_state(dag_id: str, run_id: str, task_id: str) -> TaskState | None:
    """The state of an unmapped task; ``None`` if there is no such task instance."""
    with create_session() as session:
        row = session.execute(
            select(TaskInstance.state, TaskInstance.updated_at).where(
                TaskInstance.dag_id == dag_id,
                TaskInstance.run_id == run_id,
                TaskInstance.task_id == task_id,
                TaskInstance.map_index == -1,
            )
        ).one_or_none()
        if row is None:
            return None
        return TaskState(state=None if row.state is None else str(row.state), since=row.updated_at)


class Answered(Enum):
    """What became of an answer to a request of Airflow's for human input."""

    TAKEN = "taken"
    NOT_ASKED = "not asked"
    ALREADY_ANSWERED = "already answered"
    NOT_ASSIGNED = "not assigned"
    FAILED = "failed"


_MEANING = {404: Answered.NOT_ASKED, 409: Answered.ALREADY_ANSWERED, 403: Answered.NOT_ASSIGNED}


def answer_request(dag_id: str, run_id: str, task_id: str, *, option: str, user: BaseUser) -> Answered:
    """Answer a parked task for the user, as Airflow's own route does, which resumes the task."""
    try:
        with create_session() as session:
            update_hitl_detail(
                dag_id=dag_id,
                dag_run_id=run_id,
                task_id=task_id,
                update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[option]),
                user=user,
                session=session,
            )
    except HTTPException as refusal:
        return _MEANING.get(refusal.status_code, Answered.FAILED)
    except DBAPIError:
        # SQLite answers "database is locked" under concurrent writers; the caller tries again.
        return Answered.FAILED
    return Answered.TAKEN
