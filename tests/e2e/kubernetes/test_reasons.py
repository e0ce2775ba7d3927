"""Why something does not run on a cluster: told from its status and events, not after a time-out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Adapter, Handle, Status

from .cluster import Cluster, until
from .conftest import RESTRICTED, Runtime
from .plans import job, plan
from .waiting import ready, settled


def told(adapter: Adapter, handle: Handle, *words: str) -> Status:
    """The first status with all these words in it; it must not say that it is ready."""
    status = until(
        lambda: adapter.status(handle),
        lambda status: status.state == "ready" or all(word in status.message for word in words),
    )
    assert status.state in ("starting", "failed")
    return status


def test_an_image_that_cannot_be_pulled(runtime: Runtime) -> None:
    image = "registry.airlock.invalid/no/such/image:1"
    adapter = runtime(of=image)

    told(adapter, adapter.deploy(plan()), image, "cannot be pulled")


def test_no_node_that_fits(runtime: Runtime) -> None:
    much = {"cpu": "10000"}
    resources = {"requests": much, "limits": much}
    adapter = runtime(pod={"spec": {"containers": [{"name": "host", "resources": resources}]}})

    told(adapter, adapter.deploy(plan()), "No node takes the pod", "Insufficient cpu")


def test_a_container_that_crashes_again_and_again(runtime: Runtime) -> None:
    # Python itself cannot begin so, whatever the image holds.
    adapter = runtime(environment={"PYTHONHOME": "/nowhere"})

    status = settled(adapter, adapter.deploy(plan()))

    assert status.state == "failed"
    assert "exit code 1" in status.message
    assert "/nowhere" in status.message, "the last lines of its log"


def test_a_deployment_that_failed_is_begun_again_once_it_is_mended(runtime: Runtime) -> None:
    deployment = plan()
    broken = runtime(environment={"PYTHONHOME": "/nowhere"})
    assert settled(broken, broken.deploy(deployment)).state == "failed"

    ready(runtime(), deployment)


@pytest.fixture
def full(cluster: Cluster) -> Iterator[str]:
    """A namespace whose quota lets no pod in."""
    name = cluster.make_namespace(RESTRICTED)
    try:
        quota = {"metadata": {"name": "nothing"}, "spec": {"hard": {"pods": "0"}}}
        path = f"/api/v1/namespaces/{name}/resourcequotas"
        cluster.request("POST", path, quota)
        until(lambda: cluster.request("GET", f"{path}/nothing").get("status", {}).get("used"))
        yield name
    finally:
        cluster.remove_namespace(name)


def test_a_quota_that_is_used_up(runtime: Runtime, full: str) -> None:
    adapter = runtime(place=full)

    told(adapter, adapter.deploy(plan()), "quota nothing", "is exceeded")


def test_a_job_in_a_quota_that_is_used_up(runtime: Runtime, full: str) -> None:
    adapter = runtime(place=full)
    deployment = adapter.deploy(plan(mode="batch"))

    handle = adapter.submit(job(deployment, "double.csv"))

    until(lambda: adapter.job_status(handle).message, lambda message: "quota nothing" in message)


def test_a_user_without_rights(
    cluster: Cluster, runtime: Runtime, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = {"metadata": {"name": "nobody"}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    cluster.request("POST", path, account)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = cluster.request("POST", f"{path}/nobody/token", request)["status"]["token"]
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps(cluster.config_with(token)), encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setenv("KUBECONFIG", str(config))
        adapter = runtime()

        health = adapter.check()
        with pytest.raises(AdapterError) as refused:
            adapter.deploy(plan())

    assert not health.ok
    assert "create" in health.message
    assert "configmaps" in health.message
    assert "nobody" in str(refused.value)
    assert "configmaps" in str(refused.value)
