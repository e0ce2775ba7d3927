"""HTTPRoutes: how requests at a gateway of the cluster (Gateway API) come to deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlock.runtimes.base import Split
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import ROUTE, Object
from airlock.runtimes.kubernetes.record import Record, owner
from airlock.spec import RuntimeSpec
from airlock.spec.kubernetes_parts import StableGateway

NUMBER = "airlock/traffic"
"""Which change of the traffic a route follows: the number grows."""

_SERVICE, _STAGE = "airlock/service", "airlock/stage"
_NOT_FOR_APPLICATIONS = "airlock"
_LONGEST_RUNTIME = 30


@dataclass(frozen=True)
class Backend:
    """A deployment, as a route names it.

    :param service: its Service.
    """

    record: Record
    service: str
    port: int

    @property
    def reference(self) -> dict[str, Any]:
        """What stands in ``backendRef``."""
        return {"group": "", "kind": "Service", "name": self.service, "port": self.port}


def parent(name: str, namespace: str | None, listener: str | None) -> dict[str, Any]:
    """The gateway that a route belongs to."""
    found = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}
    if namespace:
        found["namespace"] = namespace
    if listener:
        found["sectionName"] = listener
    return found


def name_of(service: str, stage: str, spec: RuntimeSpec) -> str:
    """What the route of a service at a stage is called; runtimes may share a namespace."""
    return names.object_name(f"{service}.{stage}.{names.object_name(spec.runtime, longest=_LONGEST_RUNTIME)}")


def path_of(service: str, stage: str) -> str:
    """The path of a service at a stage, as at Airlock's own gateway."""
    return f"/{service}/{stage}"


def address_of(service: str, stage: str, gateway: StableGateway) -> str:
    """Where applications reach a service at a stage."""
    port = f":{gateway.port}" if gateway.port else ""
    return f"{'https' if gateway.tls else 'http'}://{gateway.host}{port}{path_of(service, stage)}"


def http_route(
    split: Split, backends: Mapping[str, Backend], spec: RuntimeSpec, gateway: StableGateway
) -> Object:
    """The route of a service at a stage. It goes when the last of its deployments goes.

    :param backends: by the names of deployments that stand in the split.
    """
    said = {_SERVICE: split.service, _STAGE: split.stage}
    path = path_of(split.service, split.stage)
    item = ROUTE.head(
        name_of(split.service, split.stage, spec),
        labels=names.labels_of(said, runtime=spec.runtime, role=names.ROLE_ROUTE),
        annotations={**said, NUMBER: str(split.number)},
        # None of them waits for the route: it may stay for the others.
        ownerReferences=[
            owner(backend.record.item) | {"blockOwnerDeletion": False} for backend in backends.values()
        ],
    )
    return item | {
        "spec": {
            "parentRefs": [parent(gateway.name, gateway.namespace, gateway.listener)],
            "hostnames": [gateway.host],
            "rules": [
                # Without backends it leads nowhere.
                {"matches": [_below(f"{path}/{_NOT_FOR_APPLICATIONS}")]},
                {
                    "matches": [_below(path)],
                    "filters": _filters(split, backends, path),
                    "backendRefs": [
                        {**backends[name].reference, "weight": percent}
                        for name, percent in split.shares.items()
                    ],
                },
            ],
        }
    }


def why_not_followed(item: Object, namespace: str) -> str:
    """What a route still lacks until its gateway follows it as it is now; empty if nothing.

    :param namespace: of the route.
    """
    [wanted] = item["spec"]["parentRefs"]
    at = _known_by(wanted, namespace)
    where = f"the gateway {at[0]}/{at[1]}"
    parents = (item.get("status") or {}).get("parents") or []
    answers = [found for found in parents if _known_by(found.get("parentRef") or {}, namespace) == at]
    if not answers:
        return f"Nothing has taken it up: is there {where}, and does its controller run?"
    lacking = [_lacking(found.get("conditions") or [], item, where) for found in answers]
    return "" if "" in lacking else lacking[0]


def _lacking(conditions: Sequence[Mapping[str, Any]], item: Object, where: str) -> str:
    generation = int(item["metadata"].get("generation", 1))
    for kind in ("Accepted", "ResolvedRefs"):
        found = next((one for one in conditions if one.get("type") == kind), None)
        if found is None or int(found.get("observedGeneration", generation)) < generation:
            return f"The controller of {where} has not seen it yet."
        if found.get("status") != "True":
            said = f"{found.get('reason', '')}: {found.get('message', '')}".strip(": ")
            return f"The controller of {where} does not follow it: {said or 'it does not say why'}."
    return ""


def _known_by(reference: Mapping[str, Any], namespace: str) -> tuple[str, str, str]:
    return (
        str(reference.get("namespace") or namespace),
        str(reference.get("name", "")),
        str(reference.get("sectionName") or ""),
    )


def _filters(split: Split, backends: Mapping[str, Backend], path: str) -> list[dict[str, Any]]:
    rewritten = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    filters: list[dict[str, Any]] = [
        {"type": "URLRewrite", "urlRewrite": {"path": rewritten}},
        {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": "X-Forwarded-Prefix", "value": path}]},
        },
    ]
    if split.mirror is not None:
        name, percent = split.mirror
        mirror: dict[str, Any] = {"backendRef": backends[name].reference}
        # All of them is what it means without, which every version of the Gateway API knows.
        if percent < 100:
            mirror["percent"] = percent
        filters.append({"type": "RequestMirror", "requestMirror": mirror})
    return filters


def _below(path: str) -> dict[str, Any]:
    return {"path": {"type": "PathPrefix", "value": path}}
