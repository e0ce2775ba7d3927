"""Kind ``kubernetes``: the contract of all kinds, and what is special about a cluster."""

from __future__ import annotations

import urllib.error
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Handle
from airlock.runtimes.kubernetes.adapter import KubernetesAdapter
from airlock.spec import MiB

from ..conftest import Snapshot
from ..contract import AdapterContract, Connect, ask, in_another_process, plan, ready, settled
from ..waiting import wait_for
from .conftest import Runtime
from .stub.cluster import StubCluster

pytestmark = [pytest.mark.kubernetes, pytest.mark.package_index]


class TestContract(AdapterContract):
    """What is asked of every kind."""

    @pytest.fixture
    def connect(self, runtime: Runtime) -> Connect:
        return runtime

    @pytest.fixture
    def shared(self, shared: Path) -> Path:
        return shared


# --- whose is what


def deployment_of(cluster: StubCluster, namespace: str, handle: Handle) -> dict[str, Any]:
    selector = f"labelSelector=airlock/deployment%3D{handle['name']}"
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    [found] = cluster.request("GET", f"{path}?{selector}")["items"]
    return dict(found)


def test_a_missing_namespace_is_made_and_holds_pods_to_the_restricted_standard(
    runtime: Runtime, cluster: StubCluster, snapshot: Snapshot
) -> None:
    name = f"airlock-{uuid.uuid4().hex[:8]}"
    adapter = runtime(namespace=name, pod_template={})

    handle = ready(adapter, plan(snapshot()))

    labels = cluster.request("GET", f"/api/v1/namespaces/{name}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    adapter.undeploy(handle)
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")


def test_runtimes_leave_each_other_alone(runtime: Runtime, cluster: StubCluster, snapshot: Snapshot) -> None:
    """In one namespace, and in two."""
    elsewhere = f"airlock-{uuid.uuid4().hex[:8]}"
    one, beside = runtime(named="one"), runtime(named="two")
    away = runtime(named="one", namespace=elsewhere, pod_template={})
    deployment = plan(snapshot(), mode="batch")
    handle = ready(one, deployment)
    neighbour = ready(beside, plan(snapshot(), mode="batch"))
    far = ready(away, deployment)

    one.undeploy(handle)

    assert [*one.list()] == []
    assert [*beside.list()] == [neighbour]
    assert [*away.list()] == [far]
    beside.undeploy(neighbour)
    away.undeploy(far)
    cluster.request("DELETE", f"/api/v1/namespaces/{elsewhere}")


def test_deploying_again_leaves_alone_what_others_set(
    runtime: Runtime, cluster: StubCluster, snapshot: Snapshot, namespace: str
) -> None:
    adapter = runtime(autoscale={"least": 1, "most": 3})
    deployment = plan(snapshot())
    handle = ready(adapter, deployment)
    name = deployment_of(cluster, namespace, handle)["metadata"]["name"]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    merge = "application/merge-patch+json"
    said = {"metadata": {"annotations": {"example.test/somebody": "was here"}}}
    cluster.request("PATCH", path, said, content=merge)
    cluster.request("PATCH", f"{path}/scale", {"spec": {"replicas": 2}}, content=merge)

    adapter.deploy(deployment)

    found = cluster.request("GET", path)
    assert found["metadata"]["annotations"]["example.test/somebody"] == "was here"
    assert found["spec"]["replicas"] == 2


def test_what_nobody_changes_is_not_written_again(
    runtime: Runtime, cluster: StubCluster, snapshot: Snapshot, namespace: str
) -> None:
    deployment = plan(snapshot())
    handle = ready(runtime(), deployment)
    before = deployment_of(cluster, namespace, handle)

    ready(runtime(), deployment)

    after = deployment_of(cluster, namespace, handle)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_everything_has_an_owner_and_goes_with_the_record(
    runtime: Runtime, cluster: StubCluster, snapshot: Snapshot, namespace: str
) -> None:
    adapter = runtime(replicas=2, ingress={"host": "{deployment}.airlock.test"})
    handle = ready(adapter, plan(snapshot()))
    kinds = {
        "/api/v1": ("configmaps", "secrets", "services", "pods"),
        "/apis/apps/v1": ("deployments", "replicasets"),
        "/apis/policy/v1": ("poddisruptionbudgets",),
        "/apis/networking.k8s.io/v1": ("ingresses",),
    }

    def everything() -> list[dict[str, Any]]:
        return [
            item
            for root, plurals in kinds.items()
            for plural in plurals
            for item in cluster.request("GET", f"{root}/namespaces/{namespace}/{plural}")["items"]
        ]

    without_owner = [item for item in everything() if not item["metadata"].get("ownerReferences")]

    [record] = without_owner
    cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/{record['metadata']['name']}")
    wait_for(everything, lambda left: left == [], seconds=90)
    assert adapter.status(handle).state == "gone"


# --- when something is wrong


def test_a_server_over_its_memory_is_told(runtime: Runtime, snapshot: Snapshot, cluster: StubCluster) -> None:
    """One that has served goes on after a restart: the cluster sees to it."""
    adapter = runtime()
    handle = ready(adapter, plan(snapshot(), memory=512 * MiB))

    in_another_process(lambda: ask(adapter, handle, "allocate", amount=2048)).join()

    wait_for(lambda: adapter.status(handle).message, lambda message: "512 MiB" in message)
    wait_for(lambda: adapter.status(handle).state, lambda state: state == "ready")
    assert ask(adapter, handle).status_code == 200


@pytest.fixture
def lost_node(cluster: StubCluster) -> Iterator[StubCluster]:
    yield cluster
    cluster.return_node()


def test_a_lost_node_is_told_and_its_return_mends(
    runtime: Runtime, snapshot: Snapshot, lost_node: StubCluster
) -> None:
    adapter = runtime()
    handle = ready(adapter, plan(snapshot()))

    lost_node.lose_node()

    status = wait_for(lambda: adapter.status(handle), lambda status: status.state != "ready")
    assert status.state == "starting"
    assert "node-1" in status.message, status.message
    assert list(adapter.endpoints(handle)) == []
    lost_node.return_node()
    wait_for(lambda: adapter.status(handle), lambda status: status.state == "ready", seconds=60)


def test_an_image_that_is_nowhere_is_told_at_once(runtime: Runtime, snapshot: Snapshot) -> None:
    image = f"registry.test:5000/airlock/none@sha256:{'0' * 64}"
    adapter = runtime(image=image)

    status = settled(adapter, adapter.deploy(plan(snapshot())))

    assert status.state == "failed"
    assert image in status.message
    assert "not found" in status.message


def test_a_pod_template_that_breaks_the_standard_is_told(runtime: Runtime, snapshot: Snapshot) -> None:
    adapter = runtime(pod_template={"spec": {"hostNetwork": True}})

    status = settled(adapter, adapter.deploy(plan(snapshot())))

    assert status.state == "failed"
    assert "hostNetwork" in status.message


def test_a_foreign_object_of_the_same_name_is_refused(
    runtime: Runtime, snapshot: Snapshot, cluster: StubCluster, namespace: str
) -> None:
    deployment = plan(snapshot(), mode="batch")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    cluster.request("POST", path, {"metadata": {"name": deployment.name}, "data": {"it": "is somebody's"}})

    with pytest.raises(AdapterError, match=deployment.name):
        runtime().deploy(deployment)

    assert cluster.request("GET", f"{path}/{deployment.name}")["data"] == {"it": "is somebody's"}
    cluster.request("DELETE", f"{path}/{deployment.name}")


def test_a_stranger_is_told_which_verb_is_missing(
    runtime: Runtime,
    snapshot: Snapshot,
    cluster: StubCluster,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One with all rights but to make Deployments."""
    config = tmp_path / "kubeconfig"
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["*"], "verbs": ["create"]},
        {"apiGroups": ["batch"], "resources": ["*"], "verbs": ["create"]},
    ]
    cluster.write_kubeconfig(config, namespace, "somebody", rules)
    monkeypatch.setenv("KUBECONFIG", str(config))
    adapter: KubernetesAdapter = runtime()

    health = adapter.check()
    with pytest.raises(AdapterError) as refused:
        adapter.deploy(plan(snapshot()))

    assert not health.ok
    assert "create deployments.apps" in health.message
    assert "may not create deployments.apps" in str(refused.value)
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


def test_a_cluster_that_is_not_there_is_told(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: StubCluster
) -> None:
    config = tmp_path / "kubeconfig"
    text = cluster.kubeconfig.read_text(encoding="utf-8")
    config.write_text(text.replace("http://127.0.0.1:", "http://127.0.0.1:1/"), encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setenv("KUBECONFIG", str(config))

        health = runtime().check()

    assert not health.ok
    assert "cannot be reached" in health.message


def test_the_stub_refuses_what_a_server_refuses(cluster: StubCluster, namespace: str) -> None:
    """Unknown fields, wrong types, names that are too long, labels that cannot be."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for document in (
        {"metadata": {"name": "a"}, "dta": {}},
        {"metadata": {"name": "a"}, "data": {"a": 1}},
        {"metadata": {"name": "A"}, "data": {}},
        {"metadata": {"name": "a", "labels": {"a": "b c"}}, "data": {}},
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            cluster.request("POST", path, document)
        assert refused.value.code == 422
