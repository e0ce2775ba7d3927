"""Requests divided by a gateway of the cluster: routes made, followed and taken away."""

from __future__ import annotations

import os
from typing import Any

import pytest

from airlock.runtimes.base import Split
from airlock.runtimes.kubernetes.adapter import KubernetesAdapter

from .cluster import Cluster, until
from .conftest import Runtime
from .plans import plan

_ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
_HOST = "models.airlock-test.example"


@pytest.fixture
def gateway(cluster: Cluster) -> dict[str, str]:
    """The one that AIRLOCK_TEST_GATEWAY names, as ``namespace/name``; otherwise one that is not there."""
    code, _ = cluster.status_of("GET", "/apis/gateway.networking.k8s.io/v1")
    if code == 404:
        pytest.skip("the Gateway API is not installed in this cluster")
    namespace, _, name = os.environ.get("AIRLOCK_TEST_GATEWAY", "").rpartition("/")
    found = {"name": name or "airlock-test-nowhere", "host": _HOST}
    return found | ({"namespace": namespace} if namespace else {})


def routes(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.request("GET", _ROUTES.format(namespace=namespace))["items"]
    return found


def let(adapter: KubernetesAdapter, split: Split) -> None:
    """Say it, and wait for the gateway where there is one."""
    routed = adapter.route(split)
    if os.environ.get("AIRLOCK_TEST_GATEWAY") or not split.shares:
        until(lambda: adapter.route(split), lambda routed: routed.done)
    else:
        assert "is there the gateway" in routed.message


def test_a_route_follows_and_goes(
    cluster: Cluster, runtime: Runtime, namespace: str, gateway: dict[str, str]
) -> None:
    adapter = runtime(gateway=gateway)
    plans = plan(), plan()
    old, new = (adapter.deploy(one)["name"] for one in plans)

    def weights() -> dict[str, int]:
        [route] = routes(cluster, namespace)
        return {one["name"]: one["weight"] for one in route["spec"]["rules"][-1]["backendRefs"]}

    def split(number: int, shares: dict[str, int], mirror: tuple[str, int] | None = None) -> Split:
        return Split("obedience", "DEV", number, shares, mirror)

    let(adapter, split(1, {old: 100}, (new, 20)))
    [route] = routes(cluster, namespace)
    [mirror] = [
        one["requestMirror"]
        for one in route["spec"]["rules"][-1]["filters"]
        if one["type"] == "RequestMirror"
    ]
    assert (mirror["backendRef"]["name"], mirror["percent"]) == (new, 20)

    let(adapter, split(2, {new: 25, old: 75}))
    assert weights() == {new: 25, old: 75}
    assert not adapter.route(split(1, {old: 100})).done
    let(adapter, split(3, {new: 100}))
    adapter.undeploy({"name": old})
    assert weights() == {new: 100}

    let(adapter, split(4, {}))
    assert routes(cluster, namespace) == []
    let(adapter, split(5, {new: 100}))
    adapter.undeploy({"name": new})
    until(lambda: routes(cluster, namespace), lambda left: left == [])
