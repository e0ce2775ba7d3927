"""What people decided, and what they were refused to decide."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from airlock.exceptions import NotFound
from airlock.registry import tables
from airlock.registry.database import Database
from airlock.registry.ledger import append
from airlock.registry.records import DecisionRecord, Verdict

_COLUMNS = [column.name for column in tables.decisions.columns if column.name != "ledger_number"]


class Decisions:
    """Decisions as they were given, accepted or refused. Each stands in the ledger as well."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        *,
        passage_id: str,
        stage: str,
        evidence_digest: str,
        policy_digest: str,
        user: str,
        verdict: Verdict,
        comment: str,
        channel: str,
        accepted: bool,
        reason: str | None = None,
    ) -> DecisionRecord:
        """Write down one person's decision on a snapshot's entry into a stage.

        The room ``gates`` judges whether it is accepted; a refused one is remembered with its reason. The
        same decision again returns the first one, also where it would be refused now for being given twice.

        :param stage: the stage to be entered.
        :param channel: how it came: ``airlock``, ``airflow``, …
        """
        key = {
            "passage_id": passage_id,
            "stage": stage,
            "evidence_digest": evidence_digest,
            "policy_digest": policy_digest,
            "user": user,
            "verdict": verdict,
        }
        with self._database.write() as transaction:
            connection = transaction.connection
            for known in _select(connection, passage_id, stage):
                same = all(getattr(known, name) == value for name, value in key.items())
                if same and (known.accepted or (not accepted and known.reason == reason)):
                    return known
            values = {
                **key,
                "snapshot_digest": _snapshot_digest(connection, passage_id),
                "comment": comment,
                "channel": channel,
                "state": "accepted" if accepted else "refused",
                "reason": None if accepted else reason,
            }
            newest = connection.execute(
                select(func.coalesce(func.max(tables.decisions.c.id), 0))
            ).scalar_one()
            values["id"] = newest + 1
            number = append(transaction, f"decision.{values['state']}", passage_id, user, values)
            connection.execute(
                insert(tables.decisions).values(**values, given_at=transaction.now, ledger_number=number)
            )
            return _select(connection, passage_id, stage)[-1]

    def list(self, passage_id: str, stage: str | None = None) -> list[DecisionRecord]:
        """All decisions on a passage in the order they were given, refused ones among them."""
        with self._database.read() as connection:
            return _select(connection, passage_id, stage)


def _snapshot_digest(connection: Connection, passage_id: str) -> str:
    columns = tables.passages.c
    digest = connection.execute(
        select(columns.snapshot_digest).where(columns.id == passage_id)
    ).scalar_one_or_none()
    if digest is None:
        raise NotFound(f"The registry has no passage {passage_id!r}.")
    return str(digest)


def _select(connection: Connection, passage_id: str, stage: str | None) -> list[DecisionRecord]:
    columns = tables.decisions.c
    query = select(*(columns[name] for name in _COLUMNS)).where(columns.passage_id == passage_id)
    if stage is not None:
        query = query.where(columns.stage == stage)
    return [DecisionRecord(**row._mapping) for row in connection.execute(query.order_by(columns.id))]
