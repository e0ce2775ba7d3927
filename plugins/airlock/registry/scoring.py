"""Runs of scheduled batch scoring, and which parts of their output are complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, true, update

from airlock.exceptions import Conflict, NotFound
from airlock.registry import tables
from airlock.registry.database import Database
from airlock.registry.ledger import append
from airlock.registry.records import ScoringPartition, ScoringRecord, ScoringState


class Scoring:
    """Scoring runs by service and Airflow DAG run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        *,
        service: str,
        interval_start: datetime,
        interval_end: datetime,
        input: str,
        output: str,
        snapshot_digest: str,
        run_id: str,
    ) -> ScoringRecord:
        """Begin to score an interval with a version; asked again, return the same run with its first version.

        A run that has ended (and was cleared in Airflow) begins anew, as a further attempt.
        """
        with self._database.write() as transaction:
            connection = transaction.connection
            last = _last(connection, service, run_id)
            if last is not None and last.state == "running":
                return last
            connection.execute(
                insert(tables.scoring_runs).values(
                    service=service,
                    run_id=run_id,
                    attempt=1 if last is None else last.attempt + 1,
                    interval_start=interval_start,
                    interval_end=interval_end,
                    input=input,
                    output=output,
                    snapshot_digest=snapshot_digest,
                    state="running",
                    begun_at=transaction.now,
                )
            )
            record = _last(connection, service, run_id)
            assert record is not None
            details = {
                "run_id": run_id,
                "attempt": record.attempt,
                "interval_start": record.interval_start.isoformat(),
                "interval_end": record.interval_end.isoformat(),
                "input": input,
                "output": output,
                "snapshot": record.snapshot_name,
                "snapshot_digest": snapshot_digest,
            }
            append(transaction, "scoring.began", service, "airlock", details)
            return record

    def partition_done(
        self,
        record_id: int,
        partition: str,
        *,
        rows_in: int,
        rows_out: int,
        rows_rejected: int,
        files: Sequence[Mapping[str, Any]],
    ) -> None:
        """Remember that a part of the output is complete; said again, the last word counts.

        :param files: path, rows and SHA-256 of each file that was written.
        :raises Conflict: the run has ended.
        """
        values = {
            "rows_in": rows_in,
            "rows_out": rows_out,
            "rows_rejected": rows_rejected,
            "files": [dict(file) for file in files],
        }
        with self._database.write() as transaction:
            connection = transaction.connection
            record = _get(connection, record_id)
            known = {part.partition: part for part in record.partitions}.get(partition)
            if known is not None and all(
                _plain(getattr(known, name)) == value for name, value in values.items()
            ):
                return
            if record.state != "running":
                raise Conflict(
                    f"Scoring run {record.run_id} of {record.service} has ended: it is {record.state}."
                )
            columns = tables.scoring_partitions.c
            same = and_(columns.scoring_id == record_id, columns.partition == partition)
            connection.execute(delete(tables.scoring_partitions).where(same))
            connection.execute(
                insert(tables.scoring_partitions).values(
                    scoring_id=record_id, partition=partition, done_at=transaction.now, **values
                )
            )
            details = {"run_id": record.run_id, "partition": partition, **values}
            append(transaction, "scoring.partition", record.service, "airlock", details)

    def complete(self, record_id: int) -> ScoringRecord:
        """The whole output is there."""
        return self._end(record_id, "completed", None)

    def fail(self, record_id: int, reason: str) -> ScoringRecord:
        """The run has failed for good; a completed one stays completed."""
        return self._end(record_id, "failed", reason)

    def find(self, service: str, run_id: str) -> ScoringRecord | None:
        """The last attempt of an Airflow DAG run."""
        with self._database.read() as connection:
            return _last(connection, service, run_id)

    def list(self, service: str | None = None) -> list[ScoringRecord]:
        """Scoring runs, the newest first."""
        condition = true() if service is None else tables.scoring_runs.c.service == service
        with self._database.read() as connection:
            return _select(connection, condition)

    def _end(self, record_id: int, state: ScoringState, reason: str | None) -> ScoringRecord:
        with self._database.write() as transaction:
            connection = transaction.connection
            record = _get(connection, record_id)
            if record.state != "running":
                return record
            connection.execute(
                update(tables.scoring_runs)
                .where(tables.scoring_runs.c.id == record_id)
                .values(state=state, reason=reason, ended_at=transaction.now)
            )
            details = {"run_id": record.run_id, "attempt": record.attempt, "reason": reason}
            append(transaction, f"scoring.{state}", record.service, "airlock", details)
            return _get(connection, record_id)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _get(connection: Connection, record_id: int) -> ScoringRecord:
    found = _select(connection, tables.scoring_runs.c.id == record_id)
    if not found:
        raise NotFound(f"The registry has no scoring run {record_id}.")
    return found[0]


def _last(connection: Connection, service: str, run_id: str) -> ScoringRecord | None:
    columns = tables.scoring_runs.c
    found = _select(connection, and_(columns.service == service, columns.run_id == run_id))
    return found[0] if found else None


def _select(connection: Connection, condition: ColumnElement[bool]) -> list[ScoringRecord]:
    runs, snapshots, parts = tables.scoring_runs, tables.snapshots, tables.scoring_partitions
    query = (
        select(runs, snapshots.c.model, snapshots.c.version)
        .join(snapshots, snapshots.c.digest == runs.c.snapshot_digest)
        .where(condition)
        .order_by(runs.c.id.desc())
    )
    records = {row.id: _record(row) for row in connection.execute(query)}
    found: dict[int, list[ScoringPartition]] = {each: [] for each in records}
    query_parts = select(parts).join(runs, runs.c.id == parts.c.scoring_id).where(condition)
    for row in connection.execute(query_parts.order_by(parts.c.partition)):
        part = ScoringPartition(
            row.partition, row.rows_in, row.rows_out, row.rows_rejected, tuple(row.files), row.done_at
        )
        found[row.scoring_id].append(part)
    return [replace(record, partitions=tuple(found[each])) for each, record in records.items()]


def _record(row: Row[Any]) -> ScoringRecord:
    return ScoringRecord(
        id=row.id,
        service=row.service,
        run_id=row.run_id,
        attempt=row.attempt,
        interval_start=row.interval_start,
        interval_end=row.interval_end,
        input=row.input,
        output=row.output,
        snapshot_digest=row.snapshot_digest,
        snapshot_name=f"{row.model}@{row.version}",
        state=row.state,
        reason=row.reason,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
    )
