"""A snapshot's way to a runtime and back, on a runtime that does what the test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from airlock.exceptions import DeploymentFailed
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.placement import Placement, undeploy
from airlock.orchestration.watching import Begun
from airlock.registry import Registry
from airlock.runtimes.base import DeploymentPlan, DeploymentState, Endpoint, Handle, LogLines, Status
from tests.listed_runtime import ListedRuntime
from tests.registry.building import begin, include, runtime
from tests.web.manifests import small_snapshot

IMAGE = f"registry.example/fraud@sha256:{'a' * 64}"


class StartingRuntime(ListedRuntime):
    """Deployments are in one state, which the test sets."""

    state: DeploymentState = "starting"

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[DeploymentPlan] = []

    def deploy(self, plan: DeploymentPlan) -> Handle:
        self.plans.append(plan)
        self.deployments.append(plan.name)
        return {"name": plan.name, "image": IMAGE}

    def status(self, handle: Handle) -> Status:
        return Status(self.state, "the weights are of another model" if self.state == "failed" else "")

    def endpoints(self, handle: Handle) -> Sequence[Endpoint]:
        return [Endpoint("rest", "http://outside.example:20000", inside="http://fraud.DEV:8080")]

    def follow(self, handle: Handle, position: str | None = None) -> LogLines:
        return LogLines([], "0")

    def logs(self, handle: Handle, *, lines: int = 50) -> str:
        return ""


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> StartingRuntime:
    found = StartingRuntime()
    monkeypatch.setattr("airlock.runtimes.adapter_for", lambda spec, settings: found)
    return found


@pytest.fixture
def placement(tmp_path: Path, there: StartingRuntime) -> Iterator[Placement]:
    registry = Registry(f"sqlite:///{tmp_path}/registry.db")
    registry.migrate()
    registry.catalog.apply(include(runtime("r", capacity=9)), by="ops")
    manifest = small_snapshot().document
    from airlock.snapshots.manifest import Manifest

    snapshot = registry.snapshots.add(manifest, Manifest.read(manifest).digest, by="ann")
    passage = begin(registry, snapshot, "run-1")
    yield Placement(
        settings=replace(load_settings(), inline_wait=timedelta(0)),
        registry=registry,
        snapshot=snapshot,
        service="cc-fraud",
        stage="DEV",
        mode="online",
        key=passage.id,
        purpose="passage",
        passage_id=passage.id,
    )
    registry.close()


def test_a_deployment_that_fails_while_the_task_is_away_is_not_begun_anew(
    placement: Placement, there: StartingRuntime
) -> None:
    begun = Begun()
    assert placement.bring_up(placement.claim(), begun).state == "deploying"
    there.state = "failed"

    with pytest.raises(DeploymentFailed, match="the weights are of another model"):
        placement.bring_up(placement.claim(), Begun(begun.entries))

    assert len(there.plans) == 1
    assert there.deployments == []
    assert placement.current().state == "failed"
    there.state = "ready"
    assert placement.bring_up(placement.claim(), Begun()).state == "ready", "a further try begins one more"
    assert [plan.name for plan in there.plans] == [each.id for each in placement.all()]


def test_the_address_inside_is_kept_beside_the_one_for_applications(
    placement: Placement, there: StartingRuntime
) -> None:
    there.state = "ready"

    [endpoint] = placement.bring_up(placement.claim(), Begun()).endpoints

    assert endpoint == {
        "kind": "rest",
        "url": "http://outside.example:20000",
        "inside": "http://fraud.DEV:8080",
    }


def test_a_snapshot_is_deployed_in_the_image_that_it_ran_in_before(
    placement: Placement, there: StartingRuntime
) -> None:
    there.state = "ready"
    placement.bring_up(placement.claim(), Begun())

    later = replace(placement, stage="PROD")
    later.bring_up(later.claim(), Begun())

    assert [plan.image for plan in there.plans] == [None, IMAGE]


def test_a_deployment_keeps_as_many_answers_as_its_placement_says(
    placement: Placement, there: StartingRuntime
) -> None:
    there.state = "ready"
    recording = replace(placement, record_answers=50)

    recording.bring_up(recording.claim(), Begun())

    assert [plan.record_answers for plan in there.plans] == [50]


def test_a_deployment_goes_with_everything_that_was_there_for_it(
    placement: Placement, there: StartingRuntime
) -> None:
    there.state = "ready"
    deployment = placement.bring_up(placement.claim(), Begun())
    there.deployments += [f"{deployment.id}-champion-performance", "dep-another"]
    there.jobs += [f"{deployment.id}-smoke-1-records", "dep-another-smoke-1-records"]

    undeploy(placement.settings, placement.registry, deployment, "promoted")

    assert there.deployments == ["dep-another"]
    assert there.jobs == ["dep-another-smoke-1-records"]
    assert placement.current().state == "retired"
