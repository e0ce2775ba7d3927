"""Patches other than server-side apply: JSON patch, merge patch and strategic merge patch."""

from __future__ import annotations

import copy
from typing import Any

from .answers import Refusal
from .resources import Object, Resource
from .schema import of_kind, resolved


def merge_patch(before: Object, patch: Object, resource: Resource | None) -> Object:
    """RFC 7386; with a resource, lists with keys are merged by the first of them."""
    after: Object = _merged(copy.deepcopy(before), patch, of_kind(resource) if resource else {})
    return after


def _merged(value: Any, patch: Any, schema: dict[str, Any]) -> Any:
    schema = resolved(schema)
    if isinstance(patch, dict):
        made = value if isinstance(value, dict) else {}
        for name, inner in patch.items():
            if inner is None:
                made.pop(name, None)
            else:
                below = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
                made[name] = _merged(made.get(name), inner, below if isinstance(below, dict) else {})
        return made
    key = schema.get("x-kubernetes-patch-merge-key")
    if isinstance(patch, list) and key and "merge" in schema.get("x-kubernetes-patch-strategy", ""):
        made_list = list(value or ())
        for item in patch:
            old = next((one for one in made_list if one.get(key) == item.get(key)), None)
            if item.get("$patch") == "delete":
                made_list = [one for one in made_list if one is not old]
            elif old is None:
                made_list.append(item)
            else:
                _merged(old, item, schema["items"])
        return made_list
    return patch


def json_patch(before: Object, patch: list[Object]) -> Object:
    """RFC 6902.

    :raises Refusal: a path is not there, or a test fails.
    """
    after = copy.deepcopy(before)
    for act in patch:
        *way, last = [step.replace("~1", "/").replace("~0", "~") for step in act["path"].split("/")[1:]]
        try:
            here: Any = after
            for step in way:
                here = here[int(step)] if isinstance(here, list) else here[step]
            _act(here, last, act)
        except (KeyError, IndexError, ValueError):
            raise Refusal(
                422, "Invalid", f"the server rejected our request due to an error in our request: {act}"
            ) from None
    return after


def _act(here: Any, last: str, act: Object) -> None:
    if isinstance(here, list):
        index = len(here) if last == "-" else int(last)
        if act["op"] == "add":
            here.insert(index, act["value"])
        elif act["op"] == "remove":
            del here[index]
        elif act["op"] == "replace":
            here[index] = act["value"]
        elif here[index] != act["value"]:
            raise ValueError(last)
    elif act["op"] == "add":
        here[last] = act["value"]
    elif act["op"] == "remove":
        del here[last]
    elif act["op"] == "replace":
        here[last], _ = act["value"], here[last]
    elif here.get(last) != act["value"]:
        raise ValueError(last)
