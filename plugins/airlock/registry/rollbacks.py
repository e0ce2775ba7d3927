"""Ways back: from which version of a service to which earlier one, by whom, and why."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, select

from airlock.exceptions import Conflict, NotFound
from airlock.registry import tables
from airlock.registry.database import Database
from airlock.registry.ledger import append
from airlock.registry.records import RollbackRecord, StageVersion
from airlock.registry.versions import close_rollback, current_versions, put_into_use
from airlock.spec import Mode
from airlock.spec.digest import canonical_json


class Rollbacks:
    """Begins ways back, and remembers them: what a service left at a stage is bad there from then on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, left: StageVersion, target: StageVersion, *, requested_by: str, reason: str
    ) -> RollbackRecord:
        """Decide to go back from the version in use to an earlier one; asked again, return the same rollback.

        One to another version that is under way is replaced.

        :raises Conflict: another version is in use.
        """
        with self._database.write() as transaction:
            connection = transaction.connection
            here = _is_here(left.service, left.stage, left.mode)
            in_use = current_versions(connection, left.service, left.stage, left.mode)
            for known in _select(connection, here & (tables.rollbacks.c.began_at >= left.from_time)):
                is_same = (known.from_digest, known.to_digest) == (
                    left.snapshot_digest,
                    target.snapshot_digest,
                )
                if is_same and not _is_over(connection, known):
                    return known
            if [version.from_time for version in in_use] != [left.from_time]:
                name = in_use[0].snapshot_name if in_use else "nothing"
                raise Conflict(
                    f"{left.snapshot_name} is not in use in {left.stage} any more, but {name}.",
                    mend="Look again: airlock where.",
                )
            for other in _select(connection, here & tables.rollbacks.c.ended_at.is_(None)):
                close_rollback(transaction, other.id, "replaced", requested_by)
            rollback_id = _id(left, number=len(_select(connection, here)) + 1)
            values = {
                "service": left.service,
                "stage": left.stage,
                "mode": left.mode,
                "from_digest": left.snapshot_digest,
                "from_deployment_id": left.deployment_id,
                "to_digest": target.snapshot_digest,
                "to_passage_id": target.passage_id,
                "reason": reason,
            }
            connection.execute(
                insert(tables.rollbacks).values(
                    id=rollback_id, requested_by=requested_by, began_at=transaction.now, **values
                )
            )
            append(transaction, "rollback.began", rollback_id, requested_by, values)
            return _get(connection, rollback_id)

    def confirm(self, rollback_id: str) -> RollbackRecord:
        """A rollback as it is; it is to be carried out, or its target is in use.

        :raises Conflict: it has been replaced or overtaken, or another version came into use afterwards.
        """
        with self._database.read() as connection:
            return _confirmed(connection, rollback_id)

    def make_current(self, rollback_id: str, deployment_id: str | None) -> None:
        """Make the earlier version the one in use; said again, it changes nothing.

        :raises Conflict: the rollback is not to be carried out any more, as :meth:`confirm` says.
        """
        with self._database.write() as transaction:
            rollback = _confirmed(transaction.connection, rollback_id)
            put_into_use(
                transaction,
                passage_id=rollback.to_passage_id,
                deployment_id=deployment_id,
                service=rollback.service,
                stage=rollback.stage,
                mode=rollback.mode,
                snapshot_digest=rollback.to_digest,
            )

    def end(self, rollback_id: str) -> RollbackRecord:
        """The earlier version has all requests; said again, or of one that has ended, it changes nothing."""
        with self._database.write() as transaction:
            if _get(transaction.connection, rollback_id).ended_at is None:
                close_rollback(transaction, rollback_id, "done", "airlock")
            return _get(transaction.connection, rollback_id)

    def get(self, rollback_id: str) -> RollbackRecord:
        """One rollback.

        :raises NotFound: there is none of this id.
        """
        with self._database.read() as connection:
            return _get(connection, rollback_id)

    def list(self, service: str, stage: str | None = None, mode: Mode | None = None) -> list[RollbackRecord]:
        """A service's rollbacks, the newest first."""
        columns = tables.rollbacks.c
        condition = columns.service == service
        if stage is not None:
            condition &= columns.stage == stage
        if mode is not None:
            condition &= columns.mode == mode
        with self._database.read() as connection:
            return _select(connection, condition)

    def under_way(self, service: str, stage: str, mode: Mode) -> RollbackRecord | None:
        """The rollback that has not ended yet; ``None`` if there is none."""
        return next((each for each in self.list(service, stage, mode) if each.ended_at is None), None)

    def left_since(
        self, service: str, stage: str, mode: Mode, snapshot_digest: str, since: datetime
    ) -> RollbackRecord | None:
        """The rollback by which a service left a snapshot at a stage since a moment, if it has."""
        found = (
            rollback
            for rollback in self.list(service, stage, mode)
            if rollback.from_digest == snapshot_digest and rollback.began_at >= since
        )
        return next(found, None)


def _id(left: StageVersion, *, number: int) -> str:
    content = [left.service, left.stage, left.mode, left.snapshot_digest, number]
    return "back-" + hashlib.sha256(canonical_json(content)).hexdigest()[:12]


def _is_here(service: str, stage: str, mode: Mode) -> ColumnElement[bool]:
    columns = tables.rollbacks.c
    return and_(columns.service == service, columns.stage == stage, columns.mode == mode)


def _is_over(connection: Connection, rollback: RollbackRecord) -> bool:
    """Whether nothing of a rollback is to be done, nor is so, any more."""
    if rollback.outcome == "done":
        in_use = current_versions(connection, rollback.service, rollback.stage, rollback.mode)
        return [version.snapshot_digest for version in in_use] != [rollback.to_digest]
    return rollback.outcome is not None


def _confirmed(connection: Connection, rollback_id: str) -> RollbackRecord:
    rollback = _get(connection, rollback_id)
    if _is_over(connection, rollback):
        raise Conflict(
            f"{rollback.service} is not going back to {rollback.to_name} in {rollback.stage} any more: "
            + (
                "somebody has asked for another version since."
                if rollback.outcome == "replaced"
                else "another version has come into use since."
            ),
            mend="Look again: airlock where.",
        )
    return rollback


def _get(connection: Connection, rollback_id: str) -> RollbackRecord:
    found = _select(connection, tables.rollbacks.c.id == rollback_id)
    if not found:
        raise NotFound(f"The registry has no rollback {rollback_id!r}.")
    return found[0]


def _select(connection: Connection, condition: ColumnElement[bool]) -> list[RollbackRecord]:
    left, target = tables.snapshots.alias("left"), tables.snapshots.alias("target")
    columns = tables.rollbacks.c
    query = (
        select(
            *columns,
            left.c.model.label("from_model"),
            left.c.version.label("from_version"),
            target.c.model.label("to_model"),
            target.c.version.label("to_version"),
        )
        .join(left, left.c.digest == columns.from_digest)
        .join(target, target.c.digest == columns.to_digest)
        .where(condition)
        .order_by(columns.began_at.desc(), columns.id)
    )
    return [
        RollbackRecord(
            id=row.id,
            service=row.service,
            stage=row.stage,
            mode=row.mode,
            from_digest=row.from_digest,
            from_name=f"{row.from_model}@{row.from_version}",
            from_deployment_id=row.from_deployment_id,
            to_digest=row.to_digest,
            to_name=f"{row.to_model}@{row.to_version}",
            to_passage_id=row.to_passage_id,
            requested_by=row.requested_by,
            reason=row.reason,
            began_at=row.began_at,
            ended_at=row.ended_at,
            outcome=row.outcome,
        )
        for row in connection.execute(query)
    ]
