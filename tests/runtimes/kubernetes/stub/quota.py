"""Resource quotas: what is used, and what is too much."""

from __future__ import annotations

from decimal import Decimal

from .quantities import amount, written
from .resources import RESOURCES, Object, Resource

_OVER = ("Succeeded", "Failed")


def refusal(resource: Resource, document: Object, quotas: list[Object], objects: list[Object]) -> str | None:
    """Why a new object does not fit into the quotas of its namespace.

    :param objects: those of its kind that are there.
    """
    for quota in quotas:
        hard: Object = quota["spec"].get("hard") or {}
        asked = {name: value for name, value in usage(resource, document).items() if name in hard}
        if resource.plural == "pods":
            missing = _unspecified(document, hard)
            if missing:
                return f"failed quota: {quota['metadata']['name']}: must specify {missing}"
        over = {}
        for name, value in asked.items():
            used = used_of(resource, objects).get(name, Decimal(0))
            if value and used + value > amount(hard[name]):
                over[name] = (value, used)
        if over:
            told = [
                ",".join(f"{name}={written(value[part], name)}" for name, value in sorted(over.items()))
                for part in (0, 1)
            ]
            limited = ",".join(f"{name}={hard[name]}" for name in sorted(over))
            return (
                f"exceeded quota: {quota['metadata']['name']}, requested: {told[0]}, used: {told[1]}, "
                f"limited: {limited}"
            )
    return None


def used_of(resource: Resource, objects: list[Object]) -> dict[str, Decimal]:
    """What objects of one kind use together."""
    total: dict[str, Decimal] = {}
    for document in objects:
        for name, value in usage(resource, document).items():
            total[name] = total.get(name, Decimal(0)) + value
    return total


def usage(resource: Resource, document: Object) -> dict[str, Decimal]:
    """What one object uses, by the names that a quota has for it."""
    count = {f"count/{resource.qualified}": Decimal(1)}
    if resource.plural != "pods":
        return count | ({resource.plural: Decimal(1)} if not resource.group else {})
    if document.get("status", {}).get("phase") in _OVER:
        return count
    used = count | {"pods": Decimal(1)}
    for container in document["spec"]["containers"]:
        for part in ("requests", "limits"):
            for name, quantity in (container.get("resources", {}).get(part) or {}).items():
                key = f"{part}.{name}"
                used[key] = used.get(key, Decimal(0)) + amount(quantity)
                if part == "requests":
                    used[name] = used[key]
    return used


def _unspecified(document: Object, hard: Object) -> str | None:
    missing: dict[str, list[str]] = {}
    for container in document["spec"]["containers"]:
        resources = container.get("resources", {})
        for name in ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory", "cpu", "memory"):
            part, _, what = name.rpartition(".")
            if name in hard and what not in (resources.get(part or "requests") or {}):
                missing.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(names)}" for name, names in sorted(missing.items())) or None


COUNTED = [resource for resource in RESOURCES.values() if resource.namespaced]
