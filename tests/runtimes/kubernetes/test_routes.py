"""HTTPRoutes: one for each service and stage, which follows the registry's traffic."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.exceptions import AdapterError
from airlock.runtimes.base import DeploymentPlan, Handle, Routed, RuntimeSettings, Split
from airlock.runtimes.kubernetes.adapter import KubernetesAdapter
from airlock.runtimes.kubernetes.cluster import Cluster, Kind
from airlock.runtimes.kubernetes.http_route import Backend, http_route, why_not_followed
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.runtimes.kubernetes.routes import Routes
from airlock.snapshots.manifest import Manifest
from airlock.spec import KubernetesOptions, Resources, RuntimeSpec
from airlock.spec.kubernetes_parts import StableGateway

from ..waiting import wait_for
from .custom_schemas import HTTP_ROUTE
from .made import DIGEST, IMAGE, LABELS, Made, record, runtime
from .stub.cluster import StubCluster

FRONT = StableGateway("front", "models.example.com", "infra", "https", tls=True)


def split(shares: dict[str, int], *, number: int = 1, **more: Any) -> Split:
    return Split("cc-fraud", "PROD", number, shares, **more)


def backends(*names: str) -> dict[str, Backend]:
    spec = runtime()
    return {name: Backend(record(spec, name), name, 8080) for name in names}


# --- what is said to the cluster


def test_requests_are_divided_by_weight_below_one_path() -> None:
    item = http_route(split({"dep-2": 25, "dep-1": 75}), backends("dep-1", "dep-2"), runtime(), FRONT)

    assert item["spec"]["hostnames"] == ["models.example.com"]
    [gateway] = item["spec"]["parentRefs"]
    assert (gateway["namespace"], gateway["name"], gateway["sectionName"]) == ("infra", "front", "https")
    _, divided = item["spec"]["rules"]
    assert divided["matches"] == [{"path": {"type": "PathPrefix", "value": "/cc-fraud/PROD"}}]
    assert {one["name"]: one["weight"] for one in divided["backendRefs"]} == {"dep-2": 25, "dep-1": 75}
    assert divided["filters"] == [
        {
            "type": "URLRewrite",
            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
        },
        {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": "X-Forwarded-Prefix", "value": "/cc-fraud/PROD"}]},
        },
    ]


def test_what_is_there_for_airlock_leads_nowhere() -> None:
    item = http_route(split({"dep-1": 100}), backends("dep-1"), runtime(), FRONT)

    assert item["spec"]["rules"][0] == {
        "matches": [{"path": {"type": "PathPrefix", "value": "/cc-fraud/PROD/airlock"}}]
    }


@pytest.mark.parametrize(("percent", "said"), [(20, {"percent": 20}), (100, {})])
def test_a_shadow_gets_copies(percent: int, said: dict[str, int]) -> None:
    wanted = split({"dep-1": 100}, mirror=("dep-2", percent))
    item = http_route(wanted, backends("dep-1", "dep-2"), runtime(), FRONT)

    divided = item["spec"]["rules"][1]
    [mirror] = [one["requestMirror"] for one in divided["filters"] if one["type"] == "RequestMirror"]
    assert mirror == {"backendRef": {"group": "", "kind": "Service", "name": "dep-2", "port": 8080}, **said}
    assert [one["name"] for one in divided["backendRefs"]] == ["dep-1"]


def test_it_goes_with_the_last_of_its_deployments() -> None:
    item = http_route(split({"dep-2": 25, "dep-1": 75}), backends("dep-1", "dep-2"), runtime(), FRONT)

    owners = item["metadata"]["ownerReferences"]
    assert [(one["kind"], one["name"], one["blockOwnerDeletion"]) for one in owners] == [
        ("ConfigMap", "dep-1", False),
        ("ConfigMap", "dep-2", False),
    ]


@given(
    percents=st.lists(st.integers(0, 100), min_size=1, max_size=4),
    mirrored=st.none() | st.integers(1, 100),
    service=st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?", fullmatch=True),
    stage=st.from_regex(r"[A-Z][A-Z0-9_]{0,31}", fullmatch=True),
    gateway=st.builds(
        StableGateway,
        name=st.sampled_from(["front", "a-b"]),
        host=st.sampled_from(["models.example.com", "a"]),
        namespace=st.none() | st.just("infra"),
        listener=st.none() | st.just("https"),
    ),
)
def test_every_route_is_as_the_gateway_api_publishes_it(
    percents: list[int], mirrored: int | None, service: str, stage: str, gateway: StableGateway
) -> None:
    names = [f"dep-{number}" for number in range(len(percents))]
    mirror = None if mirrored is None else (names[0], mirrored)
    wanted = Split(service, stage, 1, dict(zip(names, percents, strict=True)), mirror)

    item = http_route(wanted, backends(*names), runtime(), gateway)

    assert [*jsonschema.Draft202012Validator(HTTP_ROUTE).iter_errors(item["spec"])] == []
    assert len(item["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    "change",
    [
        lambda rule: rule.update(filters=[{"type": "URLRewrite", "requestMirror": {}}]),
        lambda rule: rule["matches"][0]["path"].update(type="Exact"),
        lambda rule: rule["matches"][0]["path"].update(value="//a"),
        lambda rule: rule["backendRefs"][0].update(weight=-1),
        lambda rule: rule["backendRefs"][0].pop("port"),
        lambda rule: rule.update(sticky="X-Customer"),
    ],
)
def test_the_schema_refuses_what_the_gateway_api_refuses(change: Callable[[Made], Any]) -> None:
    item = copy.deepcopy(http_route(split({"dep-1": 100}), backends("dep-1"), runtime(), FRONT))
    change(item["spec"]["rules"][1])

    assert [*jsonschema.Draft202012Validator(HTTP_ROUTE).iter_errors(item["spec"])] != []


# --- what the gateway's controller says


def followed(*conditions: tuple[str, str, int], generation: int = 2, name: str = "front") -> str:
    """Why a route is not followed that has such conditions: type, status and observed generation."""
    item = http_route(split({"dep-1": 100}), backends("dep-1"), runtime(), FRONT)
    item["metadata"]["generation"] = generation
    said = [
        {
            "type": kind,
            "status": status,
            "observedGeneration": seen,
            "reason": "NotAllowedByListeners",
            "message": "no",
        }
        for kind, status, seen in conditions
    ]
    reference = {"name": name, "namespace": "infra", "sectionName": "https"}
    item["status"] = {"parents": [{"parentRef": reference, "conditions": said}]}
    return why_not_followed(item, "models")


def test_a_route_is_followed_once_its_last_change_is_accepted_and_all_services_are_found() -> None:
    assert followed(("Accepted", "True", 2), ("ResolvedRefs", "True", 2)) == ""
    assert "not seen" in followed(("Accepted", "True", 1), ("ResolvedRefs", "True", 1))
    assert "not seen" in followed(("Accepted", "True", 2))
    assert "NotAllowedByListeners: no" in followed(("Accepted", "False", 2))
    assert "ResolvedRefs" not in followed(("Accepted", "True", 2), ("ResolvedRefs", "False", 2))
    assert "is there the gateway infra/front" in followed(("Accepted", "True", 2), name="another")


# --- on a cluster

Connect = Callable[..., KubernetesAdapter]


@pytest.fixture
def connect(
    cluster: StubCluster, namespace: str, settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connect]:
    """Runtimes with the gateway ``front``. Their pods never run, which is nothing to a route."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    made: list[KubernetesAdapter] = []

    def make(name: str = "prod", **options: Any) -> KubernetesAdapter:
        chosen = {
            "namespace": namespace,
            "gateway": {"name": "front", "host": "models.example.com"},
            **options,
        }
        spec = RuntimeSpec(name, "kubernetes", ["PROD"], options=KubernetesOptions.model_validate(chosen))
        made.append(KubernetesAdapter(spec, settings, image_of=lambda plan: IMAGE, checks_image=IMAGE))
        return made[-1]

    yield make
    for adapter in made:
        for handle in adapter.list():
            adapter.undeploy(handle)


def deploy(adapter: KubernetesAdapter, name: str) -> Handle:
    manifest = cast("Manifest", SimpleNamespace(digest=DIGEST))
    return adapter.deploy(DeploymentPlan(name, DIGEST, manifest, "online", Resources(), LABELS))


def let(adapter: KubernetesAdapter, wanted: Split) -> None:
    """Ask until it is so."""
    wait_for(lambda: adapter.route(wanted), lambda routed: routed.done)


def path_of(namespace: str) -> str:
    return f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"


def routes(cluster: StubCluster, namespace: str) -> list[Made]:
    found: list[Made] = cluster.request("GET", path_of(namespace))["items"]
    return found


def weights(cluster: StubCluster, namespace: str) -> dict[str, int]:
    [route] = routes(cluster, namespace)
    return {one["name"]: one["weight"] for one in route["spec"]["rules"][1]["backendRefs"]}


@pytest.mark.kubernetes
class TestOnACluster:
    def test_a_route_follows_the_traffic_and_goes_with_it(
        self, connect: Connect, cluster: StubCluster, namespace: str
    ) -> None:
        adapter = connect()
        old, new = deploy(adapter, "dep-1"), deploy(adapter, "dep-2")

        let(adapter, split({"dep-1": 100}, number=1))
        let(adapter, split({"dep-2": 5, "dep-1": 95}, number=2))
        assert weights(cluster, namespace) == {"dep-2": 5, "dep-1": 95}
        let(adapter, split({"dep-2": 100}, number=3))
        assert weights(cluster, namespace) == {"dep-2": 100}

        adapter.undeploy(old)
        assert weights(cluster, namespace) == {"dep-2": 100}
        let(adapter, split({}, number=4))
        assert routes(cluster, namespace) == []
        adapter.undeploy(new)

    def test_its_address_stays(self, connect: Connect) -> None:
        gateway = {"name": "front", "host": "models.example.com", "tls": True, "port": 8443}

        assert connect().address("cc-fraud", "PROD") == "http://models.example.com/cc-fraud/PROD"
        assert connect(gateway=gateway).address("a", "DEV") == "https://models.example.com:8443/a/DEV"
        assert connect(gateway=None).address("cc-fraud", "PROD") is None

    def test_said_again_nothing_is_written(
        self, connect: Connect, cluster: StubCluster, namespace: str
    ) -> None:
        adapter, wanted = connect(), split({"dep-1": 100})
        deploy(adapter, "dep-1")
        let(adapter, wanted)
        [before] = routes(cluster, namespace)

        assert connect().route(wanted) == Routed(True)

        assert [before] == routes(cluster, namespace)

    def test_what_was_asked_for_later_counts(
        self, connect: Connect, cluster: StubCluster, namespace: str
    ) -> None:
        """Two callers change the traffic, and the first one is slow."""
        adapter = connect()
        deploy(adapter, "dep-1")
        deploy(adapter, "dep-2")
        let(adapter, split({"dep-1": 100}, number=8))

        for late in (split({"dep-2": 50, "dep-1": 50}, number=7), split({}, number=7)):
            routed = adapter.route(late)
            assert not routed.done
            assert "later change" in routed.message

        assert weights(cluster, namespace) == {"dep-1": 100}

    def test_a_change_in_between_is_not_overwritten(
        self, connect: Connect, cluster: StubCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the reading of a route and its change, another caller changes it, or takes it away."""
        slow, fast = connect(), connect()
        for name in ("dep-1", "dep-2"):
            deploy(slow, name)
        let(slow, split({"dep-1": 100}, number=1))
        read = Cluster.get
        numbers = iter((3, 5))

        def read_and_be_late(self: Cluster, kind: Kind, place: str, name: str) -> Made | None:
            found = read(self, kind, place, name)
            if kind.name == "HTTPRoute":
                with monkeypatch.context() as undone:
                    undone.setattr(Cluster, "get", read)
                    let(fast, split({"dep-2": 100}, number=next(numbers)))
            return found

        for late in (split({"dep-1": 100}, number=2), split({}, number=4)):
            with monkeypatch.context() as patched:
                patched.setattr(Cluster, "get", read_and_be_late)
                assert not slow.route(late).done
            assert weights(cluster, namespace) == {"dep-2": 100}

    def test_it_goes_with_its_last_deployment_even_if_nobody_says_so(
        self, connect: Connect, cluster: StubCluster, namespace: str
    ) -> None:
        adapter = connect()
        only = deploy(adapter, "dep-1")
        let(adapter, split({"dep-1": 100}))

        adapter.undeploy(only)

        wait_for(lambda: routes(cluster, namespace), lambda left: left == [])

    def test_runtimes_in_one_namespace_have_routes_of_their_own(
        self, connect: Connect, cluster: StubCluster, namespace: str
    ) -> None:
        one, other = connect("one"), connect("two")
        deploy(one, "dep-1")
        deploy(other, "dep-2")
        let(one, split({"dep-1": 100}, number=1))

        let(other, split({"dep-2": 100}, number=2))
        let(one, split({}, number=2))

        assert weights(cluster, namespace) == {"dep-2": 100}

    def test_a_gateway_that_does_not_take_it_up_is_told(self, connect: Connect) -> None:
        missing = connect(gateway={"name": "nowhere", "host": "models.example.com"})
        closed = connect("closed", gateway={"name": "closed", "host": "models.example.com"})
        deploy(missing, "dep-1")
        deploy(closed, "dep-2")

        assert "is there the gateway" in missing.route(split({"dep-1": 100})).message
        wait_for(
            lambda: closed.route(split({"dep-2": 100})).message,
            lambda message: "NotAllowedByListeners: No listener allows routes" in message,
        )

    def test_a_deployment_that_is_gone_gets_no_requests(self, connect: Connect) -> None:
        with pytest.raises(AdapterError, match=r"No requests can be sent to dep-9: it is not online on prod"):
            connect().route(split({"dep-9": 100}))

    def test_sticky_callers_are_refused_with_a_way_out(
        self, connect: Connect, cluster: StubCluster, namespace: str
    ) -> None:
        adapter = connect()
        deploy(adapter, "dep-1")
        deploy(adapter, "dep-2")

        with pytest.raises(AdapterError, match=r"X-Customer.*run 'airlock gateway'"):
            adapter.route(split({"dep-2": 5, "dep-1": 95}, sticky="X-Customer"))

        assert routes(cluster, namespace) == []
        let(adapter, split({"dep-1": 100}, sticky="X-Customer"))  # one version keeps everybody

    def test_a_route_of_somebody_else_is_left_alone(
        self, connect: Connect, cluster: StubCluster, namespace: str
    ) -> None:
        adapter = connect()
        deploy(adapter, "dep-1")
        let(adapter, split({"dep-1": 100}))
        [route] = routes(cluster, namespace)
        unlabelled = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
        path = f"{path_of(namespace)}/{route['metadata']['name']}"
        cluster.request("PATCH", path, unlabelled, content="application/merge-patch+json")

        with pytest.raises(AdapterError, match="which Airlock did not make"):
            adapter.route(split({}, number=2))

        assert len(routes(cluster, namespace)) == 1


# --- clusters that lack something


class Refusing(Cluster):
    """A cluster that refuses every route."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__(None, None)
        self._refusal = refusal

    def get(self, kind: Kind, namespace: str, name: str) -> Made | None:
        return None

    def apply(self, item: Made, kind: Kind, namespace: str) -> Made:
        raise self._refusal


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (Refused(404, "The server could not find the requested resource."), r"Install the Gateway API"),
        (
            Refused(
                500,
                "failed to create typed patch object: .requestMirror.percent: field not declared in schema.",
            ),
            r"too old to copy 20 %.*1\.3 or newer",
        ),
        (Refused(403, "somebody may not patch httproutes."), "somebody may not patch httproutes"),
    ],
)
def test_what_a_cluster_lacks_is_told(refusal: Refused, told: str) -> None:
    known = backends("dep-1", "dep-2")
    driver = Routes(Refusing(refusal), runtime(), FRONT, "models", known.__getitem__)

    with pytest.raises(AdapterError, match=told):
        driver.follow(split({"dep-1": 100}, mirror=("dep-2", 20)))
