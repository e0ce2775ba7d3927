"""To which deployments requests go, and which gateways send them there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from airlock.exceptions import Conflict
from airlock.registry import tables
from airlock.registry.database import Database
from airlock.registry.deployments import select_deployments
from airlock.registry.ledger import append
from airlock.registry.records import (
    Backend,
    DeploymentRecord,
    JsonObject,
    Mirror,
    Route,
    Routes,
    Traffic,
)
from airlock.registry.rollout_rows import select_rollouts
from airlock.registry.versions import current_versions

HEARTBEAT = timedelta(seconds=5)
"""How often a gateway says that it runs."""

_GONE_AFTER = 6 * HEARTBEAT


class TrafficRecords:
    """Directs the requests for services, and remembers where they went. No row of it is ever deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def direct(
        self,
        service: str,
        stage: str,
        shares: Mapping[str, int],
        *,
        mirror: Mirror | None = None,
        sticky: str | None = None,
        actor: str,
        reason: str,
    ) -> Traffic:
        """Send the requests for a service at a stage to these deployments. Said again, it changes nothing.

        :param shares: percent by deployment, the newest deployment first, so that a growing share keeps
            whom it had; no deployment at all ends the traffic.
        :raises Conflict: a deployment is not an online one of this service at this stage that is ready, or
            is neither that of the version in use nor on trial, or the shares are not 100 in all.
        """
        wanted = _written(shares, mirror, sticky)
        with self._database.write() as transaction:
            connection = transaction.connection
            columns = tables.traffic.c
            is_current = (columns.service == service) & (columns.stage == stage) & columns.to_time.is_(None)
            known = _find(connection, is_current)
            if known is not None and _written(known.shares, known.mirror, known.sticky) == wanted:
                return known
            _refuse_impossible(connection, service, stage, shares, mirror)
            connection.execute(update(tables.traffic).where(is_current).values(to_time=transaction.now))
            connection.execute(
                insert(tables.traffic).values(
                    service=service,
                    stage=stage,
                    actor=actor,
                    reason=reason,
                    from_time=transaction.now,
                    **wanted,
                )
            )
            append(
                transaction,
                "traffic.directed",
                service,
                actor,
                {"stage": stage, "reason": reason, **wanted},
            )
            found = _find(connection, is_current)
            assert found is not None
            return found

    def current(self, service: str, stage: str) -> Traffic | None:
        """Where requests go now; ``None`` where none ever went anywhere."""
        columns = tables.traffic.c
        with self._database.read() as connection:
            return _find(
                connection,
                (columns.service == service) & (columns.stage == stage) & columns.to_time.is_(None),
            )

    def history(self, service: str, stage: str) -> list[Traffic]:
        """Where requests went, the newest first."""
        columns = tables.traffic.c
        with self._database.read() as connection:
            return _select(connection, (columns.service == service) & (columns.stage == stage))

    # --- gateways

    def routes(self) -> Routes:
        """What gateways need: each service and stage with its deployments that are ready now.

        Where streams read, nobody sends requests, and there is no route.
        """
        with self._database.read() as connection:
            newest = connection.execute(select(func.max(tables.traffic.c.id))).scalar_one()
            found = _select(connection, tables.traffic.c.to_time.is_(None))
            ready = _ready(connection)
        backends = _backends(ready)
        streams = {deployment.id for deployment in ready if _is_stream(deployment)}
        routes = sorted(
            (
                _route(traffic, backends)
                for traffic in found
                if not traffic.shares or not traffic.shares.keys() <= streams
            ),
            key=lambda it: (it.service, it.stage),
        )
        return Routes(newest or 0, tuple(routes))

    def follow(self, gateway: str, traffic_id: int, *, unanswered: Mapping[str, int] | None = None) -> None:
        """Remember that a gateway runs, and which traffic it follows by now.

        :param unanswered: requests that deployments have left without an answer since it was said last.
        """
        gateways, counts = tables.gateways.c, tables.unanswered_requests.c
        with self._database.write() as transaction:
            connection = transaction.connection
            seen = {"traffic_id": traffic_id, "seen_at": transaction.now}
            changed = connection.execute(
                update(tables.gateways).where(gateways.name == gateway).values(**seen)
            )
            if changed.rowcount == 0:
                connection.execute(insert(tables.gateways).values(name=gateway, **seen))
            for deployment, count in (unanswered or {}).items():
                if count <= 0:
                    continue
                key = {"gateway": gateway, "deployment_id": deployment}
                added = connection.execute(
                    update(tables.unanswered_requests)
                    .where(counts.gateway == gateway, counts.deployment_id == deployment)
                    .values(count=counts.count + count)
                )
                if added.rowcount == 0:
                    connection.execute(insert(tables.unanswered_requests).values(count=count, **key))

    def unanswered(self, deployment: str) -> int:
        """How many requests a deployment has ever left without an answer, as all gateways have seen it."""
        counts = tables.unanswered_requests.c
        with self._database.read() as connection:
            total = select(func.sum(counts.count)).where(counts.deployment_id == deployment)
            return connection.execute(total).scalar_one() or 0

    def leave(self, gateway: str) -> None:
        """Forget a gateway that ends."""
        with self._database.write() as transaction:
            transaction.connection.execute(delete(tables.gateways).where(tables.gateways.c.name == gateway))

    def behind(self, traffic: Traffic, now: datetime) -> Sequence[str]:
        """Gateways that run and do not follow this traffic yet."""
        columns = tables.gateways.c
        query = (
            select(columns.name)
            .where(columns.traffic_id < traffic.id, columns.seen_at > now - _GONE_AFTER)
            .order_by(columns.name)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())


def _refuse_impossible(
    connection: Connection, service: str, stage: str, shares: Mapping[str, int], mirror: Mirror | None
) -> None:
    if shares and (sum(shares.values()) != 100 or min(shares.values()) < 0):
        raise Conflict(f"The shares of {service} in {stage} are {dict(shares)}: that is not 100 percent.")
    if mirror is not None and not 0 < mirror.percent <= 100:
        raise Conflict(f"{mirror.percent} percent of the requests cannot be copied.")
    names = {*shares, *([mirror.deployment_id] if mirror else [])}
    ready = {row.id for row in _ready(connection) if (row.service, row.stage) == (service, stage)}
    for name in sorted(names - ready):
        raise Conflict(
            f"{name} cannot take requests for {service} in {stage}: "
            "it is no online deployment there that is ready.",
            mend="Deploy it first (the task deploy of the stage does).",
        )
    _refuse_ended(connection, service, stage, names)


def _refuse_ended(connection: Connection, service: str, stage: str, names: Collection[str]) -> None:
    """Refuse requests to versions that are neither in use nor on trial, where a version is in use.

    Whoever directs traffic has looked before, and been slow perhaps: meanwhile people have ended the rollout,
    or gone back to another version, and were told so.
    """
    in_use = current_versions(connection, service, stage, "online")
    if not in_use or in_use[0].deployment_id is None:
        return
    columns = tables.rollouts.c
    is_under_way = and_(columns.service == service, columns.stage == stage, columns.outcome.is_(None))
    on_trial = {rollout.deployment_id for rollout in select_rollouts(connection, is_under_way)}
    for name in sorted(set(names) - on_trial - {in_use[0].deployment_id}):
        raise Conflict(
            f"{name} cannot take requests for {service} in {stage}: {in_use[0].snapshot_name} is the version "
            "in use there, and no rollout of this deployment is under way.",
            mend="Promote its snapshot.",
        )


def _ready(connection: Connection) -> list[DeploymentRecord]:
    columns = tables.deployments.c
    return select_deployments(connection, and_(columns.mode == "online", columns.state == "ready"))


def _is_stream(deployment: DeploymentRecord) -> bool:
    return any(endpoint["kind"] == "kafka" for endpoint in deployment.endpoints)


def _backends(ready: Sequence[DeploymentRecord]) -> dict[str, Backend]:
    return {
        deployment.id: Backend(
            deployment_id=deployment.id,
            snapshot_name=deployment.snapshot_name,
            url=endpoint["url"],
            inside=endpoint.get("inside") or endpoint["url"],
            percent=100,
        )
        for deployment in ready
        for endpoint in deployment.endpoints
        if endpoint["kind"] == "rest"
    }


def _route(traffic: Traffic, ready: Mapping[str, Backend]) -> Route:
    mirror = traffic.mirror
    return Route(
        service=traffic.service,
        stage=traffic.stage,
        backends=tuple(
            replace(ready[name], percent=percent) for name, percent in traffic.shares.items() if name in ready
        ),
        mirror=replace(ready[mirror.deployment_id], percent=mirror.percent)
        if mirror is not None and mirror.deployment_id in ready
        else None,
        sticky=traffic.sticky,
    )


def _written(shares: Mapping[str, int], mirror: Mirror | None, sticky: str | None) -> JsonObject:
    return {
        "shares": [{"deployment": name, "percent": percent} for name, percent in shares.items()],
        "mirror": mirror and {"deployment": mirror.deployment_id, "percent": mirror.percent},
        "sticky": sticky,
    }


def _find(connection: Connection, condition: ColumnElement[bool]) -> Traffic | None:
    found = _select(connection, condition)
    return found[0] if found else None


def _select(connection: Connection, condition: ColumnElement[bool]) -> list[Traffic]:
    query = select(tables.traffic).where(condition).order_by(tables.traffic.c.id.desc())
    return [
        Traffic(
            id=row.id,
            service=row.service,
            stage=row.stage,
            shares={share["deployment"]: share["percent"] for share in row.shares},
            mirror=row.mirror and Mirror(row.mirror["deployment"], row.mirror["percent"]),
            sticky=row.sticky,
            actor=row.actor,
            reason=row.reason,
            from_time=row.from_time,
            to_time=row.to_time,
        )
        for row in connection.execute(query)
    ]
