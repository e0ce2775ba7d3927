"""Going back to an earlier version of a service: what that would do, and doing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, Field

from airlock.exceptions import NotFound
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.rollback import (
    WayBack,
    choose,
    end_rollout,
    find_way_back,
    finish,
    roll_back,
)
from airlock.registry import Registry
from airlock.registry.records import RollbackOutcome, RollbackRecord
from airlock.spec import Mode
from airlock.web.airflow_private import (
    DagAccessEntity,
    GetUserDep,
    action_logging,
    may_configure,
    requires_access_dag,
)
from airlock.web.guards import RegistryDep, UserName

router = APIRouter(tags=["rollbacks"])

MODES: tuple[Mode, ...] = ("online", "batch")


class NewRollback(BaseModel):
    """What is to be left, and why."""

    stage: str
    mode: Mode = "online"
    left: str = Field(
        alias="from",
        description="The version that is in use, `model@3`: who sees another one there decides on old news.",
    )
    to: str | None = Field(None, description="An earlier version; without it, the last one that is not bad.")
    reason: str = Field(min_length=1, max_length=1000)


@dataclass(frozen=True)
class EndedRollout:
    """A rollout that was rolled back.

    :param reason: why; where a person ended it, after the name.
    """

    of: str
    reason: str


@dataclass(frozen=True)
class WayBackView:
    """What a rollback would do.

    :param in_use: the version that would be left.
    :param targets: versions to go back to, the last one first.
    :param rollout_of: the version that is being rolled out there: ending that comes first.
    :param ended_rollout: the one that was rolled back last, if ``in_use`` has been in use since before that.
    """

    service: str
    stage: str
    mode: str
    in_use: str
    targets: list[str]
    rollout_of: str | None
    ended_rollout: EndedRollout | None


@dataclass(frozen=True)
class RollbackView:
    """A rollback.

    :param ended_at: since when nothing is left to be done; ``None`` while something is.
    :param outcome: ``done``; or ``replaced`` by a rollback to another version, or ``overtaken`` by a version
        that came into use otherwise: then the earlier version did not.
    """

    id: str
    service: str
    stage: str
    mode: str
    left: str
    to: str
    requested_by: str
    reason: str
    began_at: datetime
    ended_at: datetime | None
    outcome: RollbackOutcome | None


def _require_a_say(registry: Registry, user: GetUserDep, name: str, stage: str) -> None:
    """Operators and administrators may go back, and everybody with one of the stage's roles.

    :raises HTTPException: 403 for anybody else.
    """
    asked = {approval.role for approval in registry.catalog.policy(stage).approvals}
    if not may_configure(user) and not asked & set(registry.catalog.roles().of(name)):
        raise HTTPException(403, f"Operators may go back, and who has a role of {stage}; you are neither.")


@router.get(
    "/services/{dag_id}/ways-back",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
)
def ways_back(dag_id: str, stage: Annotated[str, Query()], registry: RegistryDep) -> list[WayBackView]:
    """What a service could go back to at a stage, for each mode in which a version is in use there.

    Where a rollback was interrupted, finishing that is the first way.
    """
    found = []
    for mode in MODES:
        try:
            found.append(_view(registry, find_way_back(registry, dag_id, stage, mode)))
        except NotFound:
            continue
    if not found:
        raise NotFound(f"No version of {dag_id} is in use in {stage}.", mend=f"Look: airlock where {dag_id}")
    return found


@router.get(
    "/services/{dag_id}/rollbacks",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
)
def rollbacks(dag_id: str, registry: RegistryDep) -> list[RollbackView]:
    """Every rollback of a service, the newest first."""
    return [_shown(rollback) for rollback in registry.rollbacks.list(dag_id)]


@router.post(
    "/services/{dag_id}/rollbacks",
    dependencies=[
        Depends(requires_access_dag("PUT", DagAccessEntity.RUN)),
        Depends(action_logging("airlock_rollback")),
    ],
)
def go_back(
    dag_id: str, wanted: NewRollback, user: GetUserDep, name: UserName, registry: RegistryDep
) -> RollbackView:
    """Put an earlier version into use again, without asking gates. It answers once that is so.

    The same request again finds the same rollback, and finishes it where it was interrupted.
    """
    _require_a_say(registry, user, name, wanted.stage)
    settings = load_settings()
    known = _known(registry, dag_id, wanted)
    if known is not None:
        return _shown(finish(settings, registry, known))
    way = find_way_back(registry, dag_id, wanted.stage, wanted.mode)
    if wanted.left not in (way.in_use.snapshot_name, _to_leave(way)):
        raise HTTPException(
            409, f"{way.in_use.snapshot_name} is in use in {wanted.stage}, not {wanted.left}: look again."
        )
    target = choose(way, wanted.to)
    return _shown(roll_back(settings, registry, way, target, by=name, reason=wanted.reason))


class RolloutEnd(BaseModel):
    """Why a rollout is not to go on."""

    stage: str
    reason: str = Field(min_length=1, max_length=1000)


@router.post(
    "/services/{dag_id}/rollout-ends",
    dependencies=[
        Depends(requires_access_dag("PUT", DagAccessEntity.RUN)),
        Depends(action_logging("airlock_end_rollout")),
    ],
)
def stop_rollout(
    dag_id: str, wanted: RolloutEnd, user: GetUserDep, name: UserName, registry: RegistryDep
) -> WayBackView:
    """Send all requests back to the version in use, and let the one that is being rolled out go.

    The same request again finds that it has ended, and finishes what was interrupted.
    """
    _require_a_say(registry, user, name, wanted.stage)
    way = find_way_back(registry, dag_id, wanted.stage, "online")
    rollout = way.rollout or way.ended
    if rollout is not None:
        end_rollout(registry, rollout, by=name, reason=wanted.reason)
    return _view(registry, way)


def _known(registry: Registry, service: str, wanted: NewRollback) -> RollbackRecord | None:
    """The rollback that was asked for before: it is under way, or what it went back to is still in use."""
    in_use = registry.history.current(service, wanted.stage, wanted.mode)
    for rollback in registry.rollbacks.list(service, wanted.stage, wanted.mode)[:1]:
        is_same = rollback.from_name == wanted.left and wanted.to in (None, rollback.to_name)
        is_so = in_use is not None and in_use.snapshot_digest == rollback.to_digest
        if is_same and (rollback.outcome is None or (rollback.outcome == "done" and is_so)):
            return rollback
    return None


def _to_leave(way: WayBack) -> str:
    """The version that people want to leave; where they were interrupted, the earlier one may be in use."""
    return way.under_way.from_name if way.under_way else way.in_use.snapshot_name


def _view(registry: Registry, way: WayBack) -> WayBackView:
    rollout, targets = way.rollout, [version.snapshot_name for version in way.targets]
    if way.under_way is not None:
        first = way.under_way.to_name
        targets = [first, *(name for name in targets if name != first)]
    return WayBackView(
        service=way.in_use.service,
        stage=way.in_use.stage,
        mode=way.in_use.mode,
        in_use=_to_leave(way),
        targets=targets,
        rollout_of=registry.deployments.get(rollout.deployment_id).snapshot_name if rollout else None,
        ended_rollout=EndedRollout(
            registry.deployments.get(way.ended.deployment_id).snapshot_name, str(way.ended.reason)
        )
        if way.ended
        else None,
    )


def _shown(rollback: RollbackRecord) -> RollbackView:
    return RollbackView(
        id=rollback.id,
        service=rollback.service,
        stage=rollback.stage,
        mode=rollback.mode,
        left=rollback.from_name,
        to=rollback.to_name,
        requested_by=rollback.requested_by,
        reason=rollback.reason,
        began_at=rollback.began_at,
        ended_at=rollback.ended_at,
        outcome=rollback.outcome,
    )
