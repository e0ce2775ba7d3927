"""What is on a runtime, held against what the registry says is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from airlock.orchestration.inventory import Kind, clean, find_drift, find_orphans
from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord
from airlock.runtimes.base import Adapter
from tests.listed_runtime import ListedRuntime
from tests.registry.building import add_snapshot, begin, deploy, include, runtime


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    found = Registry(f"sqlite:///{tmp_path}/registry.db")
    found.migrate()
    found.catalog.apply(include(runtime("r", capacity=9), runtime("other", stages=["UAT"])), by="ops")
    yield found
    found.close()


@pytest.fixture
def live(registry: Registry) -> DeploymentRecord:
    return deploy(registry, begin(registry, add_snapshot(registry), "run-1"))


@pytest.fixture
def retired(registry: Registry) -> DeploymentRecord:
    passage = begin(registry, add_snapshot(registry, content=2, services=["b"]), "run-2", service="b")
    deployment = deploy(registry, passage)
    return registry.deployments.set_state(deployment.id, "retired", reason="replaced")


def orphans(registry: Registry, there: ListedRuntime, name: str = "r") -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in find_orphans(registry, cast("Adapter", there), name)]


def test_what_a_live_deployment_needs_is_no_orphan(registry: Registry, live: DeploymentRecord) -> None:
    there = ListedRuntime([live.id, f"{live.id}-champion-performance"], [f"{live.id}-smoke-1-records"])

    assert orphans(registry, there) == []


def test_what_only_an_ended_deployment_needed_is_one(registry: Registry, retired: DeploymentRecord) -> None:
    champion, job = f"{retired.id}-champion-performance", f"{retired.id}-smoke-1-records"
    there = ListedRuntime([retired.id, champion], [job])

    found = find_orphans(registry, cast("Adapter", there), "r")

    assert [(each.kind, each.name) for each in found] == [
        ("deployment", retired.id),
        ("deployment", champion),
        ("job", job),
    ]
    assert {each.since for each in found} == {retired.changed_at}
    assert {each.reason for each in found} == {
        f"Its deployment, {retired.snapshot_name} for b at DEV, is retired: replaced"
    }


def test_what_the_registry_does_not_know_is_one(registry: Registry, live: DeploymentRecord) -> None:
    there = ListedRuntime(["dep-0123456789ab", f"{live.id}0", "something"], ["dep-0123456789ab-smoke-1-x"])

    found = find_orphans(registry, cast("Adapter", there), "r")

    assert len(found) == 4
    assert {(each.reason, each.since) for each in found} == {
        ("The registry does not know its deployment.", None)
    }


def test_what_belongs_on_another_runtime_is_one(registry: Registry, live: DeploymentRecord) -> None:
    [found] = find_orphans(registry, cast("Adapter", ListedRuntime([live.id])), "other")

    assert "is on runtime r" in found.reason


def test_cleaning_removes_what_is_an_orphan_and_was_named(
    registry: Registry, live: DeploymentRecord, retired: DeploymentRecord
) -> None:
    unknown = "dep-0123456789ab"
    there = ListedRuntime([live.id, retired.id, unknown], [f"{retired.id}-smoke-1-records"])
    wanted: set[tuple[Kind, str]] = {
        ("deployment", live.id),
        ("deployment", retired.id),
        ("job", f"{retired.id}-smoke-1-records"),
    }

    cleaned = clean(registry, cast("Adapter", there), "r", wanted, by="olga")
    again = clean(registry, cast("Adapter", there), "r", wanted, by="olga")

    assert (there.deployments, there.jobs) == ([live.id, unknown], [])
    assert [each.name for each in cleaned.removed] == [retired.id, f"{retired.id}-smoke-1-records"]
    assert (again.removed, again.failed) == ([], [])
    [entry] = registry.ledger.entries(event="runtime.cleaned")
    assert (entry.subject, entry.actor) == ("r", "olga")
    assert entry.details == {"removed": [f"deployment {retired.id}", f"job {retired.id}-smoke-1-records"]}


def test_what_cannot_be_removed_does_not_keep_the_rest(registry: Registry, retired: DeploymentRecord) -> None:
    there = ListedRuntime(["dep-0123456789ab", retired.id])
    there.stuck = {"dep-0123456789ab"}
    wanted: set[tuple[Kind, str]] = {("deployment", name) for name in there.deployments}

    cleaned = clean(registry, cast("Adapter", there), "r", wanted, by="olga")

    assert there.deployments == ["dep-0123456789ab"]
    assert [problem for _, problem in cleaned.failed] == [
        "dep-0123456789ab cannot be removed: the disk is read-only."
    ]


def test_drift_is_what_should_be_there_and_is_not(
    registry: Registry, live: DeploymentRecord, retired: DeploymentRecord
) -> None:
    assert find_drift(registry, cast("Adapter", ListedRuntime([live.id])), "r") == []

    [drift] = find_drift(registry, cast("Adapter", ListedRuntime()), "r")

    assert (drift.deployment, drift.state, drift.message) == (live, "gone", "It is not there.")


def test_what_is_retired_while_one_looks_is_no_drift(registry: Registry, live: DeploymentRecord) -> None:
    class Retiring(ListedRuntime):
        def status(self, handle):  # type: ignore[no-untyped-def]
            registry.deployments.set_state(live.id, "retired")
            return super().status(handle)

    assert find_drift(registry, cast("Adapter", Retiring()), "r") == []
