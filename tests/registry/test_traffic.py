"""Where requests go, and which gateways follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airlock.exceptions import Conflict
from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord, Mirror, Traffic
from airlock.registry.traffic import HEARTBEAT
from tests.registry.building import add_snapshot, begin, deploy, include, runtime


@pytest.fixture
def deployments(registry: Registry) -> list[DeploymentRecord]:
    """Two ready online deployments of cc-fraud at PROD."""
    registry.catalog.apply(include(runtime("r", capacity=8)), by="ops")
    return [online(registry, version) for version in (1, 2)]


def online(registry: Registry, version: int) -> DeploymentRecord:
    passage = begin(registry, add_snapshot(registry, content=version), f"fraud@{version}")
    deployment = deploy(registry, passage, stage="PROD")
    endpoint = {
        "kind": "rest",
        "url": f"http://127.0.0.1:{8000 + version}",
        "inside": f"http://c{version}:80",
    }
    return registry.deployments.set_state(deployment.id, "ready", endpoints=[endpoint])


def direct(registry: Registry, shares: dict[str, int], **more: object) -> Traffic:
    return registry.traffic.direct("cc-fraud", "PROD", shares, actor="ann", reason="so", **more)  # type: ignore[arg-type]


def test_traffic_said_again_changes_nothing(registry: Registry, deployments: list[DeploymentRecord]) -> None:
    old, new = (deployment.id for deployment in deployments)
    first = direct(registry, {old: 100})
    split = direct(registry, {new: 5, old: 95}, sticky="X-Customer")
    assert direct(registry, {new: 5, old: 95}, sticky="X-Customer") == split
    assert registry.traffic.current("cc-fraud", "PROD") == split
    assert [traffic.id for traffic in registry.traffic.history("cc-fraud", "PROD")] == [split.id, first.id]
    events = [
        entry.details["shares"] for entry in registry.ledger.entries() if entry.event == "traffic.directed"
    ]
    assert events == [
        [{"deployment": old, "percent": 100}],
        [{"deployment": new, "percent": 5}, {"deployment": old, "percent": 95}],
    ]


def test_a_route_names_the_deployments_that_are_ready(
    registry: Registry, deployments: list[DeploymentRecord]
) -> None:
    old, new = (deployment.id for deployment in deployments)
    traffic = direct(registry, {old: 100}, mirror=Mirror(new, 20))
    routes = registry.traffic.routes()
    [route] = routes.routes
    assert routes.traffic_id == traffic.id
    [backend] = route.backends
    assert (backend.snapshot_name, backend.url, backend.inside, backend.percent) == (
        "fraud@1",
        "http://127.0.0.1:8001",
        "http://c1:80",
        100,
    )
    assert route.mirror is not None
    assert (route.mirror.deployment_id, route.mirror.percent) == (new, 20)

    registry.deployments.set_state(old, "retiring")
    [route] = registry.traffic.routes().routes
    assert route.backends == ()


def test_where_streams_read_there_is_no_route(
    registry: Registry, deployments: list[DeploymentRecord]
) -> None:
    old, new = (deployment.id for deployment in deployments)
    for name in (old, new):
        kafka = {"kind": "kafka", "url": "kafka://transactions"}
        metrics = {"kind": "metrics", "url": "http://127.0.0.1:9000"}
        registry.deployments.set_state(name, "ready", endpoints=[kafka, metrics])

    traffic = direct(registry, {old: 95, new: 5})

    assert registry.traffic.routes().routes == ()
    assert registry.traffic.routes().traffic_id == traffic.id, "gateways follow all the same"


def test_nothing_gets_requests_that_cannot_answer(
    registry: Registry, deployments: list[DeploymentRecord]
) -> None:
    old, new = (deployment.id for deployment in deployments)
    with pytest.raises(Conflict, match="not 100 percent"):
        direct(registry, {old: 50, new: 49})
    with pytest.raises(Conflict, match="no online deployment there that is ready"):
        direct(registry, {"dep-elsewhere": 100})
    registry.deployments.set_state(new, "retired")
    with pytest.raises(Conflict, match=new):
        direct(registry, {old: 100}, mirror=Mirror(new, 100))
    assert registry.traffic.current("cc-fraud", "PROD") is None


def test_requests_go_to_the_version_in_use_and_to_the_one_on_trial(
    registry: Registry, deployments: list[DeploymentRecord]
) -> None:
    """Whoever directs them was told so before, and something else may be so by now."""
    old, new = deployments
    registry.history.make_current(
        passage_id=old.passage_id,
        deployment_id=old.id,
        service="cc-fraud",
        stage="PROD",
        mode="online",
        snapshot_digest=old.snapshot_digest,
    )
    with pytest.raises(Conflict, match="fraud@1 is the version in use there, and no rollout of this"):
        direct(registry, {new.id: 100})
    rollout = registry.rollouts.begin(
        passage_id=str(new.passage_id),
        service="cc-fraud",
        stage="PROD",
        strategy={"strategy": "canary"},
        deployment_id=new.id,
        current_deployment_id=old.id,
    )
    direct(registry, {old.id: 100}, mirror=Mirror(new.id, 20))
    direct(registry, {new.id: 5, old.id: 95})

    registry.rollouts.end(rollout.id, "rolled_back", "a guard failed")
    direct(registry, {old.id: 100})
    for shares, mirror in (({new.id: 50, old.id: 50}, None), ({old.id: 100}, Mirror(new.id, 20))):
        with pytest.raises(Conflict, match=new.id):
            direct(registry, shares, mirror=mirror)


def test_gateways_that_run_are_waited_for(registry: Registry, deployments: list[DeploymentRecord]) -> None:
    now = datetime.now(UTC)
    registry.traffic.follow("one", 0)
    registry.traffic.follow("two", 0)
    traffic = direct(registry, {deployments[0].id: 100})
    assert registry.traffic.behind(traffic, now) == ["one", "two"]
    registry.traffic.follow("one", traffic.id)
    assert registry.traffic.behind(traffic, now) == ["two"]
    assert registry.traffic.behind(traffic, now + 10 * HEARTBEAT + timedelta(minutes=1)) == [], "it is gone"
    registry.traffic.leave("two")
    assert registry.traffic.behind(traffic, now) == []


def test_requests_without_an_answer_add_up_over_gateways(
    registry: Registry, deployments: list[DeploymentRecord]
) -> None:
    old, new = (deployment.id for deployment in deployments)
    registry.traffic.follow("one", 0, unanswered={old: 2, new: 0})
    registry.traffic.follow("other", 0, unanswered={old: 5})
    registry.traffic.follow("one", 0, unanswered={old: 1})
    registry.traffic.follow("one", 0)
    registry.traffic.leave("one")

    assert registry.traffic.unanswered(old) == 8
    assert registry.traffic.unanswered(new) == 0
