"""Picking a runtime, and never giving out more of it than there is."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from airlock.exceptions import Conflict, NoSuitableRuntime, RuntimeBusy
from airlock.registry import Registry
from airlock.spec import Spec
from tests.registry.building import acquire, include, runtime
from tests.registry.racing import race


def declare(registry: Registry, *specs: Spec) -> None:
    registry.catalog.apply(include(*specs), by="ops")


def test_a_runtime_of_the_service_beats_one_for_any(registry: Registry) -> None:
    declare(registry, runtime("any"), runtime("own", services=["cc-fraud"]))
    assert acquire(registry, "dep-1").name == "own"
    assert acquire(registry, "dep-2").name == "any", "the own one is full now"


def test_the_least_loaded_runtime_wins_then_the_first_by_name(registry: Registry) -> None:
    declare(registry, runtime("b", capacity=2), runtime("a", capacity=2), runtime("c", capacity=4))
    chosen = [acquire(registry, f"dep-{number}").name for number in range(8)]
    # a and b are half full after two; c stays below them until it holds two as well.
    assert chosen == ["a", "b", "c", "c", "a", "b", "c", "c"]


def test_asking_again_gives_the_same_runtime(registry: Registry) -> None:
    declare(registry, runtime("one"), runtime("two"))
    first = acquire(registry, "dep-1")
    assert acquire(registry, "dep-1") == first
    assert [lease.deployment_id for lease in registry.leases.held()] == ["dep-1"]
    with pytest.raises(Conflict, match=r"holds a slot of one for cc-fraud at DEV \(online\), not for other"):
        acquire(registry, "dep-1", service="other")


def test_a_released_slot_is_free_again_and_releasing_twice_is_well(registry: Registry) -> None:
    declare(registry, runtime("only"))
    acquire(registry, "dep-1")
    with pytest.raises(RuntimeBusy, match=r"only is full \(1 of 1 in use\)"):
        acquire(registry, "dep-2")
    registry.leases.release("dep-1")
    registry.leases.release("dep-1")
    registry.leases.release("dep-unknown")
    assert acquire(registry, "dep-2").in_use == 1
    assert registry.leases.find("dep-1") is None


def test_each_runtime_is_listed_with_the_reason_it_was_refused(registry: Registry) -> None:
    declare(
        registry,
        runtime("batch-only", modes=["batch"]),
        runtime("cordoned"),
        runtime("ill"),
        runtime("other-service", services=["heloc"]),
        runtime("uat", stages=["UAT"]),
    )
    registry.catalog.cordon("cordoned", True, by="ops", reason="new disk")
    registry.catalog.set_health("ill", False, "connection refused")
    with pytest.raises(NoSuitableRuntime) as refused:
        acquire(registry, "dep-1")
    assert str(refused.value).splitlines() == [
        "No runtime for service cc-fraud at DEV (online):",
        "- batch-only runs batch only",
        "- cordoned is cordoned by ops: new disk",
        "- ill is not healthy: connection refused",
        "- other-service is for service heloc",
        "- uat is for stage UAT",
    ]
    with pytest.raises(NoSuitableRuntime, match="batch-only is of kind local, not docker"):
        acquire(registry, "dep-1", kinds=["docker"])


def test_without_any_runtime_the_message_says_how_to_add_one(registry: Registry) -> None:
    with pytest.raises(
        NoSuitableRuntime, match=r"knows no runtime at all. Describe one in include/runtimes/"
    ):
        acquire(registry, "dep-1")


def test_of_many_runtimes_equal_reasons_are_grouped(registry: Registry) -> None:
    declare(
        registry,
        *(runtime(f"uat-{number:03}", stages=["UAT"]) for number in range(300)),
        *(runtime(f"batch-{number}", modes=["batch"]) for number in range(3)),
    )
    with pytest.raises(NoSuitableRuntime) as refused:
        acquire(registry, "dep-1")
    assert str(refused.value).splitlines() == [
        "No runtime for service cc-fraud at DEV (online):",
        "- uat-000, uat-001, uat-002, uat-003, uat-004 and 295 more: is for stage UAT",
        "- batch-0, batch-1, batch-2: runs batch only",
    ]


def test_picking_only_among_some_kinds(registry: Registry) -> None:
    declare(registry, runtime("here"))
    assert acquire(registry, "dep-1", kinds=["docker", "local"]).name == "here"


def test_processes_never_get_more_slots_than_there_are(registry: Registry, url: str, backend: str) -> None:
    processes = 12 if backend == "sqlite" else 32
    declare(registry, runtime("small", capacity=3), runtime("large", capacity=5))
    registry.close()

    def work(own: Registry, number: int) -> list[dict[str, int]]:
        """Hold a slot twice, and look each time how many are held of each runtime."""
        seen = []
        for turn in range(2):
            deployment_id = f"dep-{number}-{turn}"
            while True:
                try:
                    acquire(own, deployment_id)
                    break
                except RuntimeBusy:
                    time.sleep(0.01)
            seen.append(dict(Counter(lease.runtime for lease in own.leases.held())))
            own.leases.release(deployment_id)
        return seen

    looks = [look for looks_of_one in race(processes, url, work) for look in looks_of_one]
    assert max(look.get("small", 0) for look in looks) <= 3
    assert max(look.get("large", 0) for look in looks) <= 5
    assert registry.leases.held() == []
    assert [each.in_use for each in registry.catalog.runtimes()] == [0, 0]
    assert len(registry.ledger.entries(event="lease.acquired")) == 2 * processes
    assert registry.ledger.verify() == []


def test_all_slots_are_given_out_when_more_processes_ask(registry: Registry, url: str, backend: str) -> None:
    processes, slots = (12, 4) if backend == "sqlite" else (32, 8)
    declare(registry, *(runtime(f"r{number}", capacity=2) for number in range(slots // 2)))
    registry.close()

    def ask(own: Registry, number: int) -> str | None:
        try:
            return acquire(own, f"dep-{number}").name
        except RuntimeBusy:
            return None

    given = [name for name in race(processes, url, ask) if name is not None]
    assert sorted(given) == sorted([f"r{number}" for number in range(slots // 2)] * 2)
    assert len(registry.leases.held()) == slots


def test_one_deployment_asking_from_many_processes_gets_one_slot(registry: Registry, url: str) -> None:
    declare(registry, *(runtime(f"r{number}") for number in range(4)))
    registry.close()
    assert set(race(8, url, lambda own, _: acquire(own, "dep-1").name)) == {"r0"}
    assert len(registry.leases.held()) == 1
