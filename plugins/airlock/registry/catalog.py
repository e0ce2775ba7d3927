"""What ``include/`` says, as it was last applied, and how the runtimes in it are doing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, and_, delete, insert, select, update

from airlock.exceptions import Conflict, NotFound
from airlock.registry import offers, tables
from airlock.registry.database import Database, Transaction
from airlock.registry.ledger import Event, append, append_all
from airlock.registry.records import Change, JsonObject, RuntimeRecord
from airlock.registry.runtimes import read_runtime, read_runtimes
from airlock.spec import Lifecycle, Policy, Roles, RuntimeSpec, Service, Spec, digest

if TYPE_CHECKING:
    from airlock.spec.load import Include

Kind = Literal["lifecycle", "service", "runtime", "policy", "roles"]
Key = tuple[Kind, str]

_PLACE = ("engine", "project", "namespace")
"""Options that say where a runtime is."""

_LEAVING = "no longer in the files of include/"
"""Why ``apply`` cordons a runtime that it cannot remove yet; the reason by which it finds it again."""


class Catalog:
    """Life cycles, services, policies, roles and runtimes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, include: Include) -> list[Change]:
        """Say what :meth:`apply` would do; nothing is done.

        :raises Conflict: a runtime in use is to be another place.
        """
        with self._database.read() as connection:
            return _plan(connection, include)

    def apply(self, include: Include, *, by: str) -> list[Change]:
        """Make the registry say what the files say; return what that took, unchanged entries included.

        A runtime that is in use is not removed: it is cordoned, so that an ``apply`` after its last
        deployment has ended removes it.

        :raises Conflict: a runtime in use is to be another place.
        """
        specs = _specs(include)
        with self._database.write() as transaction:
            plan = _plan(transaction.connection, include)
            changes = [change for change in plan if change.action != "same"]
            _add_runtimes(transaction.connection, changes, specs)
            for change in changes:
                if change.kind != "runtime":
                    _apply_specification(transaction, change, by)
                elif change.action != "add":
                    _apply_runtime(transaction, change, specs.get((change.kind, change.name)), by)
            append_all(transaction, [_event(change, by) for change in changes])
            return plan

    def policy(self, stage: str) -> Policy:
        """The rules of entering a stage; a stage without a policy asks nobody."""
        found = self._spec("policy", stage)
        return Policy(stage=stage) if found is None else Policy.model_validate(found)

    def roles(self) -> Roles:
        """Who has which role; nobody has any before the first ``apply``."""
        found = self._spec("roles", "roles")
        return Roles() if found is None else Roles.model_validate(found)

    def service(self, name: str) -> Service:
        """One service.

        :raises NotFound: there is none of this name.
        """
        return Service.model_validate(self._require("service", name))

    def services(self) -> list[Service]:
        """All services, by name."""
        return [Service.model_validate(spec) for spec in self._specs_of("service")]

    def lifecycle(self, name: str) -> Lifecycle:
        """One life cycle.

        :raises NotFound: there is none of this name.
        """
        return Lifecycle.model_validate(self._require("lifecycle", name))

    def runtimes(self) -> list[RuntimeRecord]:
        """All runtimes, by name."""
        with self._database.read() as connection:
            return read_runtimes(connection)

    def runtime(self, name: str) -> RuntimeRecord:
        """One runtime.

        :raises NotFound: there is none of this name.
        """
        with self._database.read() as connection:
            return read_runtime(connection, name)

    def set_health(self, name: str, ok: bool, message: str = "") -> RuntimeRecord:
        """Remember what a look at a runtime found. An unhealthy one takes no new work."""
        with self._database.write() as transaction:
            connection = transaction.connection
            known = read_runtime(connection, name)
            connection.execute(
                update(tables.runtimes)
                .where(tables.runtimes.c.name == name)
                .values(healthy=ok, health_message=message, health_at=transaction.now)
            )
            if known.health.ok != ok:
                offers.refresh(connection, name)
                append(transaction, "runtime.health", name, "airlock", {"ok": ok, "message": message})
            return read_runtime(connection, name)

    def cordon(self, name: str, cordoned: bool, by: str, reason: str = "") -> RuntimeRecord:
        """Let a runtime take no new work, or (``False``) let it take work again. What runs goes on."""
        with self._database.write() as transaction:
            connection = transaction.connection
            known = read_runtime(connection, name)
            wanted = (cordoned, by if cordoned else "", reason if cordoned else "")
            if known.cordoned != cordoned or (cordoned and known.cordon_reason != reason):
                _cordon(transaction, name, *wanted)
                event = "runtime.cordoned" if cordoned else "runtime.uncordoned"
                append(transaction, event, name, by, {"reason": reason})
            return read_runtime(connection, name)

    def cleaned(self, name: str, removed: Sequence[str], *, by: str) -> None:
        """Remember what somebody had removed from a runtime, because nothing needed it any more."""
        if removed:
            with self._database.write() as transaction:
                append(transaction, "runtime.cleaned", name, by, {"removed": list(removed)})

    def _spec(self, kind: Kind, name: str) -> JsonObject | None:
        columns = tables.specifications.c
        query = select(columns.spec).where(columns.kind == kind, columns.name == name)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _specs_of(self, kind: Kind) -> list[JsonObject]:
        columns = tables.specifications.c
        query = select(columns.spec).where(columns.kind == kind).order_by(columns.name)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def _require(self, kind: Kind, name: str) -> JsonObject:
        found = self._spec(kind, name)
        if found is not None:
            return found
        columns = tables.specifications.c
        with self._database.read() as connection:
            known = list(connection.execute(select(columns.name).where(columns.kind == kind)).scalars())
        near = difflib.get_close_matches(name, known, n=3)
        mend = (
            f"Did you mean {', '.join(near)}?" if near else "Write its file and run `airlock apply include/`."
        )
        raise NotFound(f"The registry has no {kind} {name!r}.", mend=mend)


def _specs(include: Include) -> dict[Key, Spec]:
    named: Mapping[Kind, Mapping[str, Spec]] = {
        "lifecycle": include.lifecycles,
        "service": include.services,
        "policy": include.policies,
        "runtime": include.runtimes,
        "roles": {"roles": include.roles},
    }
    return {(kind, name): spec for kind, specs in named.items() for name, spec in specs.items()}


def _plan(connection: Connection, include: Include) -> list[Change]:
    wanted = {key: spec.model_dump(mode="json") for key, spec in _specs(include).items()}
    known = {(row.kind, row.name): row.spec for row in connection.execute(select(tables.specifications))}
    runtimes = {runtime.name: runtime for runtime in read_runtimes(connection)}
    known |= {("runtime", name): runtime.spec.model_dump(mode="json") for name, runtime in runtimes.items()}
    changes = []
    for kind, name in sorted(wanted.keys() | known.keys()):
        before, after = known.get((kind, name)), wanted.get((kind, name))
        runtime = runtimes.get(name) if kind == "runtime" else None
        is_leaving = runtime is not None and runtime.cordoned and runtime.cordon_reason == _LEAVING
        note = ""
        action: Literal["add", "change", "remove", "same"]
        if before is None:
            action = "add"
        elif after is None:
            action = "remove"
            if runtime is not None and runtime.in_use:
                note = f"{runtime.in_use} of its slots are in use: cordoned now, removed by a later apply"
                action = "same" if is_leaving else "remove"
        else:
            if runtime is not None and runtime.in_use:
                _require_same_place(name, before, after)
            action = "change" if before != after or is_leaving else "same"
        changes.append(Change(kind, name, action, before, after, note))
    return changes


def _require_same_place(name: str, before: JsonObject, after: JsonObject) -> None:
    options, wanted = before["options"], after["options"]
    changed = [key for key in _PLACE if options.get(key) != wanted.get(key)]
    if before["kind"] != after["kind"]:
        changed = ["kind"]
    if changed:
        raise Conflict(
            f"Runtime {name} is in use, and another {' and '.join(changed)} would make it another place: "
            "what runs there now could not be reached any more.",
            mend="Give the new place a name and a file of its own. The old one takes no new work once its "
            "file is gone, and is removed by an apply after its last deployment has ended.",
        )


def _event(change: Change, by: str) -> Event:
    details = {
        "before": change.before and digest(change.before),
        "after": change.after and digest(change.after),
        "spec": change.after,
        "note": change.note,
    }
    return Event(f"catalog.{change.action}", f"{change.kind}/{change.name}", by, details)


def _apply_specification(transaction: Transaction, change: Change, by: str) -> None:
    columns = tables.specifications.c
    same = and_(columns.kind == change.kind, columns.name == change.name)
    transaction.connection.execute(delete(tables.specifications).where(same))
    if change.after is not None:
        transaction.connection.execute(
            insert(tables.specifications).values(
                kind=change.kind,
                name=change.name,
                digest=digest(change.after),
                spec=change.after,
                applied_by=by,
                applied_at=transaction.now,
            )
        )


def _add_runtimes(connection: Connection, changes: Sequence[Change], specs: Mapping[Key, Spec]) -> None:
    added = [specs[change.kind, change.name] for change in changes if change.action == "add"]
    runtimes = [spec for spec in added if isinstance(spec, RuntimeSpec)]
    if runtimes:
        rows = [{"name": spec.runtime, **_columns(spec)} for spec in runtimes]
        connection.execute(insert(tables.runtimes), rows)
        offers.lay_out(connection, runtimes)


def _apply_runtime(transaction: Transaction, change: Change, spec: Spec | None, by: str) -> None:
    connection, name = transaction.connection, change.name
    is_it = tables.runtimes.c.name == name
    if isinstance(spec, RuntimeSpec):
        connection.execute(update(tables.runtimes).where(is_it).values(_columns(spec)))
        if read_runtime(connection, name).cordon_reason == _LEAVING:
            _cordon(transaction, name, False, "", "")
        offers.rewrite(connection, spec)
    elif change.note:
        _cordon(transaction, name, True, by, _LEAVING)
    else:
        offers.withdraw(connection, name)
        connection.execute(delete(tables.runtimes).where(is_it))


def _columns(spec: RuntimeSpec) -> JsonObject:
    return {
        "kind": spec.kind,
        "spec": spec.model_dump(mode="json"),
        "digest": spec.digest,
        "capacity": spec.capacity,
    }


def _cordon(transaction: Transaction, name: str, cordoned: bool, by: str, reason: str) -> None:
    transaction.connection.execute(
        update(tables.runtimes)
        .where(tables.runtimes.c.name == name)
        .values(cordoned=cordoned, cordoned_by=by, cordon_reason=reason)
    )
    offers.refresh(transaction.connection, name)
