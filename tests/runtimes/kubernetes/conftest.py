"""Runtimes of kind ``kubernetes`` on the tests' own cluster."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airlock.runtimes.base import Endpoint, RuntimeSettings
from airlock.runtimes.kubernetes.adapter import KubernetesAdapter
from airlock.spec import KubernetesOptions, RuntimeSpec

from .. import contract
from .images import StubImages
from .stub.cluster import StubCluster, why_not

Runtime = Callable[..., KubernetesAdapter]
"""Makes an adapter for a runtime on the tests' cluster; keywords become its options."""

CLAIM = "shared"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubCluster]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    cluster = StubCluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()
    assert "Traceback" not in cluster.log(), cluster.log()


@pytest.fixture(scope="session")
def images(
    cluster: StubCluster, settings: RuntimeSettings, tmp_path_factory: pytest.TempPathFactory
) -> StubImages:
    return StubImages(cluster, settings, tmp_path_factory.mktemp("images"))


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that pods may write to as well, as a shared storage is."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2777)
    return folder


@pytest.fixture
def namespace(cluster: StubCluster, shared: Path) -> Iterator[str]:
    """A namespace of this test, with a claim for the shared folder; held to being empty in the end."""
    name = f"airlock-{uuid.uuid4().hex[:8]}"
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": enforced}})
    cluster.add_volume(name, CLAIM, shared)
    yield name
    cluster.remove_volume(name, CLAIM)
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def runtime(
    cluster: StubCluster,
    images: StubImages,
    settings: RuntimeSettings,
    namespace: str,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Runtime]:
    """Its pods all see the shared folder, also those of servers."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.setattr(contract, "address_of", lambda endpoint: through_api_server(cluster, endpoint))
    name = f"kubernetes-{uuid.uuid4().hex[:6]}"
    mounted = {
        "spec": {
            "volumes": [{"name": "seen", "persistentVolumeClaim": {"claimName": CLAIM}}],
            "containers": [
                {
                    "name": "host",
                    "volumeMounts": [{"name": "seen", "mountPath": str(shared), "readOnly": False}],
                }
            ],
        }
    }

    def make(*, named: str = name, image: str | None = None, **options: Any) -> KubernetesAdapter:
        chosen = {
            "namespace": namespace,
            "volumes": [{"volume": CLAIM, "folder": str(shared)}],
            "pod_template": mounted,
            **options,
        }
        spec = RuntimeSpec(
            named, kind="kubernetes", stages=["DEV"], options=KubernetesOptions.model_validate(chosen)
        )
        image_of = (lambda plan: image) if image else images.of
        return KubernetesAdapter(spec, settings, image_of=image_of, checks_image=images.of_checks())

    yield make
    adapter = make()
    for handle in adapter.list():
        adapter.undeploy(handle)
    for job in adapter.list_jobs():
        adapter.remove_job(job)


def through_api_server(cluster: StubCluster, endpoint: Endpoint) -> tuple[str, dict[str, str]]:
    """A service of the cluster, as it is reached from outside: through the API server."""
    config = json.loads(cluster.kubeconfig.read_text(encoding="utf-8"))
    place = urlsplit(endpoint.inside or endpoint.url)
    service, namespace, _ = (place.hostname or "").split(".")
    root = config["clusters"][0]["cluster"]["server"]
    url = f"{root}/api/v1/namespaces/{namespace}/services/{service}:{place.port}/proxy"
    return url, {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
