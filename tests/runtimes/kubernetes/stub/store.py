"""The objects of the cluster: every change goes through here, with versions, managers and finalizers."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from . import fields, schema
from .answers import Refusal, already_exists, conflict, not_found
from .naming import random_suffix
from .resources import BY_PLURAL, Object, Resource

Key = tuple[Resource, str, str]
"""Resource, namespace (empty for those of the cluster) and name."""

Manager = tuple[str, str, str]
"""Name, operation (``Apply``, ``Update``) and subresource."""

CONTROLLERS = "kube-controller-manager"

Check = Callable[["Store", Resource, Object, Object | None], None]
"""Told an object that is about to be stored and the one that it replaces; refuses by raising."""

_KEPT_CHANGES = 20_000


def now() -> str:
    """The time, as objects hold it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """All objects, and the changes to them.

    :param prepare: fills in defaults.
    :param check: refuses what may not be.
    """

    def __init__(self, *, prepare: Callable[[Resource, Object], None], check: Check) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1000
        self.changes: list[tuple[int, str, Resource, Object]] = []
        self._objects: dict[Key, Object] = {}
        self._owners: dict[str, dict[Manager, frozenset[fields.Path]]] = {}
        self._prepare = prepare
        self._check = check

    # --- reading

    def find(self, resource: Resource | str, namespace: str, name: str) -> Object | None:
        """One object, which must not be changed, or ``None``."""
        with self.lock:
            return self._objects.get((_resource(resource), namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """:raises Refusal: there is none."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def all(self, resource: Resource | str, namespace: str | None = None) -> list[Object]:
        """Every object of a kind, by name."""
        wanted = _resource(resource)
        with self.lock:
            return [
                document
                for (of, where, _), document in sorted(self._objects.items(), key=lambda item: item[0][1:])
                if of is wanted and (namespace is None or where == namespace)
            ]

    def everything(self) -> Iterator[tuple[Key, Object]]:
        """All objects of all kinds."""
        with self.lock:
            return iter([*self._objects.items()])

    # --- writing

    def create(
        self,
        resource: Resource | str,
        namespace: str,
        document: Object,
        manager: str,
        *,
        dry_run: bool = False,
    ) -> Object:
        """Store a new object.

        :raises Refusal: it is there already, or may not be.
        """
        resource = _resource(resource)
        with self.lock:
            made = copy.deepcopy(document)
            metadata = made.setdefault("metadata", {})
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + random_suffix()
            name = metadata.get("name", "")
            if (resource, namespace, name) in self._objects:
                raise already_exists(resource, name)
            self._begin(resource, namespace, made)
            owners = {(manager, "Update", ""): frozenset(fields.leaves(made, schema.of_kind(resource)))}
            return self._admit(resource, made, None, owners, dry_run=dry_run)

    def _begin(self, resource: Resource, namespace: str, made: Object) -> None:
        made |= {"apiVersion": resource.api_version, "kind": resource.kind}
        made["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
        if resource.namespaced:
            made["metadata"]["namespace"] = namespace
        if "status" in resource.subresources and resource.plural != "namespaces":
            made.pop("status", None)

    def update(
        self,
        resource: Resource | str,
        document: Object,
        manager: str = CONTROLLERS,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Replace an object, or its status.

        :raises Refusal: it is gone, was changed by others since it was read, or may not be so.
        """
        resource = _resource(resource)
        with self.lock:
            metadata = document["metadata"]
            before = self.get(resource, metadata.get("namespace", ""), metadata["name"])
            if metadata.get("resourceVersion") not in (None, "", before["metadata"]["resourceVersion"]):
                raise conflict(
                    resource,
                    metadata["name"],
                    "the object has been modified; please apply your changes to the latest version and "
                    "try again",
                )
            if metadata.get("uid") not in (None, "", before["metadata"]["uid"]):
                raise conflict(
                    resource,
                    metadata["name"],
                    "Precondition failed: UID in precondition differs from UID in object meta",
                )
            after = _taken_over(resource, before, document, subresource)
            owners = self._after_update(resource, before, after, (manager, "Update", subresource))
            return self._admit(resource, after, before, owners, dry_run=dry_run)

    def apply(
        self,
        resource: Resource,
        namespace: str,
        configuration: Object,
        manager: str,
        *,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> tuple[Object, bool]:
        """Server-side apply; also says whether the object is new.

        :raises Refusal: other managers own what would be changed, or it may not be.
        """
        with self.lock:
            name = configuration["metadata"]["name"]
            schema.validate(resource, configuration)
            before = self._objects.get((resource, namespace, name))
            identity: Manager = (manager, "Apply", subresource)
            in_order = fields.owned(configuration, schema.of_kind(resource))
            wanted = frozenset(in_order)
            if before is None:
                made: Object = {"metadata": {"name": name}}
                for path in in_order:
                    fields.put(made, configuration, path)
                self._begin(resource, namespace, made)
                return self._admit(resource, made, None, {identity: wanted}, dry_run=dry_run), True
            after = copy.deepcopy(before)
            uid = configuration["metadata"].get("uid")
            if uid not in (None, "", before["metadata"]["uid"]):
                raise conflict(
                    resource, name, "Precondition failed: UID in precondition differs from UID in object meta"
                )
            owners = dict(self._owners[before["metadata"]["uid"]])
            if configuration["metadata"].get("resourceVersion") not in (
                *(None, ""),
                before["metadata"]["resourceVersion"],
            ):
                raise conflict(
                    resource, name, "the object has been modified; please apply your changes again"
                )
            self._settle_conflicts(resource, before, configuration, wanted, owners, identity, force=force)
            dropped = owners.get(identity, frozenset()) - wanted
            owners[identity] = wanted
            others = {path for paths in owners.values() for path in paths}
            # Whole items first: without its key nobody would know an item again.
            for path in sorted(dropped, key=lambda path: (path[-1] != ".", len(path))):
                beneath = path[:-1] if path[-1] == "." else path
                if not any(other[: len(beneath)] == beneath for other in others):
                    fields.remove(after, path)
            fields.prune_empty(after, dropped)
            for path in in_order:
                fields.put(after, configuration, path)
            return self._admit(resource, after, before, owners, dry_run=dry_run), False

    def _settle_conflicts(
        self,
        resource: Resource,
        before: Object,
        configuration: Object,
        wanted: frozenset[fields.Path],
        owners: dict[Manager, frozenset[fields.Path]],
        identity: Manager,
        *,
        force: bool,
    ) -> None:
        clashes: dict[Manager, set[fields.Path]] = {}
        for other, paths in owners.items():
            if other == identity:
                continue
            for path in wanted & paths:
                if path[-1] != "." and fields.at(before, path) != fields.at(configuration, path):
                    clashes.setdefault(other, set()).add(path)
        if clashes and not force:
            told = [
                f'conflict with "{other[0]}"'
                + ("" if other[1] == "Apply" else f" using {resource.api_version}")
                + ": "
                + ".".join(["", *(step[2:] for step in path)])
                for other, clashing in clashes.items()
                for path in sorted(clashing)
            ]
            count = f"{len(told)} conflict{'s' if len(told) > 1 else ''}"
            raise Refusal(409, "Conflict", f"Apply failed with {count}: {', '.join(told)}")
        for other, clashing in clashes.items():
            owners[other] = owners[other] - clashing

    def _after_update(
        self, resource: Resource, before: Object, after: Object, manager: Manager
    ) -> dict[Manager, frozenset[fields.Path]]:
        kind = schema.of_kind(resource)
        old, new = fields.leaves(before, kind), fields.leaves(after, kind)
        changed = {path for path, value in new.items() if path not in old or old[path] != value}
        gone = set(old) - set(new)
        owners = {
            other: frozenset(paths - gone - (changed if other != manager else set()))
            for other, paths in self._owners[before["metadata"]["uid"]].items()
        }
        owners[manager] = frozenset(owners.get(manager, frozenset()) | changed)
        return {other: paths for other, paths in owners.items() if paths}

    def _admit(
        self,
        resource: Resource,
        after: Object,
        before: Object | None,
        owners: dict[Manager, frozenset[fields.Path]],
        *,
        dry_run: bool,
    ) -> Object:
        self._prepare(resource, after)
        metadata = after["metadata"]
        schema.validate(resource, after)
        self._check(self, resource, after, before)
        if before is not None:
            if _content(before) == _content(after):
                return before
            unchanged = ("metadata", "status")
            if {k: v for k, v in before.items() if k not in unchanged} != {
                k: v for k, v in after.items() if k not in unchanged
            }:
                metadata["generation"] = before["metadata"].get("generation", 1) + 1
        metadata["managedFields"] = [
            {
                "manager": name,
                "operation": operation,
                "apiVersion": resource.api_version,
                "time": now(),
                "fieldsType": "FieldsV1",
                "fieldsV1": fields.to_fields_v1(paths),
                **({"subresource": subresource} if subresource else {}),
            }
            for (name, operation, subresource), paths in owners.items()
        ]
        if dry_run:
            return after
        self._owners[metadata["uid"]] = owners
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and _may_go(resource, after):
            return self._drop(resource, after)
        self._commit(resource, after, "MODIFIED" if before else "ADDED")
        return after

    def delete(
        self,
        resource: Resource | str,
        namespace: str,
        name: str,
        *,
        policy: str = "Background",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Delete an object, or begin to where finalizers or a grace period are waited for.

        :raises Refusal: there is none.
        """
        resource = _resource(resource)
        with self.lock:
            before = self.get(resource, namespace, name)
            if dry_run:
                return before
            after = copy.deepcopy(before)
            metadata = after["metadata"]
            waits = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
            if waits and waits not in metadata.get("finalizers", []):
                metadata["finalizers"] = [*metadata.get("finalizers", []), waits]
            grace = _grace(resource, after, grace_seconds)
            metadata.setdefault("deletionTimestamp", now())
            if resource.plural == "pods" or "deletionGracePeriodSeconds" not in metadata:
                metadata["deletionGracePeriodSeconds"] = min(
                    grace, metadata.get("deletionGracePeriodSeconds", grace)
                )
            if not metadata.get("finalizers") and _may_go(resource, after):
                return self._drop(resource, after)
            if _content(before) != _content(after):
                metadata["generation"] = metadata.get("generation", 1) + 1
                self._commit(resource, after, "MODIFIED")
            return after

    def _commit(self, resource: Resource, document: Object, change: str) -> None:
        self.version += 1
        metadata = document["metadata"]
        metadata["resourceVersion"] = str(self.version)
        self._objects[(resource, metadata.get("namespace", ""), metadata["name"])] = document
        self._tell(change, resource, document)

    def _drop(self, resource: Resource, document: Object) -> Object:
        metadata = document["metadata"]
        self._objects.pop((resource, metadata.get("namespace", ""), metadata["name"]), None)
        self._owners.pop(metadata["uid"], None)
        self.version += 1
        last = {**document, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        self._tell("DELETED", resource, last)
        return document

    def _tell(self, change: str, resource: Resource, document: Object) -> None:
        self.changes.append((self.version, change, resource, document))
        del self.changes[:-_KEPT_CHANGES]
        self.changed.notify_all()

    # --- for controllers

    def set_status(
        self, resource: Resource | str, document: Object, status: Object, manager: str = CONTROLLERS
    ) -> None:
        """Write an object's status; an object that is gone needs none."""
        resource = _resource(resource)
        with self.lock:
            metadata = document["metadata"]
            found = self.find(resource, metadata.get("namespace", ""), metadata["name"])
            if found is not None and found["metadata"]["uid"] == metadata["uid"]:
                self.update(
                    resource, {**_unversioned(found), "status": status}, manager, subresource="status"
                )

    def edit(self, resource: Resource | str, document: Object, change: Callable[[Object], Any]) -> None:
        """Change an object as it is now; an object that is gone is left alone."""
        resource = _resource(resource)
        with self.lock:
            metadata = document["metadata"]
            found = self.find(resource, metadata.get("namespace", ""), metadata["name"])
            if found is not None and found["metadata"]["uid"] == metadata["uid"]:
                edited = copy.deepcopy(_unversioned(found))
                change(edited)
                self.update(resource, edited)

    def drop(self, resource: Resource | str, document: Object) -> None:
        """Take an object away at once, as a node does with a pod that has ended."""
        resource = _resource(resource)
        metadata = document["metadata"]
        with self.lock:
            found = self.find(resource, metadata.get("namespace", ""), metadata["name"])
            if found is not None and found["metadata"]["uid"] == metadata["uid"]:
                self.delete(resource, metadata.get("namespace", ""), metadata["name"], grace_seconds=0)

    def event(self, about: Object, kind: str, reason: str, message: str, component: str) -> None:
        """Record an event; the same one again is counted."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        with self.lock:
            for found in self.all("events", namespace):
                same = (found["involvedObject"].get("uid"), found["reason"], found["message"])
                if same == (metadata["uid"], reason, message):
                    again = copy.deepcopy(_unversioned(found))
                    again |= {"count": found["count"] + 1, "lastTimestamp": now()}
                    self.update("events", again, component)
                    return
            involved = {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": namespace,
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
            }
            document = {
                "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}"},
                "involvedObject": involved,
                "type": kind,
                "reason": reason,
                "message": message,
                "source": {"component": component},
                "reportingComponent": component,
                "reportingInstance": "",
                "firstTimestamp": now(),
                "lastTimestamp": now(),
                "count": 1,
            }
            try:
                self.create("events", namespace, document, component)
            except Refusal:  # as in a namespace that is being deleted
                return


def _resource(resource: Resource | str) -> Resource:
    return BY_PLURAL[resource] if isinstance(resource, str) else resource


def _unversioned(document: Object) -> Object:
    return {**document, "metadata": {**document["metadata"], "resourceVersion": None}}


def _content(document: Object) -> Object:
    metadata = {
        key: value
        for key, value in document["metadata"].items()
        if key not in ("managedFields", "resourceVersion", "generation")
    }
    return {**document, "metadata": metadata}


def _taken_over(resource: Resource, before: Object, document: Object, subresource: str) -> Object:
    after = copy.deepcopy(before)
    if subresource == "status":
        after["status"] = copy.deepcopy(document.get("status", {}))
        return after
    after = copy.deepcopy(document) | {"apiVersion": before["apiVersion"], "kind": before["kind"]}
    kept = ("uid", "creationTimestamp", "generation", "resourceVersion", "namespace", "deletionTimestamp")
    after["metadata"] |= {key: before["metadata"][key] for key in kept if key in before["metadata"]}
    if "deletionTimestamp" not in before["metadata"]:
        after["metadata"].pop("deletionTimestamp", None)
    if "status" in resource.subresources:
        after.pop("status", None)
        if "status" in before:
            after["status"] = copy.deepcopy(before["status"])
    return after


def _grace(resource: Resource, document: Object, asked: int | None) -> int:
    if resource.plural != "pods" or not document["spec"].get("nodeName"):
        return 0
    if document.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return document["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked


def _may_go(resource: Resource, document: Object) -> bool:
    """Whether nothing but finalizers could hold it: a namespace has contents, a pod its grace period."""
    if resource.plural == "namespaces":
        return not document["spec"].get("finalizers")
    return not document["metadata"].get("deletionGracePeriodSeconds")
