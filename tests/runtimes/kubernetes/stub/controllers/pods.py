"""What controllers of pods share: making one from a template, counting, conditions."""

from __future__ import annotations

import copy
import hashlib
import json
import math

from ..answers import Refusal
from ..naming import random_suffix
from ..node.pod import condition
from ..proxy import is_ready
from ..resources import Object
from ..store import CONTROLLERS, Store

__all__ = [
    "condition",
    "is_ready",
    "make_pod",
    "owned_by",
    "owner_of",
    "portion",
    "set_condition",
    "template_hash",
]


def owner_of(document: Object) -> Object:
    """A reference to the controller of what it makes."""
    return {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "name": document["metadata"]["name"],
        "uid": document["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned_by(store: Store, plural: str, owner: Object) -> list[Object]:
    """Objects whose controller this is."""
    return [
        one
        for one in store.all(plural, owner["metadata"]["namespace"])
        if any(
            reference.get("controller") and reference["uid"] == owner["metadata"]["uid"]
            for reference in one["metadata"].get("ownerReferences") or ()
        )
    ]


def make_pod(
    store: Store, owner: Object, *, prefix: str, component: str, finalizers: list[str] | None = None
) -> str:
    """Make a pod from its owner's template; the event of a refusal is recorded.

    :returns: why it could not be made, or nothing.
    """
    template = copy.deepcopy(owner["spec"]["template"])
    metadata = template.get("metadata") or {}
    pod = {
        "metadata": {
            "name": f"{prefix[:58]}{random_suffix()}",
            "generateName": prefix,
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [owner_of(owner)],
            **({"finalizers": finalizers} if finalizers else {}),
        },
        "spec": template["spec"],
    }
    try:
        made = store.create("pods", owner["metadata"]["namespace"], pod, CONTROLLERS)
    except Refusal as refusal:
        store.event(owner, "Warning", "FailedCreate", f"Error creating: {refusal}", component)
        return str(refusal)
    store.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", component)
    return ""


def template_hash(template: Object) -> str:
    """Differs where templates differ."""
    whole = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join("bcdfghjklmnpqrstvwxz2456789"[byte % 27] for byte in whole[:10])


def portion(value: int | str | None, of: int, *, up: bool) -> int:
    """A number or a percentage of one."""
    if isinstance(value, str) and value.endswith("%"):
        exact = int(value[:-1]) * of / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(value or 0)


def set_condition(status: Object, kind: str, truth: bool | str, reason: str, message: str) -> None:
    """Put a condition into a status."""
    conditions = [*(status.get("conditions") or ())]
    before = next((one for one in conditions if one["type"] == kind), None)
    made = condition(before, kind, truth is True, {"reason": reason, "message": message})
    if isinstance(truth, str):
        made["status"] = truth
    same = before and {**before, "lastUpdateTime": None} == {**made, "lastUpdateTime": None}
    if same:
        return
    status["conditions"] = [made if one is before else one for one in conditions] + ([] if before else [made])
