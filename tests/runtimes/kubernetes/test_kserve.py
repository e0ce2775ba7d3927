"""InferenceServices: what is said to KServe, and how its answers are read.

KServe is not here: these tests hold what is written and play its part in the status.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Endpoint
from airlock.runtimes.kubernetes.cluster import INFERENCE_SERVICE, POD, Cluster, Kind
from airlock.runtimes.kubernetes.http_route import Backend
from airlock.runtimes.kubernetes.kserve import InferenceServices
from airlock.runtimes.kubernetes.record import Record
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.spec import KubernetesOptions
from airlock.spec.kubernetes_parts import KServe

from .made import Made, record, runtime


class Objects(Cluster):
    """Keeps what is applied, with versions as a cluster counts them."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self.kept: dict[str, Made] = {}
        self.pods: list[Made] = []
        self.is_installed = True
        self.before_apply: Callable[[], None] = lambda: None

    def get(self, kind: Kind, namespace: str, name: str) -> Made | None:
        return copy.deepcopy(self.kept.get(f"{kind.name}/{name}"))

    def find(self, kind: Kind, namespace: str, **selectors: str) -> list[Made]:
        wanted = dict(part.split("=") for part in selectors.get("labelSelector", "").split(",") if part)
        return [
            pod for pod in self.pods if kind is POD and wanted.items() <= pod["metadata"]["labels"].items()
        ]

    def apply(self, item: Made, kind: Kind, namespace: str) -> Made:
        if not self.is_installed:
            raise Refused(404, "the server could not find the requested resource.")
        self.before_apply()
        key = f"{kind.name}/{item['metadata']['name']}"
        version = self.kept.get(key, {"metadata": {"resourceVersion": "0"}})["metadata"]["resourceVersion"]
        if item["metadata"].get("resourceVersion", version) != version:
            raise Refused(409, "the object has been modified.")
        kept = copy.deepcopy(item)
        kept["metadata"] |= {"resourceVersion": str(int(version) + 1), "uid": "isvc", "generation": 1}
        self.kept[key] = kept
        return kept

    @property
    def predictor(self) -> dict[str, Any]:
        [kept] = self.kept.values()
        found: dict[str, Any] = kept["spec"]["predictor"]
        return found

    @property
    def service(self) -> Made:
        [kept] = self.kept.values()
        return kept

    def says(self, **status: Any) -> None:
        """KServe writes the status."""
        self.service["status"] = {"observedGeneration": 1, **status}

    def runs(self, deployment: Record, *, ready: bool = True) -> None:
        """KServe has made a pod."""
        labels = dict(self.predictor["labels"]) | {"airlock/deployment": deployment.name}
        condition = {"type": "Ready", "status": str(ready)}
        self.pods.append(
            {
                "metadata": {"name": f"{deployment.name}-pod", "uid": deployment.name, "labels": labels},
                "status": {"phase": "Running", "conditions": [condition]},
            }
        )


READY = [{"type": "Ready", "status": "True"}]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Objects:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return Objects()


def services(cluster: Objects, there: dict[str, Record], percent: int | None) -> InferenceServices:
    spec = runtime(kserve=KServe(percent))
    assert isinstance(spec.options, KubernetesOptions)
    return InferenceServices(cluster, spec, spec.options, "models", there.get)


def test_a_deployment_is_an_inference_service_of_its_own(cluster: Objects) -> None:
    first = record(runtime(kserve=KServe()), "dep-1")
    driver = services(cluster, {"dep-1": first}, None)
    driver.begin(first)

    assert cluster.service["metadata"]["name"] == "dep-1"
    assert "canaryTrafficPercent" not in cluster.predictor
    assert [container["name"] for container in cluster.predictor["containers"]] == ["kserve-container"]
    assert driver.status(first).state == "starting"
    cluster.says(
        conditions=READY,
        url="http://dep-1.models.example.com",
        address={"url": "http://dep-1.models.svc.cluster.local"},
    )
    assert driver.status(first).state == "ready"
    assert [*driver.endpoints(first)] == [
        Endpoint("rest", "http://dep-1.models.example.com", "http://dep-1.models.svc.cluster.local")
    ]


def test_the_newest_deployment_is_a_canary_until_the_other_one_goes(cluster: Objects) -> None:
    spec = runtime(kserve=KServe(10))
    there = {name: record(spec, name) for name in ("dep-1", "dep-2")}
    driver = services(cluster, there, 10)
    driver.begin(there["dep-1"])
    assert cluster.service["metadata"]["name"] == "cc-fraud-prod"
    assert "canaryTrafficPercent" not in cluster.predictor

    driver.begin(there["dep-2"])
    driver.begin(there["dep-2"])

    assert cluster.predictor["canaryTrafficPercent"] == 10
    assert {owner["name"] for owner in cluster.service["metadata"]["ownerReferences"]} == {"dep-1", "dep-2"}
    cluster.says(
        conditions=READY,
        url="http://cc-fraud-prod.models.example.com",
        components={
            "predictor": {
                "latestReadyRevision": "1",
                "latestCreatedRevision": "2",
                "traffic": [
                    {"tag": "latest", "url": "http://latest-cc-fraud-prod.models.example.com", "percent": 10},
                    {"tag": "prev", "url": "http://prev-cc-fraud-prod.models.example.com", "percent": 90},
                ],
            }
        },
    )
    assert driver.status(there["dep-1"]).state == "ready"
    assert driver.status(there["dep-2"]).state == "starting"
    cluster.service["status"]["components"]["predictor"]["latestReadyRevision"] = "2"
    cluster.runs(there["dep-2"])
    assert driver.status(there["dep-2"]).state == "ready"
    assert driver.endpoints(there["dep-1"])[0].url == "http://prev-cc-fraud-prod.models.example.com"
    assert driver.endpoints(there["dep-2"])[0].url == "http://latest-cc-fraud-prod.models.example.com"

    driver.end(there["dep-1"])
    driver.end(there["dep-1"])

    assert "canaryTrafficPercent" not in cluster.predictor
    assert [owner["name"] for owner in cluster.service["metadata"]["ownerReferences"]] == ["dep-2"]
    assert driver.status(there["dep-1"]).state == "failed"


def test_a_canary_that_goes_leaves_everything_to_the_other_one(cluster: Objects) -> None:
    spec = runtime(kserve=KServe(10))
    there = {name: record(spec, name) for name in ("dep-1", "dep-2")}
    driver = services(cluster, there, 10)
    driver.begin(there["dep-1"])
    driver.begin(there["dep-2"])

    driver.end(there["dep-2"])

    assert cluster.service["metadata"]["annotations"]["airlock/deployment"] == "dep-1"
    assert "canaryTrafficPercent" not in cluster.predictor
    assert {"name": "AIRLOCK_DEPLOYMENT", "value": "dep-1"} in cluster.predictor["containers"][0]["env"]


def test_a_third_deployment_takes_the_canarys_place(cluster: Objects) -> None:
    spec = runtime(kserve=KServe(10))
    there = {name: record(spec, name) for name in ("dep-1", "dep-2", "dep-3")}
    driver = services(cluster, there, 10)
    for deployment in there.values():
        driver.begin(deployment)

    assert cluster.service["metadata"]["annotations"]["airlock/previous"] == "dep-1"
    assert driver.status(there["dep-2"]).state == "failed"
    assert "dep-3" in driver.status(there["dep-2"]).message


def test_callers_at_the_same_time_do_not_overwrite_each_other(cluster: Objects) -> None:
    spec = runtime(kserve=KServe(10))
    there = {name: record(spec, name) for name in ("dep-1", "dep-2")}
    driver = services(cluster, there, 10)
    driver.begin(there["dep-1"])

    def once() -> None:
        cluster.before_apply = lambda: None
        cluster.service["metadata"]["resourceVersion"] = "41"

    cluster.before_apply = once
    driver.begin(there["dep-2"])

    assert cluster.service["metadata"]["resourceVersion"] == "42"


def test_what_kserve_says_of_a_failure_is_told(cluster: Objects) -> None:
    first = record(runtime(kserve=KServe()), "dep-1")
    driver = services(cluster, {"dep-1": first}, None)
    driver.begin(first)
    cluster.says(
        conditions=[{"type": "Ready", "status": "False"}],
        modelStatus={
            "transitionStatus": "BlockedByFailedLoad",
            "lastFailureInfo": {"reason": "ModelLoadFailed", "message": "the weights are of another model"},
        },
    )

    status = driver.status(first)

    assert status.state == "failed"
    assert "the weights are of another model" in status.message


def test_one_that_is_late_has_failed(cluster: Objects) -> None:
    first = record(runtime(kserve=KServe()), "dep-1")
    driver = services(cluster, {"dep-1": first}, None)
    driver.begin(first)
    cluster.service["metadata"]["annotations"]["airlock/begun"] = "2020-01-01T00:00:00Z"
    cluster.says(conditions=[{"type": "Ready", "status": "Unknown", "message": "Configuration is waiting"}])

    status = driver.status(first)

    assert status.state == "failed"
    assert "not ready within 600 s. Configuration is waiting" in status.message


def test_a_cluster_without_kserve_is_told(cluster: Objects) -> None:
    cluster.is_installed = False
    first = record(runtime(kserve=KServe()), "dep-1")

    with pytest.raises(AdapterError, match=r"no InferenceServices.*Install KServe"):
        services(cluster, {"dep-1": first}, None).begin(first)


def test_an_inference_service_of_somebody_else_is_left_alone(cluster: Objects) -> None:
    first = record(runtime(kserve=KServe()), "dep-1")
    cluster.kept["InferenceService/dep-1"] = INFERENCE_SERVICE.head("dep-1", resourceVersion="1", uid="x")

    with pytest.raises(AdapterError, match="which Airlock did not make"):
        services(cluster, {"dep-1": first}, None).begin(first)


@pytest.mark.parametrize("mode", ["Standard", "RawDeployment", ""])
def test_routes_lead_to_the_service_of_the_predictor(cluster: Objects, mode: str) -> None:
    first = record(runtime(kserve=KServe()), "dep-1")
    driver = services(cluster, {"dep-1": first}, None)
    driver.begin(first)
    cluster.says(conditions=READY, **({"deploymentMode": mode} if mode else {}))

    assert driver.backend(first) == Backend(first, "dep-1-predictor", 80)


@pytest.mark.parametrize(
    "status",
    [
        {"deploymentMode": "Knative"},
        {"deploymentMode": "Serverless"},
        {"components": {"predictor": {"latestCreatedRevision": "dep-1-predictor-00001"}}},
    ],
)
def test_no_route_leads_to_a_serverless_predictor(cluster: Objects, status: dict[str, Any]) -> None:
    first = record(runtime(kserve=KServe()), "dep-1")
    driver = services(cluster, {"dep-1": first}, None)
    driver.begin(first)
    cluster.says(conditions=READY, **status)

    with pytest.raises(AdapterError, match=r"is serverless.*take 'gateway' out"):
        driver.backend(first)
