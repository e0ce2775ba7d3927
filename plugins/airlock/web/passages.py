"""Passages: how far a snapshot has come, what was found, and who decided what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from airlock.exceptions import NotFound
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.rollout_look import strategy_of
from airlock.registry import Registry
from airlock.registry.records import (
    CheckRow,
    DecisionRecord,
    DeploymentRecord,
    GateRecord,
    PassageRecord,
    WhereRow,
)
from airlock.rollouts import steps
from airlock.web.airflow_private import DagAccessEntity, requires_access_dag
from airlock.web.guards import PassageToRead, RegistryDep
from airlock.web.promotions import run_url

router = APIRouter(tags=["passages"])

StageState = Literal["ahead", "under way", "asking", "passed", "stopped"]


@dataclass(frozen=True)
class PassageSummary:
    """A passage in a list."""

    id: str
    service: str
    snapshot_name: str
    snapshot_digest: str
    run_id: str
    url: str
    requested_by: str
    state: str
    outcome: str | None
    reason: str | None
    superseded_by: str | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class CheckView:
    """A check's result without its figures, which the report shows."""

    name: str
    kind: str
    status: str
    summary: str
    metrics: list[dict[str, Any]]
    recorded_at: datetime


@dataclass(frozen=True)
class DeploymentView:
    """Where the snapshot was put at a stage, and how to reach it."""

    id: str
    runtime: str
    mode: str
    state: str
    endpoints: tuple[dict[str, Any], ...]
    reason: str | None


@dataclass(frozen=True)
class RolloutView:
    """How traffic moves, or moved, to the snapshot at a stage.

    :param step: the step under way, or the last one, like ``25 %``.
    :param report: every move with what the guards found, for reading in a browser.
    """

    strategy: str
    step: str
    since: datetime | None
    asks: bool
    outcome: str | None
    reason: str | None
    report: str


@dataclass(frozen=True)
class StageView:
    """One stage of a passage.

    :param state: ``asking`` means that the next stage's policy, or the rollout here, waits for people.
    :param decisions: on the entry into this stage.
    :param gate: the gate through which the snapshot enters this stage, if it ever asked.
    """

    name: str
    state: StageState
    checks: list[CheckView]
    deployments: list[DeploymentView]
    decisions: list[DecisionRecord]
    gate: GateRecord | None
    report: str
    rollout: RolloutView | None


@dataclass(frozen=True)
class PassageView:
    """A passage with all its stages, in the order of its life cycle."""

    passage: PassageSummary
    stages: list[StageView]


@dataclass(frozen=True)
class WhereView:
    """Where a service runs, or ran: see :class:`airlock.registry.records.WhereRow`.

    :param url: where applications ask, whatever version is behind it; only of the current version, and only
        where its runtime has a router of its own.
    """

    stage: str
    mode: str
    runtime: str | None
    snapshot_name: str
    digest: str
    deployment_id: str | None
    state: str
    current: bool
    since: datetime
    approved_by: list[str]
    endpoints: tuple[dict[str, Any], ...]
    passage_id: str | None
    url: str | None


@router.get(
    "/services/{dag_id}/passages",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
)
def list_passages(
    dag_id: str,
    registry: RegistryDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[PassageSummary]:
    """Passages of a service, the newest first."""
    return [summary(passage) for passage in registry.passages.list(dag_id, limit=limit)]


@router.get("/passages/{passage_id}")
def show_passage(passage: PassageToRead, registry: RegistryDep) -> PassageView:
    """One passage: stages, checks, decisions, gates."""
    return PassageView(summary(passage), _stages(registry, passage))


@router.get(
    "/services/{dag_id}/where",
    dependencies=[Depends(requires_access_dag("GET"))],
)
def where(
    dag_id: str,
    registry: RegistryDep,
    at: Annotated[datetime | None, Query(description="A moment in the past, with its time zone.")] = None,
) -> list[WhereView]:
    """Where the service runs, or ran: stage, mode, runtime, version, who approved."""
    rows = registry.history.where(dag_id, at)
    return [WhereView(**vars(row), url=None if at else _stable_url(registry, dag_id, row)) for row in rows]


def _stable_url(registry: Registry, service: str, row: WhereRow) -> str | None:
    if not row.current or row.mode != "online" or row.runtime is None:
        return None
    try:
        runtime = registry.catalog.runtime(row.runtime)
    except NotFound:  # it is in nobody's files any more
        return None
    return load_settings().adapter(runtime.spec).address(service, row.stage)


def summary(passage: PassageRecord) -> PassageSummary:
    """A passage as lists show it."""
    return PassageSummary(
        id=passage.id,
        service=passage.service,
        snapshot_name=passage.snapshot_name,
        snapshot_digest=passage.snapshot_digest,
        run_id=passage.run_id,
        url=run_url(passage.service, passage.run_id),
        requested_by=passage.requested_by,
        state=passage.state,
        outcome=passage.outcome,
        reason=passage.reason,
        superseded_by=passage.superseded_by,
        started_at=passage.started_at,
        ended_at=passage.ended_at,
    )


def report_path(passage_id: str, stage: str) -> str:
    """Address of a stage's report."""
    return f"{load_settings().base_url}/airlock/api/v1/reports/{passage_id}/{stage}"


def _stages(registry: Registry, passage: PassageRecord) -> list[StageView]:
    names = [str(stage["name"]) for stage in passage.lifecycle["stages"]]
    deployments = registry.deployments.list(service=passage.service, passage_id=passage.id)
    gates = {gate.stage: gate for gate in registry.gates_open.list(passage.id)}
    decisions = registry.decisions.list(passage.id)
    reached = {deployment.stage for deployment in deployments}
    last = max((position for position, name in enumerate(names) if name in reached), default=-1)
    views = []
    for position, name in enumerate(names):
        rollout = _rollout(registry, passage, name)
        following = gates.get(names[position + 1]) if position + 1 < len(names) else None
        views.append(
            StageView(
                name=name,
                state="asking" if rollout and rollout.asks else _state(passage, position, last, following),
                checks=[_check(row) for row in registry.evidence.results(passage.id, name)],
                deployments=[_deployment(each) for each in deployments if each.stage == name],
                decisions=[decision for decision in decisions if decision.stage == name],
                gate=gates.get(name),
                report=report_path(passage.id, name),
                rollout=rollout,
            )
        )
    return views


def _state(passage: PassageRecord, position: int, last: int, next_gate: GateRecord | None) -> StageState:
    """What a stage's state is, where ``last`` is the position of the last stage that was reached."""
    if position > last:
        return "ahead"
    if position < last or passage.outcome == "completed":
        return "passed"
    if passage.state == "finished":
        return "stopped"
    return "asking" if next_gate is not None and next_gate.closed_at is None else "under way"


def _rollout(registry: Registry, passage: PassageRecord, stage: str) -> RolloutView | None:
    rollouts = registry.rollouts.list(passage.id, stage)
    if not rollouts:
        return None
    rollout, strategy = rollouts[-1], strategy_of(rollouts[-1])
    return RolloutView(
        strategy=strategy.kind,
        step=str(steps(strategy)[rollout.step]),
        since=rollout.since,
        asks=rollout.asked is not None and rollout.outcome is None and passage.state != "finished",
        outcome=rollout.outcome,
        reason=rollout.reason,
        report=f"{report_path(passage.id, stage)}/rollout",
    )


def _check(row: CheckRow) -> CheckView:
    return CheckView(
        name=row.check_name,
        kind=row.kind,
        status=row.status,
        summary=str(row.result.get("summary", "")),
        metrics=list(row.result.get("metrics") or []),
        recorded_at=row.recorded_at,
    )


def _deployment(record: DeploymentRecord) -> DeploymentView:
    return DeploymentView(
        id=record.id,
        runtime=record.runtime,
        mode=record.mode,
        state=record.state,
        endpoints=record.endpoints,
        reason=record.reason,
    )
