"""A deployment's way from planned to retired, and its slot on the runtime."""

from __future__ import annotations

import pytest

from airlock.exceptions import Conflict, NotFound
from airlock.registry import Registry
from airlock.registry.records import PassageRecord
from tests.registry.building import acquire, add_snapshot, begin, deploy, include, runtime


@pytest.fixture
def passage(registry: Registry) -> PassageRecord:
    registry.catalog.apply(include(runtime("r", capacity=3)), by="ops")
    return begin(registry, add_snapshot(registry), "run-1")


def test_its_id_follows_from_what_it_is_for(registry: Registry, passage: PassageRecord) -> None:
    planned = deploy(registry, passage, ready=False)
    identify = registry.deployments.identify
    assert planned.id == identify(key=passage.id, stage="DEV", mode="online")
    others = {
        identify(key=passage.id, stage="DEV", mode="batch"),
        identify(key=passage.id, stage="DEV", mode="online", attempt=2),
        identify(key=passage.id, stage="PROD", mode="online"),
    }
    assert planned.id not in others
    assert len(others) == 3
    assert (planned.state, planned.runtime, planned.handle, planned.endpoints) == ("planned", "r", None, ())
    assert deploy(registry, passage, ready=False) == planned, "declaring again finds it"


def test_it_becomes_ready_with_handle_and_endpoints(registry: Registry, passage: PassageRecord) -> None:
    ready = deploy(registry, passage)
    assert ready.serving
    assert ready.handle == {"name": ready.id}
    assert ready.endpoints == ({"kind": "rest", "url": f"http://{ready.id}"},)
    assert registry.deployments.get(ready.id) == ready
    assert registry.deployments.live("cc-fraud", "DEV", "online") == [ready]
    assert registry.deployments.live("cc-fraud", "PROD") == []


def test_a_task_that_runs_once_more_changes_nothing(registry: Registry, passage: PassageRecord) -> None:
    ready = deploy(registry, passage)
    rows = registry.ledger.head().count
    assert registry.deployments.set_state(ready.id, "deploying", handle=ready.handle) == ready
    assert registry.deployments.set_state(ready.id, "ready", endpoints=ready.endpoints) == ready
    assert registry.ledger.head().count == rows
    moved = registry.deployments.set_state(
        ready.id, "ready", endpoints=[{"kind": "rest", "url": "http://new"}]
    )
    assert moved.endpoints == ({"kind": "rest", "url": "http://new"},)


@pytest.mark.parametrize("end", ["retired", "failed"])
def test_its_end_gives_the_slot_back(registry: Registry, passage: PassageRecord, end: str) -> None:
    ready = deploy(registry, passage)
    assert len(registry.leases.held()) == 1
    registry.deployments.set_state(ready.id, "retiring")
    assert len(registry.leases.held()) == 1, "it still drains"
    ended = registry.deployments.set_state(ready.id, end, reason="why")  # type: ignore[arg-type]
    assert (ended.state, ended.reason) == (end, "why")
    assert registry.leases.held() == []
    assert registry.deployments.live() == []
    assert registry.deployments.set_state(ready.id, "retired").state == end, (
        "said again, it stays as it ended"
    )
    with pytest.raises(Conflict, match=rf"is {end}: it cannot become deploying. Declare a further attempt"):
        registry.deployments.set_state(ready.id, "deploying")


def test_a_further_attempt_has_its_own_life(registry: Registry, passage: PassageRecord) -> None:
    first = deploy(registry, passage)
    registry.deployments.set_state(first.id, "failed", reason="out of memory")
    second = deploy(registry, passage, attempt=2)
    assert registry.deployments.list(key=passage.id, stage="DEV", mode="online") == [
        registry.deployments.get(first.id),
        second,
    ]
    assert registry.deployments.live() == [second]


def test_without_a_slot_nothing_is_deployed(registry: Registry, passage: PassageRecord) -> None:
    planned = deploy(registry, passage, ready=False)
    registry.leases.release(planned.id)
    with pytest.raises(Conflict, match="holds no slot of runtime r, so it cannot become deploying"):
        registry.deployments.set_state(planned.id, "deploying")
    acquire(registry, planned.id)
    assert registry.deployments.set_state(planned.id, "deploying").state == "deploying"


def test_what_is_being_retired_does_not_come_back(registry: Registry, passage: PassageRecord) -> None:
    ready = deploy(registry, passage)
    registry.deployments.set_state(ready.id, "retiring")
    with pytest.raises(Conflict, match="is retiring: it cannot become ready"):
        registry.deployments.set_state(ready.id, "ready")


def test_the_same_name_for_something_else_is_a_conflict(registry: Registry, passage: PassageRecord) -> None:
    planned = deploy(registry, passage, ready=False)
    with pytest.raises(Conflict, match=rf"{planned.id} is fraud@1 for service cc-fraud on runtime r, not"):
        registry.deployments.declare(
            passage_id=passage.id,
            service="cc-fraud",
            snapshot_digest=passage.snapshot_digest,
            stage="DEV",
            mode="online",
            runtime="another",
            purpose="passage",
            key=passage.id,
        )


def test_names_in_use_tell_orphans_from_the_others(registry: Registry, passage: PassageRecord) -> None:
    planned = deploy(registry, passage, "PROD", ready=False)
    ready = deploy(registry, passage, "DEV")
    gone = deploy(registry, passage, "DEV", "batch")
    registry.deployments.set_state(gone.id, "retired")
    assert registry.deployments.names_in_use() == {planned.id, ready.id}


def test_deployments_can_be_narrowed(registry: Registry, passage: PassageRecord) -> None:
    online, batch = deploy(registry, passage, "DEV"), deploy(registry, passage, "PROD", "batch")
    listed = registry.deployments.list
    assert listed() == [online, batch]
    assert listed("cc-fraud", "PROD") == listed(mode="batch") == [batch]
    assert listed(passage_id="pas-other") == listed(runtime="other") == listed(purpose="scoring") == []
    assert listed(states=["ready"]) == [online, batch]


def test_an_unknown_one_is_not_found(registry: Registry) -> None:
    assert registry.deployments.find("dep-0") is None
    with pytest.raises(NotFound, match="no deployment 'dep-0'"):
        registry.deployments.get("dep-0")


def test_a_snapshot_keeps_the_image_that_it_ran_in_first(registry: Registry, passage: PassageRecord) -> None:
    image_of = registry.deployments.image_of
    first = deploy(registry, passage)
    assert image_of(passage.snapshot_digest) is None

    def ran_in(deployment: str, image: str) -> None:
        registry.deployments.set_state(deployment, "ready", handle={"name": deployment, "image": image})

    ran_in(first.id, f"sha256:{'a' * 64}")
    assert image_of(passage.snapshot_digest) is None, "an image of one engine only"
    unready = deploy(registry, passage, "PROD", ready=False)
    broken = {"name": unready.id, "image": f"registry.example/fraud@sha256:{'d' * 64}"}
    registry.deployments.set_state(unready.id, "deploying", handle=broken)
    registry.deployments.set_state(unready.id, "failed", reason="its base image is of another machine")
    assert image_of(passage.snapshot_digest) is None, "it never got ready in that one"
    later = deploy(registry, passage, "PROD", attempt=2)
    ran_in(later.id, f"registry.example/fraud@sha256:{'b' * 64}")
    assert image_of(passage.snapshot_digest) == f"registry.example/fraud@sha256:{'b' * 64}"
    ran_in(first.id, f"registry.example/fraud@sha256:{'c' * 64}")
    registry.deployments.set_state(first.id, "retired")

    assert image_of(passage.snapshot_digest) == f"registry.example/fraud@sha256:{'c' * 64}"
    assert image_of("sha256:other") is None


def test_a_stream_has_an_image_of_its_own(registry: Registry, passage: PassageRecord) -> None:
    server, stream = deploy(registry, passage), deploy(registry, passage, "PROD")
    handles = {
        server.id: {"name": server.id, "image": f"registry.example/fraud@sha256:{'a' * 64}"},
        stream.id: {"name": stream.id, "image": f"registry.example/fraud@sha256:{'b' * 64}", "stream": True},
    }
    for name, handle in handles.items():
        registry.deployments.set_state(name, "ready", handle=handle)

    assert registry.deployments.image_of(passage.snapshot_digest) == handles[server.id]["image"]
    assert registry.deployments.image_of(passage.snapshot_digest, stream=True) == handles[stream.id]["image"]
