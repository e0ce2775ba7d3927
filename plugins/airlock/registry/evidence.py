"""What checks found, their digest, and the reports that people read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from airlock.registry import tables
from airlock.registry.database import Database
from airlock.registry.ledger import append
from airlock.registry.records import CheckRow
from airlock.spec.digest import canonical_json
from airlock.spec.digest import digest as digest_of

ReportFormat = Literal["html", "markdown"]

_NOT_EVIDENCE = ("seconds", "figures")
"""How long a check took says nothing of the model, and figures show its numbers once more."""


class Evidence:
    """Results of checks by passage, stage and check. A re-run replaces a result; the older one stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self, passage_id: str, deployment_id: str, stage: str, check_name: str, result: Mapping[str, Any]
    ) -> CheckRow:
        """Keep a check's result as its current one; the very same again changes nothing.

        :param result: a ``CheckResult`` as plain JSON. Numbers that are not finite become ``None``.
        """
        plain = _finite(result)
        with self._database.write() as transaction:
            current = _results(transaction.connection, passage_id, stage, check_name)
            if current and (current[-1].result, current[-1].deployment_id) == (plain, deployment_id):
                return current[-1]
            transaction.connection.execute(
                insert(tables.check_results).values(
                    passage_id=passage_id,
                    deployment_id=deployment_id,
                    stage=stage,
                    check_name=check_name,
                    result=plain,
                    recorded_at=transaction.now,
                )
            )
            details = {
                "stage": stage,
                "check": check_name,
                "deployment": deployment_id,
                "status": plain["status"],
                "summary": plain.get("summary", ""),
                "result_digest": digest_of(plain),
            }
            append(transaction, "check.recorded", passage_id, "airlock", details)
            return _results(transaction.connection, passage_id, stage, check_name)[-1]

    def results(self, passage_id: str, stage: str) -> list[CheckRow]:
        """The current result of each check at a stage, by name."""
        with self._database.read() as connection:
            return _current(_results(connection, passage_id, stage))

    def history(self, passage_id: str, stage: str, check_name: str | None = None) -> list[CheckRow]:
        """All results at a stage, also replaced ones, in the order they came."""
        with self._database.read() as connection:
            return _results(connection, passage_id, stage, check_name)

    def count(self, passage_id: str, stage: str, check_name: str) -> int:
        """How often a check has given a result at a stage."""
        return len(self.history(passage_id, stage, check_name))

    def digest(self, passage_id: str, stage: str) -> str:
        """Name what the current results at a stage say: decisions are bound to it."""
        return evidence_digest(self.results(passage_id, stage))

    def save_report(
        self, passage_id: str, stage: str, content: str, *, format: ReportFormat, check_name: str = ""
    ) -> None:
        """Keep a readable report of a check, or (without ``check_name``) of the whole stage."""
        key = {"passage_id": passage_id, "stage": stage, "check_name": check_name, "format": format}
        where = _matches(key)
        with self._database.write() as transaction:
            connection = transaction.connection
            known = connection.execute(select(tables.reports.c.content).where(where)).scalar_one_or_none()
            if known == content:
                return
            values = {"content": content, "saved_at": transaction.now}
            if known is None:
                connection.execute(insert(tables.reports).values(**key, **values))
            else:
                connection.execute(update(tables.reports).where(where).values(**values))
            details = {
                "stage": stage,
                "check": check_name,
                "format": format,
                "content_digest": digest_of(content),
            }
            append(transaction, "report.saved", passage_id, "airlock", details)

    def report(
        self, passage_id: str, stage: str, *, format: ReportFormat = "html", check_name: str = ""
    ) -> str | None:
        """The report of a check, or (without ``check_name``) of the whole stage, if there is one."""
        key = {"passage_id": passage_id, "stage": stage, "check_name": check_name, "format": format}
        with self._database.read() as connection:
            return connection.execute(
                select(tables.reports.c.content).where(_matches(key))
            ).scalar_one_or_none()


def evidence_digest(results: Sequence[CheckRow]) -> str:
    """Name what results say, whatever order they came in, when, and how long they took."""
    return digest_of({row.check_name: _measured(row.result) for row in results if not row.replaced})


def _measured(result: Mapping[str, Any]) -> dict[str, Any]:
    measured = {key: value for key, value in result.items() if key not in _NOT_EVIDENCE}
    return {**measured, "metrics": sorted(result.get("metrics") or [], key=canonical_json)}


def _finite(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _matches(key: Mapping[str, str]) -> ColumnElement[bool]:
    return and_(*(tables.reports.c[name] == value for name, value in key.items()))


def _results(
    connection: Connection, passage_id: str, stage: str, check_name: str | None = None
) -> list[CheckRow]:
    columns = tables.check_results.c
    query = select(tables.check_results).where(columns.passage_id == passage_id, columns.stage == stage)
    if check_name is not None:
        query = query.where(columns.check_name == check_name)
    rows = connection.execute(query.order_by(columns.id)).all()
    newest = {row.check_name: row.id for row in rows}
    return [
        CheckRow(
            id=row.id,
            passage_id=row.passage_id,
            deployment_id=row.deployment_id,
            stage=row.stage,
            check_name=row.check_name,
            kind=row.result["kind"],
            status=row.result["status"],
            result=row.result,
            recorded_at=row.recorded_at,
            replaced=row.id != newest[row.check_name],
        )
        for row in rows
    ]


def _current(rows: Sequence[CheckRow]) -> list[CheckRow]:
    return sorted((row for row in rows if not row.replaced), key=lambda row: row.check_name)
