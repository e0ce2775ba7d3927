"""Deployments: one snapshot on one runtime for one service at one stage, with its states and times."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, insert, select, true, update

from airlock.exceptions import Conflict, NotFound
from airlock.registry import tables
from airlock.registry.database import Database, Transaction
from airlock.registry.leases import holds_lease, release_lease
from airlock.registry.ledger import append
from airlock.registry.records import DeploymentRecord, DeploymentState, JsonObject, Purpose
from airlock.spec import Mode
from airlock.spec.digest import canonical_json

LIVE: tuple[DeploymentState, ...] = ("deploying", "ready", "retiring")
"""Something of the deployment is, or may be, on its runtime."""

ENDED: tuple[DeploymentState, ...] = ("retired", "failed")
"""Its life is over, and its slot was given back."""

_WAY: tuple[DeploymentState, ...] = ("planned", "deploying", "ready", "retiring", "retired")


class Deployments:
    """Declares deployments and follows their states. No row is ever deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def identify(self, *, key: str, stage: str, mode: Mode, attempt: int = 1) -> str:
        """The id of a passage's (or scoring run's) deployment, which a retried task so finds again."""
        content = [key, stage, mode] if attempt == 1 else [key, stage, mode, attempt]
        return "dep-" + hashlib.sha256(canonical_json(content)).hexdigest()[:12]

    def declare(
        self,
        *,
        passage_id: str | None,
        service: str,
        snapshot_digest: str,
        stage: str,
        mode: Mode,
        runtime: str,
        purpose: Purpose,
        key: str,
        attempt: int = 1,
    ) -> DeploymentRecord:
        """Plan a deployment on a runtime; asked again, return the same one.

        :param key: the passage's id, or what names the scoring run.
        :param attempt: one more for each deployment of this key, stage and mode that has ended.
        :raises Conflict: it was declared on another runtime, for another snapshot or another service.
        """
        deployment = self.identify(key=key, stage=stage, mode=mode, attempt=attempt)
        with self._database.write() as transaction:
            connection = transaction.connection
            known = _find(connection, deployment)
            if known is not None:
                if (known.service, known.snapshot_digest, known.runtime) != (
                    service,
                    snapshot_digest,
                    runtime,
                ):
                    raise Conflict(
                        f"Deployment {deployment} is {known.snapshot_name} for service {known.service} "
                        f"on runtime {known.runtime}, not of {snapshot_digest} for {service} on {runtime}.",
                        mend="Declare a further attempt, or use another key for another run.",
                    )
                return known
            connection.execute(
                insert(tables.deployments).values(
                    id=deployment,
                    key=key,
                    attempt=attempt,
                    passage_id=passage_id,
                    service=service,
                    snapshot_digest=snapshot_digest,
                    stage=stage,
                    mode=mode,
                    runtime=runtime,
                    purpose=purpose,
                    state="planned",
                    endpoints=[],
                    created_at=transaction.now,
                    changed_at=transaction.now,
                )
            )
            record = _get(connection, deployment)
            _remember(transaction, record)
            return record

    def set_state(
        self,
        deployment: str,
        state: DeploymentState,
        *,
        handle: Mapping[str, Any] | None = None,
        endpoints: Sequence[Mapping[str, Any]] | None = None,
        reason: str | None = None,
    ) -> DeploymentRecord:
        """Move a deployment on; return it as it is then.

        The way is ``planned``, ``deploying``, ``ready``, ``retiring``, ``retired``; steps may be left out,
        and ``failed`` may come instead. The last two end it and give its slot back. Saying what is so
        already, or what is behind it (a task that runs once more says ``deploying`` of what is
        ``ready``), changes nothing but a handle and endpoints that are given.

        :param endpoints: plain JSON, as ``{"kind": "rest", "url": "http://…"}``.
        :raises Conflict: it has ended or is being retired, or is to be deployed without a slot of a runtime.
        """
        with self._database.write() as transaction:
            known = _get(transaction.connection, deployment)
            changes: JsonObject = {}
            if handle is not None and dict(handle) != known.handle:
                changes["handle"] = dict(handle)
            if endpoints is not None and tuple(map(dict, endpoints)) != known.endpoints:
                changes["endpoints"] = [dict(endpoint) for endpoint in endpoints]
            if _moves(known, state):
                if state in ("deploying", "ready"):
                    _require_slot(transaction.connection, known, state)
                changes |= {"state": state, "reason": reason}
            return change(transaction, known, changes) if changes else known

    def get(self, deployment: str) -> DeploymentRecord:
        """One deployment.

        :raises NotFound: there is none of this id.
        """
        with self._database.read() as connection:
            return _get(connection, deployment)

    def find(self, deployment: str) -> DeploymentRecord | None:
        """One deployment, or ``None``."""
        with self._database.read() as connection:
            return _find(connection, deployment)

    def live(
        self, service: str | None = None, stage: str | None = None, mode: Mode | None = None
    ) -> list[DeploymentRecord]:
        """Deployments of which something is, or may be, on a runtime now; the oldest first."""
        return self.list(service, stage, mode, states=LIVE)

    def list(
        self,
        service: str | None = None,
        stage: str | None = None,
        mode: Mode | None = None,
        *,
        key: str | None = None,
        passage_id: str | None = None,
        runtime: str | None = None,
        purpose: Purpose | None = None,
        states: Sequence[DeploymentState] | None = None,
    ) -> list[DeploymentRecord]:
        """Deployments of any state, the oldest first."""
        columns = tables.deployments.c
        wanted = {
            columns.service: service,
            columns.stage: stage,
            columns.mode: mode,
            columns.key: key,
            columns.passage_id: passage_id,
            columns.runtime: runtime,
            columns.purpose: purpose,
        }
        condition: ColumnElement[bool] = true()
        for column, value in wanted.items():
            if value is not None:
                condition &= column == value
        if states is not None:
            condition &= columns.state.in_(states)
        with self._database.read() as connection:
            return select_deployments(connection, condition)

    def image_of(self, snapshot_digest: str, *, stream: bool = False) -> str | None:
        """The image, with its digest, that a snapshot was first ready in; ``None`` where it never was.

        Whatever is deployed of the snapshot later runs in this very image. One in which it never got ready
        binds nobody: it may have been made from a wrong base image, which was mended since.

        :param stream: the image for streams, which holds packages that others do not need.
        """
        columns = tables.deployments.c
        states = tables.deployment_states.c
        image = columns.handle["image"].as_string()
        said = columns.handle["stream"].as_string()
        of_the_kind = said.is_not(None) if stream else said.is_(None)
        was_ready = exists().where(states.deployment_id == columns.id, states.state == "ready")
        query = (
            select(image)
            .where(
                columns.snapshot_digest == snapshot_digest, image.contains("@sha256:"), of_the_kind, was_ready
            )
            .order_by(columns.created_at, columns.attempt, columns.id)
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def names_in_use(self) -> set[str]:
        """Ids of all deployments that belong on a runtime; what else is found there is an orphan."""
        columns = tables.deployments.c
        query = select(columns.id).where(columns.state.in_(("planned", *LIVE)))
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())


def change(transaction: Transaction, known: DeploymentRecord, changes: JsonObject) -> DeploymentRecord:
    """Write changed columns of a deployment, with its history, as a part of a transaction."""
    connection = transaction.connection
    connection.execute(
        update(tables.deployments)
        .where(tables.deployments.c.id == known.id)
        .values(**changes, changed_at=transaction.now)
    )
    record = _get(connection, known.id)
    if "state" in changes or "endpoints" in changes:
        _remember(transaction, record)
    if record.state in ENDED:
        release_lease(transaction, known.id)
    return record


def planned_deployments(connection: Connection, passage_id: str) -> list[DeploymentRecord]:
    """A passage's deployments of which nothing is on a runtime yet."""
    columns = tables.deployments.c
    return select_deployments(connection, and_(columns.passage_id == passage_id, columns.state == "planned"))


def _moves(known: DeploymentRecord, state: DeploymentState) -> bool:
    """Whether saying ``state`` of a deployment changes it.

    :raises Conflict: it cannot get there any more.
    """
    if state == known.state:
        return False
    if known.state in ENDED or (known.state == "retiring" and state in ("deploying", "ready")):
        if state == "retired":
            return False
        raise Conflict(
            f"Deployment {known.id} is {known.state}: it cannot become {state}.",
            mend="Declare a further attempt (clearing the task pick_runtime does).",
        )
    return state == "failed" or _WAY.index(state) > _WAY.index(known.state)


def _require_slot(connection: Connection, known: DeploymentRecord, state: DeploymentState) -> None:
    if not holds_lease(connection, known.id, known.runtime):
        raise Conflict(
            f"Deployment {known.id} holds no slot of runtime {known.runtime}, so it cannot become {state}.",
            mend="Acquire one first (the task pick_runtime does).",
        )


def _remember(transaction: Transaction, record: DeploymentRecord) -> None:
    transaction.connection.execute(
        insert(tables.deployment_states).values(
            deployment_id=record.id,
            state=record.state,
            runtime=record.runtime,
            endpoints=list(record.endpoints),
            reason=record.reason,
            at=transaction.now,
        )
    )
    details = {
        "state": record.state,
        "service": record.service,
        "stage": record.stage,
        "mode": record.mode,
        "runtime": record.runtime,
        "snapshot": record.snapshot_name,
        "passage": record.passage_id,
        "purpose": record.purpose,
        "endpoints": list(record.endpoints),
        "reason": record.reason,
    }
    append(transaction, f"deployment.{record.state}", record.id, "airlock", details)


def _get(connection: Connection, deployment: str) -> DeploymentRecord:
    found = _find(connection, deployment)
    if found is None:
        raise NotFound(f"The registry has no deployment {deployment!r}.")
    return found


def _find(connection: Connection, deployment: str) -> DeploymentRecord | None:
    found = select_deployments(connection, tables.deployments.c.id == deployment)
    return found[0] if found else None


def select_deployments(connection: Connection, condition: ColumnElement[bool]) -> list[DeploymentRecord]:
    """Deployments that meet a condition, as a part of a transaction; the oldest first."""
    snapshots = tables.snapshots
    columns = tables.deployments.c
    query = (
        select(tables.deployments, snapshots.c.model, snapshots.c.version)
        .join(snapshots, snapshots.c.digest == columns.snapshot_digest)
        .where(condition)
        .order_by(columns.created_at, columns.attempt, columns.id)
    )
    return [_record(row) for row in connection.execute(query)]


def _record(row: Row[Any]) -> DeploymentRecord:
    return DeploymentRecord(
        id=row.id,
        key=row.key,
        attempt=row.attempt,
        passage_id=row.passage_id,
        service=row.service,
        snapshot_digest=row.snapshot_digest,
        snapshot_name=f"{row.model}@{row.version}",
        stage=row.stage,
        mode=row.mode,
        runtime=row.runtime,
        purpose=row.purpose,
        state=row.state,
        handle=row.handle,
        endpoints=tuple(row.endpoints),
        reason=row.reason,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
