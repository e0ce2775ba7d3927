"""Lays a patch over a manifest, as a strategic merge does for the lists that pods have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_KEYS = {
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
}
"""Lists whose items are known by something else than their name."""


def patched(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with a patch laid over it.

    Mappings are merged, lists of named things by name, ``None`` removes, and everything else replaces what
    was there. Neither argument is changed.
    """
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _value(key, merged.get(key), value)
    return merged


def _value(key: str, before: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        return patched(before if isinstance(before, Mapping) else {}, value)
    if isinstance(value, list):
        name = _KEYS.get(key, "name")
        if _are_named(value, name) and (before is None or _are_named(before, name)):
            return _by_name(before or [], value, name)
    return value


def _are_named(items: Any, name: str) -> bool:
    return isinstance(items, list) and all(isinstance(item, Mapping) and name in item for item in items)


def _by_name(before: Sequence[Any], items: Sequence[Any], name: str) -> list[Any]:
    merged = {item[name]: item for item in before}
    for item in items:
        merged[item[name]] = patched(merged.get(item[name], {}), item)
    return list(merged.values())
