"""What runtimes offer, laid out so that picking one among thousands reads one entry of an index."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import product

from sqlalchemy import Connection, delete, insert, literal_column, select, union_all, update

from airlock.registry import tables
from airlock.spec import RuntimeSpec


def pick(
    connection: Connection, *, stage: str, service: str, mode: str, kinds: Collection[str] | None = None
) -> str | None:
    """Name the free runtime to use: one with the service's own tag, the least loaded, the first by name."""
    offers = tables.runtime_offers.c
    choices = []
    for rank, tag in enumerate((service, "*")):
        best = (
            select(offers.runtime, literal_column(str(rank)).label("rank"))
            .where(offers.stage == stage, offers.mode == mode, offers.service == tag, offers.free.is_(True))
            .order_by(offers.load, offers.runtime)
            .limit(1)
        )
        if kinds is not None:
            best = best.where(offers.kind.in_(kinds))
        choices.append(select(best.subquery()))
    both = union_all(*choices).subquery()
    return connection.execute(select(both.c.runtime).order_by(both.c.rank).limit(1)).scalar_one_or_none()


def lay_out(connection: Connection, specs: Iterable[RuntimeSpec]) -> None:
    """Lay out the tags of runtimes that are new, healthy and empty."""
    rows = [
        {
            "runtime": spec.runtime,
            "stage": stage,
            "service": service,
            "mode": mode,
            "kind": spec.kind,
            "free": True,
            "load": 0.0,
        }
        for spec in specs
        for stage, service, mode in product(spec.stages, spec.services, spec.modes)
    ]
    connection.execute(insert(tables.runtime_offers), rows)


def rewrite(connection: Connection, spec: RuntimeSpec) -> None:
    """Lay out a runtime's tags anew, after they have changed."""
    withdraw(connection, spec.runtime)
    lay_out(connection, [spec])
    refresh(connection, spec.runtime)


def refresh(connection: Connection, name: str) -> None:
    """Bring load and freedom up to date, after anything about the runtime has changed."""
    row = connection.execute(select(tables.runtimes).where(tables.runtimes.c.name == name)).one()
    connection.execute(
        update(tables.runtime_offers)
        .where(tables.runtime_offers.c.runtime == name)
        .values(
            free=row.healthy and not row.cordoned and row.in_use < row.capacity,
            load=row.in_use / row.capacity,
        )
    )


def withdraw(connection: Connection, name: str) -> None:
    """Offer the runtime no more."""
    connection.execute(delete(tables.runtime_offers).where(tables.runtime_offers.c.runtime == name))
