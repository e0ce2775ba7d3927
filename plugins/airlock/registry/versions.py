"""The version in use of a service at a stage: the one place that changes it, and what ends with it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from airlock.exceptions import Conflict
from airlock.registry import tables
from airlock.registry.database import Transaction
from airlock.registry.ledger import append
from airlock.registry.records import RollbackOutcome, StageVersion
from airlock.registry.rollout_rows import close_rollout, select_rollouts
from airlock.spec import Mode

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
"""When what is so now is so."""


def put_into_use(
    transaction: Transaction,
    *,
    passage_id: str | None,
    deployment_id: str | None,
    service: str,
    stage: str,
    mode: Mode,
    snapshot_digest: str,
) -> str | None:
    """Make a snapshot the version of a service at a stage, as a part of a transaction.

    See :meth:`~airlock.registry.history.History.make_current`.
    """
    connection = transaction.connection
    versions = current_versions(connection, service, stage, mode)
    before = versions[0] if versions else None
    if before is not None and (before.snapshot_digest, before.deployment_id, before.passage_id) == (
        snapshot_digest,
        deployment_id,
        passage_id,
    ):
        return before.previous_digest
    _refuse_left(connection, passage_id, service, stage, mode, snapshot_digest)
    previous = None
    if before is not None:
        is_same = before.snapshot_digest == snapshot_digest
        previous = before.previous_digest if is_same else before.snapshot_digest
        columns = tables.stage_versions.c
        is_current = and_(
            columns.service == service,
            columns.stage == stage,
            columns.mode == mode,
            columns.to_time.is_(None),
        )
        connection.execute(update(tables.stage_versions).where(is_current).values(to_time=transaction.now))
    values = {
        "stage": stage,
        "mode": mode,
        "snapshot_digest": snapshot_digest,
        "passage_id": passage_id,
        "deployment_id": deployment_id,
        "previous_digest": previous,
    }
    connection.execute(
        insert(tables.stage_versions).values(service=service, from_time=transaction.now, **values)
    )
    append(transaction, "version.current", service, "airlock", values)
    _overtake_rollbacks(transaction, service, stage, mode, (snapshot_digest, passage_id))
    if mode == "online" and deployment_id is not None:
        _stop_trials(transaction, service, stage, deployment_id)
    return previous


def _stop_trials(transaction: Transaction, service: str, stage: str, deployment_id: str) -> None:
    """End rollouts of other deployments that were to replace another version than this one."""
    columns = tables.rollouts.c
    is_other = and_(
        columns.service == service,
        columns.stage == stage,
        columns.outcome.is_(None),
        columns.deployment_id != deployment_id,
        columns.current_deployment_id.is_distinct_from(deployment_id),
    )
    for rollout in select_rollouts(transaction.connection, is_other):
        close_rollout(transaction, rollout, "stopped", f"{deployment_id} came into use", "airlock")


def _overtake_rollbacks(
    transaction: Transaction, service: str, stage: str, mode: Mode, version: tuple[str, str | None]
) -> None:
    """End ways back to another version: people decided about a version that is not in use any more."""
    columns = tables.rollbacks.c
    query = select(columns.id, columns.to_digest, columns.to_passage_id).where(
        columns.service == service,
        columns.stage == stage,
        columns.mode == mode,
        columns.ended_at.is_(None),
    )
    for rollback in transaction.connection.execute(query).all():
        if (rollback.to_digest, rollback.to_passage_id) != version:
            close_rollback(transaction, rollback.id, "overtaken", "airlock")


def close_rollback(transaction: Transaction, rollback_id: str, outcome: RollbackOutcome, by: str) -> None:
    """Give a way back its outcome, as a part of a transaction."""
    events: dict[RollbackOutcome, str] = {
        "done": "rollback.ended",
        "replaced": "rollback.replaced",
        "overtaken": "rollback.overtaken",
    }
    ending = {"ended_at": transaction.now, "outcome": outcome}
    is_it = tables.rollbacks.c.id == rollback_id
    transaction.connection.execute(update(tables.rollbacks).where(is_it).values(**ending))
    append(transaction, events[outcome], rollback_id, by, {})


def _refuse_left(
    connection: Connection,
    passage_id: str | None,
    service: str,
    stage: str,
    mode: Mode,
    snapshot_digest: str,
) -> None:
    """:raises Conflict: people have gone back from this version since its passage began."""
    rollbacks, passages = tables.rollbacks.c, tables.passages.c
    query = (
        select(rollbacks.requested_by)
        .join(tables.passages, passages.started_at <= rollbacks.began_at)
        .where(
            passages.id == passage_id,
            rollbacks.service == service,
            rollbacks.stage == stage,
            rollbacks.mode == mode,
            rollbacks.from_digest == snapshot_digest,
        )
    )
    by = connection.execute(query).scalars().first()
    if by is not None:
        raise Conflict(
            f"{by} has gone back from this version of {service} in {stage}.", mend="Promote it anew."
        )


def current_versions(connection: Connection, service: str, stage: str, mode: Mode) -> list[StageVersion]:
    """The version of a service at a stage now, if there is one, as a part of a transaction."""
    return select_versions(connection, service, END_OF_TIME, stage=stage, mode=mode)


def select_versions(
    connection: Connection,
    service: str,
    at: datetime | None,
    *,
    stage: str | None = None,
    mode: Mode | None = None,
) -> list[StageVersion]:
    """Versions that were current at a moment, or all of them; the newest first."""
    columns, snapshots = tables.stage_versions.c, tables.snapshots
    condition: ColumnElement[bool] = columns.service == service
    if at is not None:
        condition &= and_(columns.from_time <= at, or_(columns.to_time.is_(None), columns.to_time > at))
    if stage is not None:
        condition &= columns.stage == stage
    if mode is not None:
        condition &= columns.mode == mode
    query = (
        select(tables.stage_versions, snapshots.c.model, snapshots.c.version)
        .join(snapshots, snapshots.c.digest == columns.snapshot_digest)
        .where(condition)
        .order_by(columns.id.desc())
    )
    return [
        StageVersion(
            service=row.service,
            stage=row.stage,
            mode=row.mode,
            snapshot_digest=row.snapshot_digest,
            snapshot_name=f"{row.model}@{row.version}",
            passage_id=row.passage_id,
            deployment_id=row.deployment_id,
            from_time=row.from_time,
            to_time=row.to_time,
            previous_digest=row.previous_digest,
        )
        for row in connection.execute(query)
    ]
