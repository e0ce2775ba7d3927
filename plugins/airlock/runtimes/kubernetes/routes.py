"""The routes of a runtime's services: one for each service and stage, dividing its requests by weight.

What is wanted is in the registry, and several callers may say it at the same time: the number of the change
stands on the route, and one is replaced only as it was read, and never by an older one.
"""

from __future__ import annotations

from collections.abc import Callable

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Routed, Split
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import ROUTE, Cluster, Object
from airlock.runtimes.kubernetes.http_route import (
    NUMBER,
    Backend,
    address_of,
    http_route,
    name_of,
    why_not_followed,
)
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.spec import RuntimeSpec
from airlock.spec.kubernetes_parts import StableGateway

_UNKNOWN_FIELD = "not declared in schema"


class Routes:
    """Keeps the routes of one runtime, in one namespace.

    :param backend_of: finds the Service of a deployment that is there and stays.
    """

    def __init__(
        self,
        cluster: Cluster,
        spec: RuntimeSpec,
        gateway: StableGateway,
        namespace: str,
        backend_of: Callable[[str], Backend],
    ) -> None:
        self._cluster = cluster
        self._spec = spec
        self._gateway = gateway
        self._namespace = namespace
        self._backend_of = backend_of

    def address(self, service: str, stage: str) -> str:
        """Where applications reach a service at a stage."""
        return address_of(service, stage, self._gateway)

    def follow(self, split: Split) -> Routed:
        """Say what the route must be like, or take it away, and look whether the gateway follows.

        :raises AdapterError: the Gateway API cannot say it, or the cluster refuses.
        """
        found = self._get(split)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            return Routed(False, f"{_called(found)} is being taken away.")
        if found is not None and int(names.annotation(found, NUMBER) or 0) > split.number:
            return Routed(False, f"{_called(found)} follows a later change of the traffic.")
        if not split.shares:
            return self._end(found)
        self._refuse_sticky(split)
        mirrored = (split.mirror[0],) if split.mirror is not None else ()
        backends = {name: self._backend_of(name) for name in (*split.shares, *mirrored)}
        item = http_route(split, backends, self._spec, self._gateway)
        if found is not None:
            item["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        try:
            made = self._cluster.apply(item, ROUTE, self._namespace)
        except Refused as error:
            if error.status == 409:
                return Routed(False, f"{_called(item)} is changed by somebody else as well.")
            raise _explained(error, split) from error
        lack = why_not_followed(made, self._namespace)
        return Routed(not lack, f"{_called(made)}: {lack}" if lack else "")

    def _end(self, found: Object | None) -> Routed:
        if found is None:
            return Routed(True)
        metadata = found["metadata"]
        self._cluster.delete(
            ROUTE,
            self._namespace,
            metadata["name"],
            uid=metadata["uid"],
            version=metadata["resourceVersion"],
        )
        return Routed(False, f"{_called(found)} is being taken away.")

    def _get(self, split: Split) -> Object | None:
        name = name_of(split.service, split.stage, self._spec)
        found = self._cluster.get(ROUTE, self._namespace, name)
        if found is not None and not names.is_ours(found):
            raise AdapterError(
                f"There is another HTTPRoute {name} in the namespace {self._namespace}, which Airlock did "
                "not make.",
                mend="Remove it, or give the runtime a namespace of its own.",
            )
        return found

    def _refuse_sticky(self, split: Split) -> None:
        if split.sticky is not None and len(split.shares) > 1:
            raise AdapterError(
                f"{split.service} in {split.stage} is to keep callers on one version by the header "
                f"{split.sticky}. The gateway of {self._spec.runtime} cannot do that: the Gateway API has no "
                "way to say it.",
                mend="Take 'sticky' out of the rollout, or take 'gateway' out of the runtime's options and "
                "run 'airlock gateway'.",
            )


def _called(item: Object) -> str:
    return f"The HTTPRoute {item['metadata']['name']}"


def _explained(error: Refused, split: Split) -> AdapterError:
    """What a refusal means for a route."""
    if error.status == 404 and "namespaces" not in error.message:
        return AdapterError(
            "The cluster has no HTTPRoutes.",
            mend="Install the Gateway API, or take 'gateway' out of the runtime's options.",
        )
    if _UNKNOWN_FIELD in error.message and split.mirror is not None and split.mirror[1] < 100:
        return AdapterError(
            f"The cluster's Gateway API is too old to copy {split.mirror[1]} % of the requests.",
            mend="Install the Gateway API 1.3 or newer, or copy all of them (percent: 100).",
        )
    return error
