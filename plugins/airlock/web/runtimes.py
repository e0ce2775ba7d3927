"""Runtimes: what there is, how it is, taking it out of use, and removing what nothing needs from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from airlock.exceptions import AdapterError
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.inventory import Drift, Orphan, clean, find_drift, find_orphans
from airlock.orchestration.routers import Renewed, renew
from airlock.registry.records import RuntimeRecord
from airlock.web.airflow_private import action_logging, requires_access_dag
from airlock.web.guards import RegistryDep, UserName, requires_configuration

router = APIRouter(tags=["runtimes"])


class Cordon(BaseModel):
    """Why a runtime takes no new work."""

    reason: str = Field("", max_length=1000)


class Nothing(BaseModel):
    """An empty JSON object: these requests have nothing more to say."""


@dataclass(frozen=True)
class RuntimeView:
    """A runtime without its options, which may name things that only operators should know."""

    name: str
    kind: str
    stages: list[str]
    services: list[str]
    modes: list[str]
    capacity: int
    in_use: int
    healthy: bool
    health_message: str
    checked_at: datetime | None
    cordoned: bool
    cordon_reason: str
    cordoned_by: str


@dataclass(frozen=True)
class OrphanView:
    """Something on a runtime that no live deployment needs."""

    kind: Literal["deployment", "job"]
    name: str
    reason: str
    since: datetime | None


@dataclass(frozen=True)
class DriftView:
    """A deployment that the registry has as ready, and that is gone or has failed on its runtime."""

    deployment: str
    service: str
    stage: str
    snapshot: str
    state: Literal["gone", "failed"]
    message: str


@dataclass(frozen=True)
class CheckedRuntime(RuntimeView):
    """A runtime and what is on it, held against the registry.

    :param unseen: why nobody knows what is on it; empty where that could be found out.
    """

    orphans: list[OrphanView]
    drift: list[DriftView]
    unseen: str


class Named(BaseModel):
    """Something on a runtime, as the check names it."""

    kind: Literal["deployment", "job"]
    name: str = Field(max_length=300)


class Unneeded(BaseModel):
    """What somebody has seen as orphans, and wants to have removed."""

    remove: list[Named] = Field(default=[], max_length=100_000)


@dataclass(frozen=True)
class NotRemoved(OrphanView):
    """An orphan that could not be removed."""

    problem: str


@dataclass(frozen=True)
class Cleaned:
    """What was removed from a runtime, and what could not be."""

    removed: list[OrphanView]
    failed: list[NotRemoved]


@router.get("/runtimes", dependencies=[Depends(requires_access_dag("GET"))])
def list_runtimes(registry: RegistryDep) -> list[RuntimeView]:
    """All runtimes, by name."""
    return [_view(runtime) for runtime in registry.catalog.runtimes()]


@router.post(
    "/runtimes/{name}/check",
    dependencies=[Depends(requires_configuration), Depends(action_logging("airlock_check_runtime"))],
)
def check_runtime(name: str, nothing: Nothing, registry: RegistryDep) -> CheckedRuntime:
    """Ask the runtime whether it can take work, and remember the answer; ask it what is on it."""
    adapter = load_settings().adapter(registry.catalog.runtime(name).spec)
    health = adapter.check()
    registry.catalog.set_health(name, health.ok, health.message)
    orphans: list[Orphan] = []
    drift: list[Drift] = []
    unseen = ""
    try:
        orphans = find_orphans(registry, adapter, name)
        drift = find_drift(registry, adapter, name)
    except AdapterError as error:
        unseen = str(error)
    return CheckedRuntime(
        **vars(_view(registry.catalog.runtime(name))),
        orphans=[OrphanView(each.kind, each.name, each.reason, each.since) for each in orphans],
        drift=[_drift_view(each) for each in drift],
        unseen=unseen,
    )


@router.post(
    "/runtimes/{name}/clean",
    dependencies=[Depends(requires_configuration), Depends(action_logging("airlock_clean_runtime"))],
)
def clean_runtime(name: str, unneeded: Unneeded, registry: RegistryDep, by: UserName) -> Cleaned:
    """Remove from a runtime what nothing needs, of that which is named; what is live is left alone."""
    adapter = load_settings().adapter(registry.catalog.runtime(name).spec)
    wanted = {(each.kind, each.name) for each in unneeded.remove}
    cleaned = clean(registry, adapter, name, wanted, by=by)
    return Cleaned(
        removed=[OrphanView(each.kind, each.name, each.reason, each.since) for each in cleaned.removed],
        failed=[
            NotRemoved(each.kind, each.name, each.reason, each.since, problem)
            for each, problem in cleaned.failed
        ],
    )


@router.post(
    "/runtimes/{name}/route",
    dependencies=[Depends(requires_configuration), Depends(action_logging("airlock_route_runtime"))],
)
def route_runtime(name: str, nothing: Nothing, registry: RegistryDep) -> list[Renewed]:
    """Let the runtime's own router do again what the registry says of all services in use there."""
    return renew(registry, name)


@router.post(
    "/runtimes/{name}/cordon",
    dependencies=[Depends(requires_configuration), Depends(action_logging("airlock_cordon_runtime"))],
)
def cordon_runtime(name: str, cordon: Cordon, registry: RegistryDep, by: UserName) -> RuntimeView:
    """Let the runtime take no new work; what runs there goes on."""
    registry.catalog.cordon(name, True, by=by, reason=cordon.reason)
    return _view(registry.catalog.runtime(name))


@router.post(
    "/runtimes/{name}/uncordon",
    dependencies=[Depends(requires_configuration), Depends(action_logging("airlock_uncordon_runtime"))],
)
def uncordon_runtime(name: str, nothing: Nothing, registry: RegistryDep, by: UserName) -> RuntimeView:
    """Let the runtime take new work again."""
    registry.catalog.cordon(name, False, by=by, reason="")
    return _view(registry.catalog.runtime(name))


def _drift_view(drift: Drift) -> DriftView:
    deployment = drift.deployment
    return DriftView(
        deployment=deployment.id,
        service=deployment.service,
        stage=deployment.stage,
        snapshot=deployment.snapshot_name,
        state="gone" if drift.state == "gone" else "failed",
        message=drift.message,
    )


def _view(runtime: RuntimeRecord) -> RuntimeView:
    spec = runtime.spec
    return RuntimeView(
        name=runtime.name,
        kind=runtime.kind,
        stages=list(spec.stages),
        services=list(spec.services),
        modes=list(spec.modes),
        capacity=spec.capacity,
        in_use=runtime.in_use,
        healthy=runtime.health.ok,
        health_message=runtime.health.message,
        checked_at=runtime.health.checked_at,
        cordoned=runtime.cordoned,
        cordon_reason=runtime.cordon_reason,
        cordoned_by=runtime.cordoned_by,
    )
