"""The cluster that KUBECONFIG names, a namespace of this run in it, and runtimes in that."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airlock.runtimes.base import RuntimeSettings
from airlock.runtimes.kubernetes.adapter import KubernetesAdapter
from airlock.runtimes.kubernetes.patch import patched
from airlock.snapshots.store import ArtifactStore
from airlock.spec import KubernetesOptions, RuntimeSpec

from .cluster import Cluster, until
from .plans import DATA_FOLDER, INPUTS

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
HOST_FOLDER = "/airlock-test/host"

Runtime = Callable[..., KubernetesAdapter]
"""Makes an adapter for one runtime; ``pod`` is laid over its pods, other keywords become its options."""

_PROJECT = Path(__file__).resolve().parents[3]
_RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
_HAS_HOST, _HAS_NONE, _TOO_OLD = 0, 11, 12
_PROBE = (
    "import importlib.util, sys\n"
    f"sys.version_info >= (3, 11) or sys.exit({_TOO_OLD})\n"
    f"sys.exit({_HAS_HOST} if importlib.util.find_spec('airlock_host') else {_HAS_NONE})\n"
)


@pytest.fixture(scope="session")
def image() -> str:
    """The image that everything runs in."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster: set it to run these tests on one")
    image = os.environ.get("AIRLOCK_TEST_IMAGE", "")
    if not image:
        pytest.skip("AIRLOCK_TEST_IMAGE names no image: any with Python 3.11 or newer that the nodes have")
    return image


@pytest.fixture(scope="session")
def cluster(image: str) -> Cluster:
    return Cluster(os.environ["KUBECONFIG"])


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> Iterator[str]:
    """One of this run, which enforces the Pod Security Standard ``restricted``; gone in the end."""
    name = cluster.make_namespace(RESTRICTED)
    try:
        yield name
    finally:
        cluster.remove_namespace(name)


@pytest.fixture(scope="session")
def pod_template(cluster: Cluster, namespace: str, image: str) -> dict[str, Any]:
    """What the tests add to pods: files to score, and a host where the image has none."""
    return add_files(cluster, namespace, has_host=_has_host(cluster, namespace, image))


def add_files(cluster: Cluster, namespace: str, *, has_host: bool) -> dict[str, Any]:
    """Put the files that pods need into a namespace.

    :returns: the patch that shows them to pods.
    """
    contents = {"test-data": (DATA_FOLDER, dict(INPUTS))}
    variables = []
    if not has_host:
        module = Path(__file__).with_name("stand_in.py").read_text(encoding="utf-8")
        contents["test-host"] = (HOST_FOLDER, {"airlock_host.py": module})
        variables = [{"name": "PYTHONPATH", "value": HOST_FOLDER}]
    for name, (_, files) in contents.items():
        cluster.request(
            "POST", cluster.path("configmaps", namespace), {"metadata": {"name": name}, "data": files}
        )
    container = {
        "name": "host",
        # The nodes may have no network: what they have is what runs.
        "imagePullPolicy": "IfNotPresent",
        "env": variables,
        "volumeMounts": [
            {"name": name, "mountPath": folder, "readOnly": True} for name, (folder, _) in contents.items()
        ],
    }
    volumes = [{"name": name, "configMap": {"name": name}} for name in contents]
    return {"spec": {"volumes": volumes, "containers": [container]}}


def _has_host(cluster: Cluster, namespace: str, image: str) -> bool:
    """Whether the image holds ``airlock_host``: found out by a pod that looks."""
    pod = {
        "metadata": {"name": "probe"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": _RESTRICTED_POD,
            "containers": [
                {
                    "name": "host",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", _PROBE],
                    "securityContext": _RESTRICTED_CONTAINER,
                    "resources": {"limits": {"cpu": "500m", "memory": "128Mi"}},
                }
            ],
        },
    }
    cluster.request("POST", cluster.path("pods", namespace), pod)
    path = cluster.path("pods", namespace, "probe")
    found = until(
        lambda: cluster.request("GET", path)["status"],
        lambda status: status.get("phase") in ("Succeeded", "Failed") or _is_stuck(status),
    )
    cluster.request("DELETE", path)
    state = (found.get("containerStatuses") or [{}])[0].get("state", {})
    code = state.get("terminated", {}).get("exitCode")
    if code == _HAS_HOST:
        return True
    if code == _HAS_NONE:
        return False
    why = "its Python is older than 3.11" if code == _TOO_OLD else f"the cluster says {state or found}"
    pytest.exit(f"The image {image} (AIRLOCK_TEST_IMAGE) cannot be used: {why}.", returncode=2)


def _is_stuck(status: dict[str, Any]) -> bool:
    stuck = ("ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError")
    return any(
        container.get("state", {}).get("waiting", {}).get("reason") in stuck
        for container in status.get("containerStatuses") or ()
    )


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> RuntimeSettings:
    store = ArtifactStore(str(tmp_path_factory.mktemp("store")))
    return RuntimeSettings(store, tmp_path_factory.mktemp("workspace"), _PROJECT / "include" / "host")


@pytest.fixture
def runtime_name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def runtime(
    cluster: Cluster,
    namespace: str,
    image: str,
    pod_template: dict[str, Any],
    settings: RuntimeSettings,
    runtime_name: str,
) -> Iterator[Runtime]:
    """Also holds every test to leaving nothing behind once its deployments and jobs are taken away."""

    def make(
        *, place: str = namespace, of: str = image, pod: dict[str, Any] | None = None, **options: Any
    ) -> KubernetesAdapter:
        chosen = {
            "namespace": place,
            # A small cluster must do.
            "requests": {"cpu": 0.05, "memory": "64MiB"},
            "pod_template": patched(pod_template, pod or {}),
            **options,
        }
        spec = RuntimeSpec(
            runtime_name, kind="kubernetes", stages=["DEV"], options=KubernetesOptions.model_validate(chosen)
        )
        return KubernetesAdapter(spec, settings, image_of=lambda plan: of, checks_image=of)

    yield make
    adapter = make()
    for handle in adapter.list():
        adapter.undeploy(handle)
    for job in adapter.list_jobs():
        adapter.remove_job(job)
    until(lambda: cluster.of_runtime(namespace, runtime_name), lambda left: left == [])
