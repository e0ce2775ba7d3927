"""Starting a snapshot's passage: one DAG run, named after the snapshot, in the user's name."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from airlock.exceptions import Conflict, NotFound
from airlock.orchestration.configuration import load_settings
from airlock.registry import Registry
from airlock.registry.records import SnapshotRecord
from airlock.web.airflow_private import (
    DagAccessEntity,
    GetUserDep,
    action_logging,
    dag_state,
    requires_access_dag,
    run_state,
    trigger_run,
)
from airlock.web.guards import RegistryDep

router = APIRouter(tags=["passages"])

UNDER_WAY = ("queued", "running")


class NewPromotion(BaseModel):
    """Which snapshot is to set out."""

    snapshot: str = Field(description="`model@3`, `model` (the newest) or a digest.", min_length=1)


@dataclass(frozen=True)
class RunView:
    """The DAG run that carries a passage.

    :param state: Airflow's state of the run (queued, running, success, failed), ``None`` if it is gone.
    :param passage_id: ``None`` until the run's first task has registered the passage.
    :param paused: the service's DAG is paused, so a queued run does not begin.
    """

    service: str
    run_id: str
    state: str | None
    snapshot_name: str | None
    passage_id: str | None
    url: str
    paused: bool


@router.post(
    "/services/{dag_id}/promotions",
    status_code=201,
    responses={200: {"description": "This snapshot is under way already: its run."}},
    dependencies=[
        Depends(requires_access_dag("POST", DagAccessEntity.RUN)),
        Depends(action_logging("airlock_promote")),
    ],
)
def promote(
    dag_id: str, promotion: NewPromotion, user: GetUserDep, registry: RegistryDep, response: Response
) -> RunView:
    """Start the passage of a snapshot of a service, or find the run in which it is under way."""
    snapshot = registry.snapshots.get(promotion.snapshot)
    _refuse_what_cannot_start(dag_id, snapshot)
    run_id = _run_under_way(registry, dag_id, snapshot)
    if run_id is None:
        run_id = _free_run_id(registry, dag_id, snapshot)
        started = trigger_run(dag_id, run_id, conf={"snapshot": snapshot.name}, user=user)
    else:
        started = False
    response.status_code = 201 if started else 200
    return _view(registry, dag_id, run_id, snapshot.name)


@router.get(
    "/services/{dag_id}/runs/{run_id}",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
)
def show_run(dag_id: str, run_id: str, registry: RegistryDep) -> RunView:
    """The run of a passage, also before its first task has registered the passage."""
    view = _view(registry, dag_id, run_id)
    if view.state is None and view.passage_id is None:
        raise NotFound(f"{dag_id} has no run {run_id}.")
    return view


def run_url(dag_id: str, run_id: str) -> str:
    """The run's page in Airflow's UI."""
    return f"{load_settings().base_url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def _run_under_way(registry: Registry, service: str, snapshot: SnapshotRecord) -> str | None:
    """The run that carries this snapshot now, whoever started it and whatever it is called."""
    for passage in registry.passages.list(service):
        unfinished = passage.state != "finished" and passage.snapshot_digest == snapshot.digest
        if unfinished and run_state(service, passage.run_id) in UNDER_WAY:
            return passage.run_id
    return None


def _free_run_id(registry: Registry, service: str, snapshot: SnapshotRecord) -> str:
    """``model:3``, or ``model:3+1`` and so on after earlier passages, which keep their names.

    (Not ``model@3``: by default Airflow takes no ``@`` in the id of a run.)
    Two requests at the same moment get the same answer, and Airflow lets only one run have it. A run that
    has not registered its passage yet is found here, and counts as this one.
    """
    for attempt in count():
        run_id = f"{snapshot.model}:{snapshot.version}" + (f"+{attempt}" if attempt else "")
        state = run_state(service, run_id)
        if state in UNDER_WAY or (state is None and registry.passages.by_run(service, run_id) is None):
            return run_id
    raise AssertionError("count() does not end")


def _view(registry: Registry, service: str, run_id: str, snapshot: str | None = None) -> RunView:
    passage = registry.passages.by_run(service, run_id)
    dag = dag_state(service)
    return RunView(
        service=service,
        run_id=run_id,
        state=run_state(service, run_id),
        snapshot_name=passage.snapshot_name if passage else snapshot,
        passage_id=passage.id if passage else None,
        url=run_url(service, run_id),
        paused=dag is not None and dag.paused,
    )


def _refuse_what_cannot_start(service: str, snapshot: SnapshotRecord) -> None:
    if service not in snapshot.services:
        raise Conflict(
            f"{snapshot.name} does not serve {service}, but {', '.join(snapshot.services) or 'nothing'}.",
            mend=f"Tag it: airlock snapshot create FOLDER --service {service}",
        )
    dag = dag_state(service)
    if dag is None:
        raise NotFound(
            f"Airflow has no DAG {service}.",
            mend=f"Is include/services/{service}.yaml on the server? A new one takes up to a minute.",
        )
    if dag.has_import_errors:
        raise Conflict(f"The DAG of {service} has import errors.", mend="Airflow's front page shows them.")
