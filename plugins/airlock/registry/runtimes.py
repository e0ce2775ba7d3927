"""Reading runtimes, and saying why one does not take a deployment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from airlock.exceptions import NotFound
from airlock.registry import tables
from airlock.registry.records import RuntimeHealth, RuntimeRecord
from airlock.spec import Mode, RuntimeSpec

_GROUP_FROM = 20
"""So many runtimes are listed one by one; more are grouped by their reasons."""

_NAMES_IN_A_GROUP = 5


def read_runtimes(connection: Connection) -> list[RuntimeRecord]:
    """All runtimes, by name."""
    query = select(tables.runtimes).order_by(tables.runtimes.c.name)
    return [_record(row) for row in connection.execute(query)]


def read_runtime(connection: Connection, name: str) -> RuntimeRecord:
    """One runtime.

    :raises NotFound: there is none of this name.
    """
    row = connection.execute(select(tables.runtimes).where(tables.runtimes.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(
            f"The registry has no runtime {name!r}.", mend="`airlock runtime list` shows what there is."
        )
    return _record(row)


def why_not(
    runtime: RuntimeRecord, *, stage: str, service: str, mode: Mode, kinds: Collection[str] | None
) -> list[str]:
    """Why a runtime does not take this deployment; that it is full comes last."""
    spec = runtime.spec
    reasons = []
    if kinds is not None and spec.kind not in kinds:
        reasons.append(f"is of kind {spec.kind}, not {' or '.join(sorted(kinds))}")
    if stage not in spec.stages:
        reasons.append(f"is for stage {', '.join(spec.stages)}")
    if service not in spec.services and "*" not in spec.services:
        reasons.append(f"is for service {', '.join(spec.services)}")
    if mode not in spec.modes:
        reasons.append(f"runs {', '.join(spec.modes)} only")
    if runtime.cordoned:
        reasons.append(f"is cordoned by {runtime.cordoned_by}: {runtime.cordon_reason}".rstrip(": "))
    if not runtime.health.ok:
        reasons.append(f"is not healthy: {runtime.health.message}")
    if runtime.in_use >= spec.capacity:
        reasons.append(f"is full ({runtime.in_use} of {spec.capacity} in use)")
    return reasons


def list_reasons(reasons: Sequence[tuple[str, str]]) -> str:
    """Write (runtime, reason) pairs as lines; many runtimes are grouped by reason."""
    if len(reasons) <= _GROUP_FROM:
        return "\n".join(f"- {name} {reason}" for name, reason in reasons)
    groups: dict[str, list[str]] = {}
    for name, reason in reasons:
        groups.setdefault(reason, []).append(name)
    by_size = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1]))
    lines = [f"- {_names(names)}: {reason}" for reason, names in by_size[:_GROUP_FROM]]
    rest = by_size[_GROUP_FROM:]
    if rest:
        count = sum(len(names) for _, names in rest)
        lines.append(f"- {count} more, for {len(rest)} other reasons: `airlock runtime list` shows them all")
    return "\n".join(lines)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_IN_A_GROUP])
    more = len(names) - _NAMES_IN_A_GROUP
    return f"{shown} and {more:,} more" if more > 0 else shown


def _record(row: Row[Any]) -> RuntimeRecord:
    return RuntimeRecord(
        name=row.name,
        kind=row.kind,
        spec=RuntimeSpec.model_validate(row.spec),
        health=RuntimeHealth(row.healthy, row.health_message, row.health_at),
        cordoned=row.cordoned,
        in_use=row.in_use,
        cordon_reason=row.cordon_reason,
        cordoned_by=row.cordoned_by,
    )
