"""The append-only, hash-chained record of everything that was decided or done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from airlock.exceptions import RegistryError
from airlock.registry import tables
from airlock.registry.database import Database, Transaction
from airlock.registry.ledger_diagnosis import diagnose
from airlock.registry.records import JsonObject, LedgerEntry, LedgerHead, LedgerProblem
from airlock.spec.digest import canonical_json

GENESIS = "0" * 64
"""What the first row holds as the hash of the row before it."""

_PAGE = 1000


@dataclass(frozen=True)
class Event:
    """What is to be written into the ledger.

    :param event: what happened, as ``decision.accepted``.
    :param subject: what it happened to: a passage's or deployment's id, a runtime, an entry of ``include/``.
    :param actor: who did it: the user of the token, or ``airlock`` itself.
    :param details: plain JSON.
    """

    event: str
    subject: str
    actor: str
    details: Mapping[str, Any]


def append(transaction: Transaction, event: str, subject: str, actor: str, details: Mapping[str, Any]) -> int:
    """Write one row in the transaction of the change it tells of, and return its number."""
    return append_all(transaction, [Event(event, subject, actor, details)])


def append_all(transaction: Transaction, events: Sequence[Event]) -> int:
    """Write rows in the transaction of the changes they tell of, and return the number of the last."""
    connection = transaction.connection
    head = connection.execute(select(tables.ledger_head)).one()
    number: int = head.row_count
    last_hash: str = head.hash
    rows = []
    for each in events:
        number += 1
        row: JsonObject = {
            "number": number,
            "at": transaction.now,
            "event": each.event,
            "subject": each.subject,
            "actor": each.actor,
            "details": canonical_json(each.details).decode(),
            "previous_hash": last_hash,
        }
        last_hash = _hash(**row)
        rows.append({**row, "hash": last_hash})
    if rows:
        connection.execute(insert(tables.ledger), rows)
        connection.execute(update(tables.ledger_head).values(row_count=number, hash=last_hash))
    return number


class Ledger:
    """Reads and proves the ledger.

    Each row carries the hash of its own content and of the row before it; a second table, the *head*,
    anchors how many rows there are and the hash of the last, so that rows cut off the end are missed too.
    Triggers refuse to change or delete rows.

    Somebody who may drop the triggers (a database administrator, or Airlock's own role where it owns the
    tables) and who then rewrites every row from some point on, together with the head, makes a chain that
    is whole again: no database can prove otherwise by itself. Against that, export the head now and then to
    where that person cannot write, and give it to :meth:`verify` as ``expected_head``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> LedgerHead:
        """The number of rows and the last hash, to be kept elsewhere as an anchor."""
        with self._database.read() as connection:
            return _head(connection)

    def entries(
        self,
        *,
        subject: str | None = None,
        event: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[LedgerEntry]:
        """Rows in their order, those numbered above ``after``.

        :param event: an event's name, or the beginning of several ones' (``decision.``).
        """
        query = select(tables.ledger).where(tables.ledger.c.number > after).order_by(tables.ledger.c.number)
        if subject is not None:
            query = query.where(tables.ledger.c.subject == subject)
        if event is not None:
            query = query.where(tables.ledger.c.event.startswith(event, autoescape=True))
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query.limit(limit))]

    def verify(self, *, expected_head: LedgerHead | None = None) -> list[LedgerProblem]:
        """Look at every row: those that were changed, removed or inserted, in their order.

        Decisions stand in a table of their own as well; one that differs from its row in the ledger, or
        has none, is named too.

        :param expected_head: a head that was exported earlier; the ledger must still contain it.
        """
        with self._database.read() as connection:
            head = _head(connection)
            problems = []
            if not _is_whole(connection, head):
                problems = diagnose(list(_rows(connection)), head, _fits)
            if expected_head is not None:
                problems += _against_anchor(connection, expected_head)
            problems += _decisions_against_ledger(connection)
        return sorted(problems, key=lambda problem: problem.number)


def _is_whole(connection: Connection, head: LedgerHead) -> bool:
    count, last_hash = 0, GENESIS
    for row in _rows(connection):
        count += 1
        if row.previous_hash != last_hash or not _fits(row, count) or row.number != count:
            return False
        last_hash = row.hash
    return head == LedgerHead(count, last_hash)


def _rows(connection: Connection) -> Iterator[Row[Any]]:
    query = select(tables.ledger).order_by(tables.ledger.c.number)
    return iter(connection.execution_options(yield_per=_PAGE).execute(query))


def _fits(row: Row[Any], number: int) -> bool:
    """Whether the row's hash is that of its content, written as row ``number``."""
    fresh = _hash(number, row.at, row.event, row.subject, row.actor, row.details, row.previous_hash)
    return bool(row.hash == fresh)


def _hash(
    number: int, at: datetime, event: str, subject: str, actor: str, details: str, previous_hash: str
) -> str:
    content = {
        "number": number,
        "at": at.isoformat(timespec="microseconds"),
        "event": event,
        "subject": subject,
        "actor": actor,
        "details": details,
        "previous_hash": previous_hash,
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _head(connection: Connection) -> LedgerHead:
    row = connection.execute(select(tables.ledger_head)).one_or_none()
    if row is None:
        raise RegistryError(
            "The ledger's head is gone: somebody removed the row that anchors how many entries there are.",
            mend="Restore table ledger_head from a backup, and verify against an exported head.",
        )
    return LedgerHead(row.row_count, row.hash)


def _entry(row: Row[Any]) -> LedgerEntry:
    return LedgerEntry(
        number=row.number,
        at=row.at,
        event=row.event,
        subject=row.subject,
        actor=row.actor,
        details=json.loads(row.details),
        previous_hash=row.previous_hash,
        hash=row.hash,
    )


def _against_anchor(connection: Connection, anchor: LedgerHead) -> list[LedgerProblem]:
    query = select(tables.ledger.c.hash).where(tables.ledger.c.number == anchor.count)
    found = GENESIS if anchor.count == 0 else connection.execute(query).scalar_one_or_none()
    if found == anchor.hash:
        return []
    if found is None:
        message = f"Row {anchor.count} was removed: the exported head still knew it."
        return [LedgerProblem(anchor.count, "removed", message)]
    message = (
        f"Row {anchor.count} is not the one of the exported head: "
        "the ledger was rewritten, at this row or at one before it."
    )
    return [LedgerProblem(anchor.count, "changed", message)]


def _decisions_against_ledger(connection: Connection) -> list[LedgerProblem]:
    is_decision = tables.ledger.c.event.startswith("decision.")
    told = {row.number: row for row in connection.execute(select(tables.ledger).where(is_decision))}
    problems = []
    for row in connection.execute(select(tables.decisions)):
        entry = told.pop(row.ledger_number, None)
        if entry is None:
            message = f"Decision {row.id} was inserted: the ledger does not tell of it."
            problems.append(LedgerProblem(row.ledger_number, "inserted", message))
            continue
        details = json.loads(entry.details)
        if row.given_at != entry.at or any(row._mapping[name] != value for name, value in details.items()):
            message = f"Decision {row.id} was changed: row {row.ledger_number} of the ledger tells otherwise."
            problems.append(LedgerProblem(row.ledger_number, "changed", message))
    for number in told:
        message = f"The decision that row {number} of the ledger tells of was removed from its table."
        problems.append(LedgerProblem(number, "removed", message))
    return problems
