"""Which version of a service is, and was, where: at any moment, with who approved it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from airlock.registry import tables
from airlock.registry.database import Database
from airlock.registry.records import StageVersion, WhereRow
from airlock.registry.versions import END_OF_TIME, put_into_use, select_versions
from airlock.spec import Mode

_SERVING = ("ready", "retiring")


class History:
    """A service's versions by stage, and what ran where when."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make_current(
        self,
        *,
        passage_id: str | None,
        deployment_id: str | None,
        service: str,
        stage: str,
        mode: Mode,
        snapshot_digest: str,
    ) -> str | None:
        """Make a snapshot the service's version at a stage; return the digest it takes over from.

        Said again, it changes nothing and returns the same digest. The same snapshot on another deployment
        takes over from what its first deployment there took over from.

        :raises Conflict: people have gone back from this version since its passage began.
        """
        with self._database.write() as transaction:
            return put_into_use(
                transaction,
                passage_id=passage_id,
                deployment_id=deployment_id,
                service=service,
                stage=stage,
                mode=mode,
                snapshot_digest=snapshot_digest,
            )

    def current(self, service: str, stage: str, mode: Mode | None = None) -> StageVersion | None:
        """The service's version at a stage now; without a mode, the one that changed last."""
        with self._database.read() as connection:
            found = select_versions(connection, service, END_OF_TIME, stage=stage, mode=mode)
        return found[0] if found else None

    def versions(
        self, service: str, stage: str | None = None, mode: Mode | None = None
    ) -> list[StageVersion]:
        """Every version a service ever had at its stages, the newest first."""
        with self._database.read() as connection:
            return select_versions(connection, service, None, stage=stage, mode=mode)

    def where(self, service: str, at: datetime | None = None) -> list[WhereRow]:
        """Where a service runs, or ran at a moment: stage, mode, runtime, version and who approved.

        Online: each deployment that answered then, whether it was the stage's version, on trial or being
        retired. Batch: the version that scoring at the stage used then, and the runtime that ran it last.

        :returns: by stage in the order of the life cycle, by mode, the current version first.
        """
        moment = at or END_OF_TIME
        with self._database.read() as connection:
            versions = select_versions(connection, service, moment)
            runs = _online(connection, service, moment, versions, only_now=at is None)
            runs += _batch(connection, service, moment, versions)
            approvals = _approvals(connection, {run.passage_id for run in runs if run.passage_id}, moment)
            stages = _stage_order(connection, service, moment)
        rows = [run.row(approvals.get((run.passage_id, run.stage), [])) for run in runs]
        return sorted(
            rows,
            key=lambda row: (
                stages.get(row.stage, len(stages)),
                row.stage,
                row.mode,
                not row.current,
                row.since,
            ),
        )


@dataclass(frozen=True)
class _Run:
    """A row of :meth:`History.where` without its approvers."""

    stage: str
    mode: Mode
    runtime: str | None
    snapshot_name: str
    digest: str
    deployment_id: str | None
    state: str
    current: bool
    since: datetime
    endpoints: tuple[dict[str, Any], ...]
    passage_id: str | None

    def row(self, approved_by: list[str]) -> WhereRow:
        return WhereRow(**self.__dict__, approved_by=approved_by)


def _online(
    connection: Connection, service: str, at: datetime, versions: Collection[StageVersion], *, only_now: bool
) -> list[_Run]:
    current = {
        (version.stage, version.deployment_id or version.snapshot_digest)
        for version in versions
        if version.mode == "online"
    }
    deployments, states, snapshots = tables.deployments, tables.deployment_states, tables.snapshots
    condition = and_(deployments.c.service == service, deployments.c.mode == "online", states.c.at <= at)
    if only_now:
        condition &= deployments.c.state.in_(_SERVING)
    query = (
        select(
            states,
            deployments.c.stage,
            deployments.c.snapshot_digest,
            deployments.c.passage_id,
            snapshots.c.model,
            snapshots.c.version,
        )
        .join(deployments, deployments.c.id == states.c.deployment_id)
        .join(snapshots, snapshots.c.digest == deployments.c.snapshot_digest)
        .where(condition)
        .order_by(states.c.id)
    )
    last: dict[str, Row[Any]] = {}
    since: dict[str, datetime] = {}
    for row in connection.execute(query):
        last[row.deployment_id] = row
        if row.state in _SERVING:
            since.setdefault(row.deployment_id, row.at)
    return [
        _Run(
            stage=row.stage,
            mode="online",
            runtime=row.runtime,
            snapshot_name=f"{row.model}@{row.version}",
            digest=row.snapshot_digest,
            deployment_id=row.deployment_id,
            state=row.state,
            current=bool(current & {(row.stage, row.deployment_id), (row.stage, row.snapshot_digest)}),
            since=since[row.deployment_id],
            endpoints=tuple(row.endpoints),
            passage_id=row.passage_id,
        )
        for row in last.values()
        if row.state in _SERVING
    ]


def _batch(
    connection: Connection, service: str, at: datetime, versions: Collection[StageVersion]
) -> list[_Run]:
    batch_versions = [version for version in versions if version.mode == "batch"]
    deployments, states = tables.deployments, tables.deployment_states
    last_uses = (
        select(func.max(states.c.id))
        .join(deployments, deployments.c.id == states.c.deployment_id)
        .where(
            deployments.c.service == service,
            deployments.c.mode == "batch",
            deployments.c.snapshot_digest.in_([version.snapshot_digest for version in batch_versions]),
            states.c.state == "ready",
            states.c.at <= at,
        )
        .group_by(deployments.c.stage, deployments.c.snapshot_digest)
    )
    query = (
        select(states.c.runtime, states.c.deployment_id, deployments.c.stage, deployments.c.snapshot_digest)
        .join(deployments, deployments.c.id == states.c.deployment_id)
        .where(states.c.id.in_(last_uses))
    )
    used = {(row.stage, row.snapshot_digest): row for row in connection.execute(query)}
    runs = []
    for version in batch_versions:
        use = used.get((version.stage, version.snapshot_digest))
        runs.append(
            _Run(
                stage=version.stage,
                mode="batch",
                runtime=use.runtime if use else None,
                snapshot_name=version.snapshot_name,
                digest=version.snapshot_digest,
                deployment_id=use.deployment_id if use else None,
                state="installed",
                current=True,
                since=version.from_time,
                endpoints=(),
                passage_id=version.passage_id,
            )
        )
    return runs


def _approvals(
    connection: Connection, passage_ids: Collection[str], at: datetime
) -> Mapping[tuple[str | None, str], list[str]]:
    """Who approved, by passage and stage: those bound to the same evidence and policy as the last one."""
    columns = tables.decisions.c
    query = (
        select(tables.decisions)
        .where(
            columns.passage_id.in_(passage_ids),
            columns.state == "accepted",
            columns.verdict == "approve",
            columns.given_at <= at,
        )
        .order_by(columns.id.desc())
    )
    bound_to: dict[tuple[str | None, str], tuple[str, str]] = {}
    people: dict[tuple[str | None, str], list[str]] = {}
    for row in connection.execute(query):
        key, binding = (row.passage_id, row.stage), (row.evidence_digest, row.policy_digest)
        if bound_to.setdefault(key, binding) == binding:
            people.setdefault(key, []).insert(0, row.user)
    return people


def _stage_order(connection: Connection, service: str, at: datetime) -> dict[str, int]:
    columns = tables.passages.c
    query = (
        select(columns.lifecycle)
        .where(columns.service == service, columns.started_at <= at)
        .order_by(columns.number.desc())
        .limit(1)
    )
    lifecycle = connection.execute(query).scalar_one_or_none() or {}
    return {stage["name"]: position for position, stage in enumerate(lifecycle.get("stages", []))}
