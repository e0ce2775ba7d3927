"""Server-side apply: which manager owns which fields, and what a configuration changes.

A path is a tuple of steps: ``f:name`` into a map, ``k:{…}`` to an item of a list by its keys, ``v:…`` to a
value of a set; ``.`` at the end stands for the item itself. As in ``metadata.managedFields``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any

from .resources import Object
from .schema import resolved

Path = tuple[str, ...]
Schema = dict[str, Any]

_NOT_OWNED = {("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}
_SET_BY_SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def owned(document: Object, schema: Schema) -> list[Path]:
    """The fields that an applied configuration sets, in its order."""
    return [path for path in _walk(document, schema, ()) if path not in _NOT_OWNED]


def leaves(document: Object, schema: Schema) -> dict[Path, Any]:
    """Every field with its value, without those that only the server sets."""
    return {path: at(document, path) for path in owned(document, schema) if path[-1] != "."}


def _walk(value: Any, schema: Schema, path: Path) -> Iterator[Path]:
    schema = resolved(schema)
    if isinstance(value, dict) and schema.get("x-kubernetes-map-type") != "atomic":
        yield from _walk_map(value, schema, path)
    elif isinstance(value, list) and schema.get("x-kubernetes-list-type") == "map":
        for item in value:
            step = (*path, key_step(item, schema))
            yield (*step, ".")
            yield from _walk(item, schema["items"], step)
    elif isinstance(value, list) and schema.get("x-kubernetes-list-type") == "set":
        for item in value:
            yield (*path, f"v:{json.dumps(item)}")
    else:
        yield path


def _walk_map(value: Object, schema: Schema, path: Path) -> Iterator[Path]:
    if not value and path:
        yield path
    for name, inner in value.items():
        if path == ("f:metadata",) and name in _SET_BY_SERVER:
            continue
        if inner is None:
            continue
        yield from _walk(inner, _property(schema, name), (*path, f"f:{name}"))


def _property(schema: Schema, name: str) -> Schema:
    found = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else {}


def key_step(item: Object, schema: Schema) -> str:
    """The step to an item of a list, with the defaults of its keys (a port's protocol)."""
    items = resolved(schema["items"])
    keys = {}
    for key in schema["x-kubernetes-list-map-keys"]:
        default = items.get("properties", {}).get(key, {}).get("default")
        if default is None and key == "protocol":
            default = "TCP"
        if key in item or default is not None:
            keys[key] = item.get(key, default)
    return "k:" + json.dumps(keys, sort_keys=True, separators=(",", ":"))


def _is_item(item: Any, step: str) -> bool:
    keys = json.loads(step[2:])
    return isinstance(item, dict) and all(
        item.get(key, "TCP" if key == "protocol" else None) == value for key, value in keys.items()
    )


def at(document: Any, path: Path) -> Any:
    """What stands at a path, or ``None``."""
    for step in path:
        if step == ".":
            return document
        if step.startswith("f:"):
            document = document.get(step[2:]) if isinstance(document, dict) else None
        elif step.startswith("k:"):
            document = next((item for item in document or () if _is_item(item, step)), None)
        else:
            value = json.loads(step[2:])
            document = value if value in (document or ()) else None
        if document is None:
            return None
    return document


def put(document: Object, configuration: Object, path: Path) -> None:
    """Take over what a configuration holds at a path."""
    value = at(configuration, path)
    here: Any = document
    for step, following in zip(path, (*path[1:], None), strict=True):
        empty: Any = [] if following is not None and following[:2] in ("k:", "v:") else {}
        if step == ".":
            return
        if step.startswith("v:"):
            if value not in here:
                here.append(value)
            return
        if step.startswith("k:"):
            item = next((item for item in here if _is_item(item, step)), None)
            if item is None:
                item = json.loads(step[2:])
                here.append(item)
            if following is None:
                item.clear()
                item.update(copy.deepcopy(value))
            here = item
        elif following is None:
            here[step[2:]] = copy.deepcopy(value)
        else:
            if here.get(step[2:]) is None:
                here[step[2:]] = empty
            here = here[step[2:]]


def remove(document: Object, path: Path) -> None:
    """Take away what stands at a path; maps that become empty stay, and so do the keys of an item."""
    if len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in json.loads(path[-2][2:]):
        return
    *way, last = path[:-1] if path[-1] == "." else path
    here = at(document, tuple(way))
    if here is None:
        return
    if last.startswith("f:"):
        here.pop(last[2:], None)
    elif last.startswith("k:"):
        here[:] = [item for item in here if not _is_item(item, last)]
    elif (value := json.loads(last[2:])) in here:
        here.remove(value)


def to_fields_v1(paths: Iterable[Path]) -> Object:
    """As ``managedFields`` writes it."""
    tree: Object = {}
    for path in sorted(paths):
        here = tree
        for step in path:
            here = here.setdefault(step, {})
    return tree


def prune_empty(document: Object, paths: Iterable[Path]) -> None:
    """Remove what became empty above removed fields, as typed objects leave empty fields out."""
    for path in paths:
        for length in range(len(path) - 1, 0, -1):
            above = path[:length]
            if above[-1].startswith("f:") and at(document, above) in ({}, []):
                remove(document, above)
