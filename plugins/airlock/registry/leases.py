"""Slots of runtimes, each held by one deployment at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from airlock.exceptions import Conflict, NoSuitableRuntime, RegistryError, RuntimeBusy
from airlock.registry import offers, tables
from airlock.registry.database import Database, Transaction
from airlock.registry.ledger import append
from airlock.registry.records import Lease, RuntimeRecord
from airlock.registry.runtimes import list_reasons, read_runtime, read_runtimes, why_not
from airlock.spec import Mode


class Leases:
    """Picks runtimes and counts what is taken of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(
        self,
        *,
        deployment_id: str,
        service: str,
        stage: str,
        mode: Mode,
        kinds: Collection[str] | None = None,
    ) -> RuntimeRecord:
        """Take a slot for a deployment, on the best runtime that is free; asked again, return the same one.

        A runtime that names the service beats one that takes any (``*``), then the least loaded
        one wins, then the first by name.

        :param kinds: only runtimes of these kinds.
        :raises NoSuitableRuntime: none fits; the message lists each runtime with the reasons.
        :raises RuntimeBusy: some fit, and all of them are full.
        :raises Conflict: the deployment holds a slot for another service, stage or mode.
        """
        with self._database.write() as transaction:
            connection = transaction.connection
            held = _held_by(connection, deployment_id)
            if held is not None:
                if (held.service, held.stage, held.mode) != (service, stage, mode):
                    raise Conflict(
                        f"Deployment {deployment_id} holds a slot of {held.runtime} for {held.service} "
                        f"at {held.stage} ({held.mode}), not for {service} at {stage} ({mode})."
                    )
                return read_runtime(connection, held.runtime)
            name = offers.pick(connection, stage=stage, service=service, mode=mode, kinds=kinds)
            if name is None:
                raise _refusal(connection, stage=stage, service=service, mode=mode, kinds=kinds)
            _take(transaction, name, Lease(deployment_id, name, service, stage, mode, transaction.now))
            return read_runtime(connection, name)

    def release(self, deployment_id: str) -> None:
        """Give a deployment's slot back; without one, nothing happens."""
        with self._database.write() as transaction:
            release_lease(transaction, deployment_id)

    def is_free(self, *, service: str, stage: str, mode: Mode) -> bool:
        """Whether a runtime that fits has a free slot now; who acquires it may still come too late."""
        with self._database.read() as connection:
            return offers.pick(connection, stage=stage, service=service, mode=mode) is not None

    def held(self) -> list[Lease]:
        """All slots that are taken now, the longest held first."""
        columns = tables.leases.c
        query = select(tables.leases).where(columns.released_at.is_(None)).order_by(columns.id)
        with self._database.read() as connection:
            return [_lease(row) for row in connection.execute(query)]

    def find(self, deployment_id: str) -> Lease | None:
        """The slot that a deployment holds now."""
        with self._database.read() as connection:
            return _held_by(connection, deployment_id)


def release_lease(transaction: Transaction, deployment_id: str) -> None:
    """Give a deployment's slot back, as a part of a transaction; without one, nothing happens."""
    connection = transaction.connection
    held = _held_by(connection, deployment_id)
    if held is None:
        return
    columns = tables.leases.c
    still_held = (columns.deployment_id == deployment_id) & columns.released_at.is_(None)
    connection.execute(update(tables.leases).where(still_held).values(released_at=transaction.now))
    in_use = tables.runtimes.c.in_use
    connection.execute(
        update(tables.runtimes).where(tables.runtimes.c.name == held.runtime).values(in_use=in_use - 1)
    )
    offers.refresh(connection, held.runtime)
    append(transaction, "lease.released", deployment_id, "airlock", {"runtime": held.runtime})


def holds_lease(connection: Connection, deployment_id: str, runtime: str) -> bool:
    """Whether a deployment holds a slot of this runtime."""
    held = _held_by(connection, deployment_id)
    return held is not None and held.runtime == runtime


def _take(transaction: Transaction, name: str, lease: Lease) -> None:
    runtimes = tables.runtimes.c
    taken = transaction.connection.execute(
        update(tables.runtimes)
        .where(runtimes.name == name, runtimes.in_use < runtimes.capacity)
        .values(in_use=runtimes.in_use + 1)
    )
    if taken.rowcount != 1:
        raise RegistryError(f"Runtime {name} was offered although every slot of it is taken.")
    transaction.connection.execute(
        insert(tables.leases).values(
            deployment_id=lease.deployment_id,
            runtime=name,
            service=lease.service,
            stage=lease.stage,
            mode=lease.mode,
            acquired_at=lease.acquired_at,
        )
    )
    offers.refresh(transaction.connection, name)
    details = {"runtime": name, "service": lease.service, "stage": lease.stage, "mode": lease.mode}
    append(transaction, "lease.acquired", lease.deployment_id, "airlock", details)


def _held_by(connection: Connection, deployment_id: str) -> Lease | None:
    columns = tables.leases.c
    query = select(tables.leases).where(columns.deployment_id == deployment_id, columns.released_at.is_(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else _lease(row)


def _lease(row: Row[Any]) -> Lease:
    return Lease(row.deployment_id, row.runtime, row.service, row.stage, row.mode, row.acquired_at)


def _refusal(
    connection: Connection, *, stage: str, service: str, mode: Mode, kinds: Collection[str] | None
) -> NoSuitableRuntime | RuntimeBusy:
    what = f"service {service} at {stage} ({mode})"
    full: list[tuple[str, str]] = []
    unfit: list[tuple[str, str]] = []
    for runtime in read_runtimes(connection):
        reasons = why_not(runtime, stage=stage, service=service, mode=mode, kinds=kinds)
        is_only_full = len(reasons) == 1 and runtime.in_use >= runtime.spec.capacity
        (full if is_only_full else unfit).append((runtime.name, "; ".join(reasons)))
    if full:
        return RuntimeBusy(f"Every runtime for {what} is taken:\n{list_reasons(full)}")
    if not unfit:
        return NoSuitableRuntime(
            f"No runtime for {what}: the registry knows no runtime at all.",
            mend="Describe one in include/runtimes/ and run `airlock apply include/`.",
        )
    return NoSuitableRuntime(f"No runtime for {what}:\n{list_reasons(unfit)}")
