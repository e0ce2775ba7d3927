"""Snapshots on their way through the stages of a service: at most one of a service at a time."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, true, update

from airlock.exceptions import Conflict, NotFound
from airlock.registry import tables
from airlock.registry.database import Database, Transaction
from airlock.registry.deployments import change, planned_deployments
from airlock.registry.ledger import append
from airlock.registry.records import JsonObject, Outcome, PassageRecord
from airlock.spec.digest import canonical_json


class Passages:
    """Begins, queues and ends passages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        *,
        service: str,
        snapshot_digest: str,
        lifecycle_digest: str,
        lifecycle: JsonObject,
        run_id: str,
        by: str,
        on_newer: Literal["supersede", "queue"] = "supersede",
    ) -> PassageRecord:
        """Begin a snapshot's passage, carried by an Airflow DAG run; asked again, return the same.

        Where another snapshot of the service is under way, ``supersede`` ends its passage in favour of this
        one (also when this one's version is the lower: to promote it is a deliberate act), and ``queue``
        lets this one wait, in the state ``queued``.

        :param lifecycle: the life cycle as plain JSON, as it is now.
        :raises Conflict: the same snapshot is under way already, in another run, which the message names.
            This attempt is remembered with the outcome ``duplicate``.
        :raises NotFound: the registry does not know the snapshot.
        """
        passage_id = _id(service, run_id)
        with self._database.write() as transaction:
            connection = transaction.connection
            known = _select(connection, tables.passages.c.id == passage_id)
            if known and known[0].outcome != "duplicate":
                return known[0]
            under_way = _select(
                connection, and_(tables.passages.c.service == service, tables.passages.c.state != "finished")
            )
            same = [passage for passage in under_way if passage.snapshot_digest == snapshot_digest]
            values: JsonObject = {"state": "active", "outcome": None, "reason": None, "ended_at": None}
            if same:
                reason = f"the same snapshot is under way in run {same[0].run_id}"
                values = {
                    "state": "finished",
                    "outcome": "duplicate",
                    "reason": reason,
                    "ended_at": transaction.now,
                }
            elif under_way and on_newer == "queue":
                values["state"] = "queued"
            elif under_way:
                for older in under_way:
                    _finish(
                        transaction,
                        older,
                        "superseded",
                        f"superseded by run {run_id}, requested by {by}",
                        by,
                        superseded_by=passage_id,
                    )
            values |= {
                "service": service,
                "snapshot_digest": snapshot_digest,
                "run_id": run_id,
                "lifecycle_digest": lifecycle_digest,
                "lifecycle": lifecycle,
                "requested_by": by,
                "started_at": transaction.now,
            }
            _require_snapshot(connection, snapshot_digest)
            passage = _write(transaction, passage_id, values, is_new=not known)
        if passage.outcome == "duplicate":
            raise Conflict(
                f"{passage.snapshot_name} is already on its way for service {service}: "
                f"run {same[0].run_id}, {same[0].state}, requested by {same[0].requested_by}.",
                mend="Follow that run; this one ends here.",
            )
        return passage

    def promote_queued(self, passage_id: str) -> bool:
        """Let a queued passage go on if it is its turn; true once it is active."""
        with self._database.write() as transaction:
            connection = transaction.connection
            passage = _get(connection, passage_id)
            if passage.state != "queued":
                return passage.state == "active"
            columns = tables.passages.c
            first_in_line = connection.execute(
                select(columns.id)
                .where(columns.service == passage.service, columns.state != "finished")
                .order_by(columns.state, columns.number)  # "active" comes before "queued"
                .limit(1)
            ).scalar_one()
            if first_in_line != passage_id:
                return False
            connection.execute(update(tables.passages).where(columns.id == passage_id).values(state="active"))
            append(transaction, "passage.activated", passage_id, "airlock", {"run_id": passage.run_id})
            return True

    def get(self, passage_id: str) -> PassageRecord:
        """One passage.

        :raises NotFound: there is none of this id.
        """
        with self._database.read() as connection:
            return _get(connection, passage_id)

    def by_run(self, service: str, run_id: str) -> PassageRecord | None:
        """The passage that an Airflow DAG run carries."""
        return self._first(tables.passages.c.id == _id(service, run_id))

    def active(self, service: str) -> PassageRecord | None:
        """The passage of a service that is under way now, not a queued one."""
        return self._first(and_(tables.passages.c.service == service, tables.passages.c.state == "active"))

    def list(self, service: str | None = None, *, limit: int | None = None) -> list[PassageRecord]:
        """Passages, the newest first."""
        condition = true() if service is None else tables.passages.c.service == service
        with self._database.read() as connection:
            return _select(connection, condition, limit=limit)

    def finish(self, passage_id: str, outcome: Outcome, reason: str, by: str | None = None) -> PassageRecord:
        """End a passage; one that has ended already keeps its first outcome, and is returned as it is.

        Its open gates close, and its deployments that are not on a runtime yet are retired, which gives their
        slots back.
        """
        with self._database.write() as transaction:
            passage = _get(transaction.connection, passage_id)
            if passage.state != "finished":
                _finish(transaction, passage, outcome, reason, by or "airlock")
            return _get(transaction.connection, passage_id)

    def resume(self, passage_id: str, *, by: str = "airlock") -> PassageRecord:
        """Let a passage that failed go on; one that is active already is returned as it is.

        :raises Conflict: it did not end as ``failed``, or another passage of its service is under way.
        """
        with self._database.write() as transaction:
            connection = transaction.connection
            passage = _get(connection, passage_id)
            if passage.state == "active":
                return passage
            if passage.outcome != "failed":
                raise Conflict(
                    f"The passage of {passage.snapshot_name} in run {passage.run_id} cannot go on: "
                    f"it is {passage.outcome or passage.state} ({passage.reason}).",
                    mend="Promote the snapshot again.",
                )
            columns = tables.passages.c
            others = _select(
                connection, and_(columns.service == passage.service, columns.state != "finished")
            )
            if others:
                raise Conflict(
                    f"The passage of {passage.snapshot_name} cannot go on: {others[0].snapshot_name} is "
                    f"under way for service {passage.service} in run {others[0].run_id}.",
                    mend="Let that one end first.",
                )
            values = {"state": "active", "outcome": None, "reason": None, "ended_at": None}
            connection.execute(update(tables.passages).where(columns.id == passage_id).values(values))
            append(transaction, "passage.resumed", passage_id, by, {"run_id": passage.run_id})
            return _get(connection, passage_id)

    def _first(self, condition: ColumnElement[bool]) -> PassageRecord | None:
        with self._database.read() as connection:
            found = _select(connection, condition)
        return found[0] if found else None


def _id(service: str, run_id: str) -> str:
    return "pas-" + hashlib.sha256(canonical_json([service, run_id])).hexdigest()[:12]


def _write(transaction: Transaction, passage_id: str, values: JsonObject, *, is_new: bool) -> PassageRecord:
    connection = transaction.connection
    columns = tables.passages.c
    number = select(func.coalesce(func.max(columns.number), 0))
    values = {**values, "number": connection.execute(number).scalar_one() + 1}
    if is_new:
        connection.execute(insert(tables.passages).values(id=passage_id, **values))
    else:
        connection.execute(update(tables.passages).where(columns.id == passage_id).values(values))
    passage = _get(connection, passage_id)
    event = {"active": "passage.began", "queued": "passage.queued", "finished": "passage.refused"}[
        passage.state
    ]
    details = {
        "service": passage.service,
        "snapshot": passage.snapshot_name,
        "snapshot_digest": passage.snapshot_digest,
        "run_id": passage.run_id,
        "lifecycle_digest": passage.lifecycle_digest,
        "reason": passage.reason,
    }
    append(transaction, event, passage_id, passage.requested_by, details)
    return passage


def _finish(
    transaction: Transaction,
    passage: PassageRecord,
    outcome: Outcome,
    reason: str,
    by: str,
    *,
    superseded_by: str | None = None,
) -> None:
    connection = transaction.connection
    connection.execute(
        update(tables.passages)
        .where(tables.passages.c.id == passage.id)
        .values(
            state="finished",
            outcome=outcome,
            reason=reason,
            superseded_by=superseded_by,
            ended_at=transaction.now,
        )
    )
    details = {"outcome": outcome, "reason": reason, "run_id": passage.run_id, "superseded_by": superseded_by}
    append(transaction, "passage.finished", passage.id, by, details)
    gates = tables.gates.c
    connection.execute(
        update(tables.gates)
        .where(gates.passage_id == passage.id, gates.closed_at.is_(None))
        .values(closed_at=transaction.now, outcome=outcome)
    )
    for deployment in planned_deployments(connection, passage.id):
        change(transaction, deployment, {"state": "retired", "reason": f"the passage is {outcome}"})


def _require_snapshot(connection: Connection, digest: str) -> None:
    known = select(tables.snapshots.c.digest).where(tables.snapshots.c.digest == digest)
    if connection.execute(known).one_or_none() is None:
        raise NotFound(f"The registry has no snapshot {digest}.", mend="Run `airlock snapshot create` first.")


def _get(connection: Connection, passage_id: str) -> PassageRecord:
    found = _select(connection, tables.passages.c.id == passage_id)
    if not found:
        raise NotFound(f"The registry has no passage {passage_id!r}.")
    return found[0]


def _select(
    connection: Connection, condition: ColumnElement[bool], *, limit: int | None = None
) -> list[PassageRecord]:
    snapshots = tables.snapshots
    query = (
        select(tables.passages, snapshots.c.model, snapshots.c.version)
        .join(snapshots, snapshots.c.digest == tables.passages.c.snapshot_digest)
        .where(condition)
        .order_by(tables.passages.c.number.desc())
        .limit(limit)
    )
    return [_record(row) for row in connection.execute(query)]


def _record(row: Row[Any]) -> PassageRecord:
    return PassageRecord(
        id=row.id,
        service=row.service,
        snapshot_digest=row.snapshot_digest,
        snapshot_name=f"{row.model}@{row.version}",
        run_id=row.run_id,
        lifecycle_digest=row.lifecycle_digest,
        lifecycle=row.lifecycle,
        requested_by=row.requested_by,
        state=row.state,
        outcome=row.outcome,
        reason=row.reason,
        superseded_by=row.superseded_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
