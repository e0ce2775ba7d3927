"""Runtimes: what there is, how it is, and taking it out of use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from airlock.orchestration.configuration import load_settings
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


@router.get("/runtimes", dependencies=[Depends(requires_access_dag("GET"))])
def list_runtimes(registry: RegistryDep) -> list[RuntimeView]:
    """All runtimes, by name."""
    return [_view(runtime) for runtime in registry.catalog.runtimes()]


@router.post(
    "/runtimes/{name}/check",
    dependencies=[Depends(requires_configuration), Depends(action_logging("airlock_check_runtime"))],
)
def check_runtime(name: str, nothing: Nothing, registry: RegistryDep) -> RuntimeView:
    """Ask the runtime whether it can take work, and remember the answer."""
    health = load_settings().adapter(registry.catalog.runtime(name).spec).check()
    registry.catalog.set_health(name, health.ok, health.message)
    return _view(registry.catalog.runtime(name))


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
