"""A controller of the Gateway API, as far as the status of routes goes: it sends no requests anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from ..resources import Object
from ..store import Store, now

OPEN, CLOSED = "front", "closed"
"""The gateways that are there: one takes every route, the other none."""

_NAME = "airlock.test/gateways"


class Gateways:
    """``status.parents`` of routes. Nobody answers for a gateway that is not there."""

    def run(self, store: Store) -> None:
        """One round."""
        for route in store.all("httproutes"):
            parents = [
                {
                    "parentRef": reference,
                    "controllerName": _NAME,
                    "conditions": _conditions(store, route, reference),
                }
                for reference in route["spec"]["parentRefs"]
                if reference["name"] in (OPEN, CLOSED)
            ]
            if not _says(route, parents):
                store.set_status("httproutes", route, {"parents": parents})


def _conditions(store: Store, route: Object, reference: Object) -> list[Object]:
    missing = sorted(
        name
        for name in _services(route)
        if store.find("services", route["metadata"]["namespace"], name) is None
    )
    is_open = reference["name"] == OPEN
    return [
        _condition(
            route,
            "Accepted",
            "" if is_open else "NotAllowedByListeners",
            "" if is_open else "No listener allows routes from this namespace",
        ),
        _condition(
            route,
            "ResolvedRefs",
            "BackendNotFound" if missing else "",
            f"service {missing[0]} not found" if missing else "",
        ),
    ]


def _condition(route: Object, kind: str, reason: str, message: str) -> Object:
    return {
        "type": kind,
        "status": "False" if reason else "True",
        "reason": reason or kind,
        "message": message,
        "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": now(),
    }


def _services(route: Object) -> Iterator[str]:
    for rule in route["spec"]["rules"]:
        yield from (backend["name"] for backend in rule.get("backendRefs") or ())
        for filtered in rule.get("filters") or ():
            if "requestMirror" in filtered:
                yield filtered["requestMirror"]["backendRef"]["name"]


def _says(route: Object, parents: list[Object]) -> bool:
    """Whether the status says so already, whenever that was."""
    return _timeless((route.get("status") or {}).get("parents")) == _timeless(parents)


def _timeless(parents: list[Object] | None) -> list[Object] | None:
    return parents and [
        {
            **parent,
            "conditions": [{**one, "lastTransitionTime": None} for one in parent["conditions"]],
        }
        for parent in parents
    ]
