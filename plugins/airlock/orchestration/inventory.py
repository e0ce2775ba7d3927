"""What is on a runtime, held against what the registry says is there: orphans and drift."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airlock.exceptions import AdapterError
from airlock.orchestration.placement import ENDED

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord
    from airlock.runtimes.base import Adapter, DeploymentState

Kind = Literal["deployment", "job"]

_OWNER = re.compile(r"dep-[0-9a-f]{12}(?=-|$)")
"""What the names of champions and of checks' jobs begin with: the id of the deployment they are there for."""


@dataclass(frozen=True)
class Orphan:
    """Something on a runtime that no live deployment of the registry needs.

    :param reason: why it is one, in words.
    :param since: when its deployment ended, ``None`` where the registry does not know it.
    """

    kind: Kind
    name: str
    reason: str
    since: datetime | None
    handle: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Drift:
    """A deployment that the registry has as ready, and that is not there any more.

    :param message: what the runtime says of it.
    """

    deployment: DeploymentRecord
    state: DeploymentState
    message: str


@dataclass(frozen=True)
class Cleaned:
    """What cleaning a runtime did.

    :param failed: what could not be removed, with the reason.
    """

    removed: list[Orphan]
    failed: list[tuple[Orphan, str]]


def find_orphans(registry: Registry, adapter: Adapter, runtime: str) -> list[Orphan]:
    """What may be removed from a runtime: deployments and jobs whose deployment has ended or is unknown.

    A champion is there for the candidate that it stands beside, and a job of a check for its deployment.

    :raises AdapterError: the runtime cannot be asked.
    """
    # The runtime is asked first: what begins in between is declared in the registry before it is on it.
    found: list[tuple[Kind, dict[str, Any]]] = [("deployment", handle) for handle in adapter.list()]
    found += [("job", handle) for handle in adapter.list_jobs()]
    orphans = []
    for kind, handle in found:
        why = _why_orphan(registry, runtime, handle["name"])
        if why is not None:
            orphans.append(Orphan(kind, handle["name"], *why, handle))
    return orphans


def find_drift(registry: Registry, adapter: Adapter, runtime: str) -> list[Drift]:
    """Deployments that the registry has as ready on a runtime, and that are gone or have failed there.

    :raises AdapterError: the runtime cannot be asked.
    """
    drift = []
    for deployment in registry.deployments.list(runtime=runtime, states=("ready",)):
        status = adapter.status(deployment.handle or {"name": deployment.id})
        if status.state in ("gone", "failed"):
            drift.append(Drift(deployment, status.state, status.message))
    # One that was being retired just now is first off its runtime, and then off the books.
    still = {each.id for each in registry.deployments.list(runtime=runtime, states=("ready",))}
    return [each for each in drift if each.deployment.id in still]


def clean(
    registry: Registry, adapter: Adapter, runtime: str, wanted: Collection[tuple[Kind, str]], *, by: str
) -> Cleaned:
    """Remove orphans from a runtime, and write into the ledger which ones.

    What is not an orphan (any more), or is not wanted, is left alone; so is what is gone already.

    :param wanted: kind and name of what somebody saw and wants to have removed.
    :raises AdapterError: the runtime cannot be asked.
    """
    cleaned = Cleaned([], [])
    try:
        for orphan in find_orphans(registry, adapter, runtime):
            if (orphan.kind, orphan.name) not in wanted:
                continue
            if _why_orphan(registry, runtime, orphan.name) is None:
                continue  # declared since the list was made
            try:
                remove = adapter.undeploy if orphan.kind == "deployment" else adapter.remove_job
                remove(orphan.handle)
            except AdapterError as error:
                cleaned.failed.append((orphan, str(error)))
            else:
                cleaned.removed.append(orphan)
    finally:
        registry.catalog.cleaned(runtime, [f"{each.kind} {each.name}" for each in cleaned.removed], by=by)
    return cleaned


def _why_orphan(registry: Registry, runtime: str, name: str) -> tuple[str, datetime | None] | None:
    """Why nothing needs it, and since when; ``None`` where something does."""
    owner = _OWNER.match(name)
    known = registry.deployments.find(owner.group() if owner else name)
    if known is None:
        return "The registry does not know its deployment.", None
    what = f"{known.snapshot_name} for {known.service} at {known.stage}"
    if known.runtime != runtime:
        return f"Its deployment, {what}, is on runtime {known.runtime}.", None
    if known.state in ENDED:
        why = f": {known.reason}" if known.reason else ""
        return f"Its deployment, {what}, is {known.state}{why}", known.changed_at
    return None
