"""Which gates ask people now, and which Airflow task asks for each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, true, update

from airlock.registry import tables
from airlock.registry.database import Database
from airlock.registry.ledger import append
from airlock.registry.records import GateRecord


class GatesOpen:
    """Gates that ask, with what they ask about and until when."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self,
        *,
        passage_id: str,
        stage: str,
        dag_id: str,
        run_id: str,
        task_id: str,
        evidence_digest: str,
        policy_digest: str,
        expires_at: datetime | None,
    ) -> GateRecord:
        """Remember that a task asks people whether a snapshot may enter ``stage``.

        The same again changes nothing, and does not put off when it expires; where evidence or policy have
        changed since, the gate asks about the new ones, until ``expires_at`` as given.
        """
        asked = {"evidence_digest": evidence_digest, "policy_digest": policy_digest}
        with self._database.write() as transaction:
            connection = transaction.connection
            known = _open_gate(connection, dag_id, run_id, task_id)
            if known is None:
                connection.execute(
                    insert(tables.gates).values(
                        passage_id=passage_id,
                        stage=stage,
                        dag_id=dag_id,
                        run_id=run_id,
                        task_id=task_id,
                        opened_at=transaction.now,
                        expires_at=expires_at,
                        **asked,
                    )
                )
            elif (known.evidence_digest, known.policy_digest) != (evidence_digest, policy_digest):
                changed = update(tables.gates).where(tables.gates.c.id == known.id)
                connection.execute(changed.values(expires_at=expires_at, **asked))
            else:
                return known
            details = {
                "stage": stage,
                "dag_id": dag_id,
                "run_id": run_id,
                "task_id": task_id,
                "expires_at": expires_at and expires_at.isoformat(),
                **asked,
            }
            append(
                transaction,
                "gate.opened" if known is None else "gate.renewed",
                passage_id,
                "airlock",
                details,
            )
            gate = _open_gate(connection, dag_id, run_id, task_id)
            assert gate is not None
            return gate

    def close(self, passage_id: str, stage: str, outcome: str = "entered") -> None:
        """Remember that nobody is asked any more about a snapshot's entry into ``stage``."""
        columns = tables.gates.c
        is_open = and_(columns.passage_id == passage_id, columns.stage == stage, columns.closed_at.is_(None))
        with self._database.write() as transaction:
            closed = transaction.connection.execute(
                update(tables.gates).where(is_open).values(closed_at=transaction.now, outcome=outcome)
            )
            if closed.rowcount:
                append(
                    transaction, "gate.closed", passage_id, "airlock", {"stage": stage, "outcome": outcome}
                )

    def open_for(self, service: str | None = None, *, passage_id: str | None = None) -> list[GateRecord]:
        """Gates that ask now, the one that asked first at the front."""
        condition: ColumnElement[bool] = tables.gates.c.closed_at.is_(None)
        if service is not None:
            condition &= tables.passages.c.service == service
        if passage_id is not None:
            condition &= tables.gates.c.passage_id == passage_id
        with self._database.read() as connection:
            return _select(connection, condition)

    def find(self, dag_id: str, run_id: str, task_id: str) -> GateRecord | None:
        """The gate of a task: the one that is open, or else the last one that was."""
        with self._database.read() as connection:
            found = _select(connection, _is_of_task(dag_id, run_id, task_id))
        return found[-1] if found else None

    def list(self, passage_id: str | None = None) -> list[GateRecord]:
        """Gates, closed ones too, in the order they opened."""
        condition = true() if passage_id is None else tables.gates.c.passage_id == passage_id
        with self._database.read() as connection:
            return _select(connection, condition)


def _is_of_task(dag_id: str, run_id: str, task_id: str) -> ColumnElement[bool]:
    columns = tables.gates.c
    return and_(columns.dag_id == dag_id, columns.run_id == run_id, columns.task_id == task_id)


def _open_gate(connection: Connection, dag_id: str, run_id: str, task_id: str) -> GateRecord | None:
    is_open = tables.gates.c.closed_at.is_(None)
    found = _select(connection, and_(_is_of_task(dag_id, run_id, task_id), is_open))
    return found[0] if found else None


def _select(connection: Connection, condition: ColumnElement[bool]) -> list[GateRecord]:
    gates, passages, snapshots = tables.gates, tables.passages, tables.snapshots
    query = (
        select(gates, passages.c.service, snapshots.c.model, snapshots.c.version)
        .join(passages, passages.c.id == gates.c.passage_id)
        .join(snapshots, snapshots.c.digest == passages.c.snapshot_digest)
        .where(condition)
        .order_by(gates.c.id)
    )
    return [_record(row) for row in connection.execute(query)]


def _record(row: Row[Any]) -> GateRecord:
    return GateRecord(
        id=row.id,
        passage_id=row.passage_id,
        service=row.service,
        snapshot_name=f"{row.model}@{row.version}",
        stage=row.stage,
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=row.task_id,
        evidence_digest=row.evidence_digest,
        policy_digest=row.policy_digest,
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        closed_at=row.closed_at,
        outcome=row.outcome,
    )
