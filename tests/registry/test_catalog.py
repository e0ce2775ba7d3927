"""Applying ``include/``: what changes is shown first, and the same again changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from airlock.exceptions import Conflict, NoSuitableRuntime, NotFound
from airlock.registry import Registry
from airlock.registry.records import Change
from airlock.spec import Approval, Policy, Roles, RuntimeSpec, Service
from airlock.spec.load import load_include
from airlock.spec.runtime_options import DockerOptions
from tests.registry.building import LIFECYCLE, acquire, include, runtime
from tests.registry.racing import race

SERVICE = Service("cc-fraud", "two-stages", "risk")
POLICY = Policy("PROD", approvals=[Approval("model-risk", 2)])
ROLES = Roles({"model-risk": ["mia", "ivo"]})


def actions(changes: list[Change]) -> dict[str, str]:
    return {f"{change.kind}/{change.name}": change.action for change in changes}


def test_a_plan_shows_and_does_nothing(registry: Registry) -> None:
    everything = include(LIFECYCLE, SERVICE, POLICY, ROLES, runtime("one"))
    plan = registry.catalog.plan(everything)
    assert actions(plan) == {
        "lifecycle/two-stages": "add",
        "policy/PROD": "add",
        "roles/roles": "add",
        "runtime/one": "add",
        "service/cc-fraud": "add",
    }
    assert registry.catalog.runtimes() == []
    assert registry.catalog.apply(everything, by="ops") == plan


def test_applying_twice_changes_nothing(registry: Registry) -> None:
    everything = include(LIFECYCLE, SERVICE, POLICY, ROLES, runtime("one"))
    registry.catalog.apply(everything, by="ops")
    rows = registry.ledger.head().count
    assert set(actions(registry.catalog.apply(everything, by="ops")).values()) == {"same"}
    assert registry.ledger.head().count == rows


def test_what_was_applied_is_read_back_as_it_was_written(registry: Registry) -> None:
    registry.catalog.apply(include(LIFECYCLE, SERVICE, POLICY, ROLES, runtime("one")), by="ops")
    assert registry.catalog.lifecycle("two-stages") == LIFECYCLE
    assert registry.catalog.service("cc-fraud") == SERVICE
    assert registry.catalog.services() == [SERVICE]
    assert registry.catalog.policy("PROD") == POLICY
    assert registry.catalog.roles() == ROLES
    assert registry.catalog.runtime("one").spec == runtime("one")


def test_the_files_that_ship_go_in_and_come_out_unchanged(registry: Registry) -> None:
    shipped = load_include(Path(__file__).parents[2] / "include")
    registry.catalog.apply(shipped, by="ops")
    assert {each.service: each for each in registry.catalog.services()} == shipped.services
    assert {each.name: each.spec for each in registry.catalog.runtimes()} == shipped.runtimes
    assert {name: registry.catalog.lifecycle(name) for name in shipped.lifecycles} == shipped.lifecycles
    assert {stage: registry.catalog.policy(stage) for stage in shipped.policies} == shipped.policies
    assert registry.catalog.roles() == shipped.roles
    assert set(actions(registry.catalog.plan(shipped)).values()) == {"same"}


def test_a_change_shows_before_and_after_and_stays_in_the_ledger(registry: Registry) -> None:
    registry.catalog.apply(include(POLICY), by="ops")
    relaxed = Policy("PROD", approvals=[Approval("model-risk", 1)])
    (change,) = [each for each in registry.catalog.apply(include(relaxed), by="eve") if each.action != "same"]
    assert (change.action, change.before, change.after) == (
        "change",
        POLICY.model_dump(mode="json"),
        relaxed.model_dump(mode="json"),
    )
    entry = registry.ledger.entries(subject="policy/PROD")[-1]
    assert (entry.actor, entry.details["before"]) == ("eve", POLICY.digest)
    assert (entry.details["after"], entry.details["spec"]) == (relaxed.digest, change.after)


def test_what_left_the_files_is_removed(registry: Registry) -> None:
    registry.catalog.apply(include(LIFECYCLE, SERVICE, POLICY, runtime("one")), by="ops")
    removed = actions(registry.catalog.apply(include(), by="ops"))
    assert removed.pop("roles/roles") == "same"
    assert set(removed.values()) == {"remove"}
    assert registry.catalog.runtimes() == []
    assert registry.catalog.services() == []
    assert registry.catalog.policy("PROD") == Policy("PROD"), "a stage without a policy asks nobody"
    with pytest.raises(NoSuitableRuntime):
        acquire(registry, "dep-1")


def test_a_runtime_in_use_is_cordoned_and_removed_once_it_is_free(registry: Registry) -> None:
    registry.catalog.apply(include(runtime("one", capacity=2)), by="ops")
    acquire(registry, "dep-1")
    (change,) = [each for each in registry.catalog.apply(include(), by="ops") if each.kind == "runtime"]
    assert (change.action, change.note) == (
        "remove",
        "1 of its slots are in use: cordoned now, removed by a later apply",
    )
    assert registry.catalog.runtime("one").cordoned
    with pytest.raises(NoSuitableRuntime, match="cordoned by ops: no longer in the files"):
        acquire(registry, "dep-2")
    assert actions(registry.catalog.apply(include(), by="ops"))["runtime/one"] == "same"
    registry.leases.release("dep-1")
    assert actions(registry.catalog.apply(include(), by="ops"))["runtime/one"] == "remove"
    assert registry.catalog.runtimes() == []


def test_a_runtime_in_use_stays_where_it_is(registry: Registry) -> None:
    docker = RuntimeSpec(runtime="one", kind="docker", stages=["DEV"])
    elsewhere = docker.model_copy(update={"options": DockerOptions(engine="ssh://ops@far", project="two")})
    registry.catalog.apply(include(runtime("one")), by="ops")
    acquire(registry, "dep-1")
    with pytest.raises(Conflict, match="Runtime one is in use, and another kind would make it another place"):
        registry.catalog.plan(include(docker))
    registry.leases.release("dep-1")
    registry.catalog.apply(include(docker), by="ops")
    acquire(registry, "dep-1")
    with pytest.raises(Conflict, match="another engine and project would make it another place"):
        registry.catalog.apply(include(elsewhere), by="ops")
    assert registry.catalog.runtime("one").spec == docker
    registry.catalog.apply(include(docker.model_copy(update={"capacity": 7})), by="ops")
    assert registry.catalog.runtime("one").spec.capacity == 7


def test_a_runtime_that_comes_back_into_the_files_takes_work_again(registry: Registry) -> None:
    registry.catalog.apply(include(runtime("one", capacity=2)), by="ops")
    acquire(registry, "dep-1")
    registry.catalog.apply(include(), by="ops")
    registry.catalog.apply(include(runtime("one", capacity=2)), by="ops")
    assert acquire(registry, "dep-2").name == "one"


def test_a_persons_cordon_outlives_an_apply(registry: Registry) -> None:
    registry.catalog.apply(include(runtime("one")), by="ops")
    registry.catalog.cordon("one", True, by="zoe", reason="new disk")
    changed = registry.catalog.apply(include(runtime("one", capacity=5)), by="ops")
    assert actions(changed)["runtime/one"] == "change"
    record = registry.catalog.runtime("one")
    assert (record.cordoned, record.cordoned_by, record.cordon_reason) == (True, "zoe", "new disk")
    with pytest.raises(NoSuitableRuntime, match="cordoned by zoe: new disk"):
        acquire(registry, "dep-1")
    registry.catalog.cordon("one", False, by="zoe")
    registry.catalog.cordon("one", False, by="zoe")
    assert acquire(registry, "dep-1").name == "one"
    events = [entry.event for entry in registry.ledger.entries(event="runtime.")]
    assert events == ["runtime.cordoned", "runtime.uncordoned"]


def test_changed_tags_and_capacity_hold_at_once(registry: Registry) -> None:
    registry.catalog.apply(include(runtime("one", capacity=1)), by="ops")
    acquire(registry, "dep-1")
    registry.catalog.apply(include(runtime("one", capacity=2)), by="ops")
    assert acquire(registry, "dep-2").in_use == 2
    registry.catalog.apply(include(runtime("one", capacity=1, services=["heloc"])), by="ops")
    with pytest.raises(NoSuitableRuntime, match=r"one is for service heloc; is full \(2 of 1 in use\)"):
        acquire(registry, "dep-3")


def test_health_is_remembered_and_told_when_it_changes(registry: Registry) -> None:
    registry.catalog.apply(include(runtime("one")), by="ops")
    assert registry.catalog.runtime("one").health.checked_at is None
    registry.catalog.set_health("one", True)
    registry.catalog.set_health("one", False, "connection refused")
    record = registry.catalog.set_health("one", False, "connection refused again")
    assert (record.health.ok, record.health.message) == (False, "connection refused again")
    assert record.health.checked_at is not None
    (entry,) = registry.ledger.entries(event="runtime.health")
    assert entry.details == {"ok": False, "message": "connection refused"}
    registry.catalog.set_health("one", True)
    assert acquire(registry, "dep-1").name == "one"


def test_what_is_unknown_is_answered_with_what_is_near(registry: Registry) -> None:
    registry.catalog.apply(include(LIFECYCLE, SERVICE), by="ops")
    with pytest.raises(NotFound, match=r"no service 'cc-frod'. Did you mean cc-fraud\?"):
        registry.catalog.service("cc-frod")
    with pytest.raises(NotFound, match=r"no lifecycle 'zzz'\. Write its file"):
        registry.catalog.lifecycle("zzz")
    with pytest.raises(NotFound, match="no runtime 'zzz'"):
        registry.catalog.runtime("zzz")


def test_applied_by_many_at_once_each_entry_is_added_once(registry: Registry, url: str) -> None:
    specs: list[RuntimeSpec] = [runtime(f"r{number}") for number in range(5)]
    registry.close()
    race(6, url, lambda own, number: own.catalog.apply(include(*specs), by=f"ops-{number}"))
    assert len(registry.ledger.entries(event="catalog.add")) == 6, "five runtimes and the roles"
    assert [each.name for each in registry.catalog.runtimes()] == [spec.runtime for spec in specs]
