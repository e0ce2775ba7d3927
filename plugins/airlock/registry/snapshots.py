"""The snapshots the registry knows: which version of which model, for which services."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, and_, false, func, insert, select, true

from airlock.exceptions import Conflict, IntegrityError, NotFound
from airlock.registry import tables
from airlock.registry.database import Database, Transaction
from airlock.registry.ledger import append
from airlock.registry.records import JsonObject, SnapshotRecord
from airlock.spec.digest import digest as digest_of


class Snapshots:
    """Snapshots by digest, by name (``model@3``), by model and by service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, manifest_json: JsonObject, digest: str, *, by: str, services: Collection[str] = ()
    ) -> SnapshotRecord:
        """Take in a snapshot under the next version number of its model.

        A digest that is here already keeps its version, its author and its time.

        :param services: model services it may serve besides those its manifest names; new ones are added.
        :raises IntegrityError: ``digest`` is not that of the manifest.
        """
        if digest_of(manifest_json) != digest:
            raise IntegrityError(
                f"The manifest of {manifest_json.get('model')} does not have the digest {digest}.",
                mend="Make the snapshot again.",
            )
        tags = {*manifest_json["services"], *services}
        with self._database.write() as transaction:
            found = _select(transaction.connection, tables.snapshots.c.digest == digest)
            if not found:
                _insert(transaction, manifest_json, digest, by)
            new_tags = sorted(tags - set(found[0].services if found else ()))
            if new_tags:
                rows = [{"digest": digest, "service": service} for service in new_tags]
                transaction.connection.execute(insert(tables.snapshot_services), rows)
            snapshot = _select(transaction.connection, tables.snapshots.c.digest == digest)[0]
            if not found or new_tags:
                event = "snapshot.tagged" if found else "snapshot.created"
                append(transaction, event, snapshot.name, by, {"digest": digest, "services": new_tags})
            return snapshot

    def get(self, ref: str) -> SnapshotRecord:
        """Find a snapshot by ``model@3``, by digest (``sha256:`` and 12 digits or more), or a model's newest.

        :raises NotFound: there is none; the message names what is near.
        :raises Conflict: the digits are the beginning of more than one digest.
        """
        columns = tables.snapshots.c
        model, at_sign, version = ref.partition("@")
        if ref.startswith("sha256:"):
            condition = columns.digest.startswith(ref, autoescape=True)
            enough = len(ref) >= len("sha256:") + 12
        elif at_sign:
            enough = version.isdecimal() and len(version) < 10
            condition = and_(columns.model == model, columns.version == int(version) if enough else false())
        else:
            condition, enough = columns.model == ref, True
        with self._database.read() as connection:
            found = _select(connection, condition, limit=2) if enough else []
            if not found:
                raise _not_found(connection, ref, model)
        if ref.startswith("sha256:") and len(found) > 1:
            raise Conflict(f"More than one snapshot's digest begins with {ref}.", mend="Give more digits.")
        return found[0]

    def newest(self, service: str) -> SnapshotRecord | None:
        """The snapshot that was made last for a service."""
        with self._database.read() as connection:
            found = _select(connection, _serves(service), limit=1)
        return found[0] if found else None

    def list(self, service: str | None = None, model: str | None = None) -> list[SnapshotRecord]:
        """Snapshots, the newest first."""
        condition: ColumnElement[bool] = true()
        if service is not None:
            condition = and_(condition, _serves(service))
        if model is not None:
            condition = and_(condition, tables.snapshots.c.model == model)
        with self._database.read() as connection:
            return _select(connection, condition)


def _insert(transaction: Transaction, manifest: JsonObject, digest: str, by: str) -> None:
    columns = tables.snapshots.c
    newest = select(func.coalesce(func.max(columns.version), 0)).where(columns.model == manifest["model"])
    transaction.connection.execute(
        insert(tables.snapshots).values(
            digest=digest,
            model=manifest["model"],
            version=transaction.connection.execute(newest).scalar_one() + 1,
            manifest=manifest,
            created_by=by,
            created_at=transaction.now,
        )
    )


def _serves(service: str) -> ColumnElement[bool]:
    tags = tables.snapshot_services.c
    return tables.snapshots.c.digest.in_(select(tags.digest).where(tags.service == service))


def _select(
    connection: Connection, condition: ColumnElement[bool], limit: int | None = None
) -> list[SnapshotRecord]:
    columns = tables.snapshots.c
    newest_first = (columns.created_at.desc(), columns.version.desc())
    query = select(tables.snapshots).where(condition).order_by(*newest_first).limit(limit)
    rows = connection.execute(query).all()
    tags = tables.snapshot_services.c
    services: dict[str, list[str]] = {row.digest: [] for row in rows}
    for row in connection.execute(select(tags.digest, tags.service).where(tags.digest.in_(services))):
        services[row.digest].append(row.service)
    return [
        SnapshotRecord(
            digest=row.digest,
            model=row.model,
            version=row.version,
            services=tuple(sorted(services[row.digest])),
            modes=tuple(row.manifest["modes"]),
            manifest=row.manifest,
            created_by=row.created_by,
            created_at=row.created_at,
        )
        for row in rows
    ]


def _not_found(connection: Connection, ref: str, model: str) -> NotFound:
    columns = tables.snapshots.c
    versions: dict[str, list[int]] = {}
    for row in connection.execute(select(columns.model, columns.version).order_by(columns.version)):
        versions.setdefault(row.model, []).append(row.version)
    message = f"The registry has no snapshot {ref!r}."
    if model in versions:
        known = ", ".join(f"{model}@{version}" for version in versions[model][-10:])
        return NotFound(message, mend=f"It has {known}.")
    near = difflib.get_close_matches(model, versions, n=3)
    if near:
        names = ", ".join(f"{name}@{versions[name][-1]}" for name in near)
        return NotFound(message, mend=f"Did you mean {names}?")
    return NotFound(message, mend="`airlock snapshot list` shows what there is.")
