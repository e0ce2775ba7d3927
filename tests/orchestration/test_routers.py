"""Runtimes with a router of their own: told after the registry, waited for, and told again after a kill."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from airlock.exceptions import AdapterError, Conflict
from airlock.orchestration import routers
from airlock.orchestration.traffic import direct, return_traffic, withdraw
from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord, Mirror
from airlock.runtimes.base import Adapter, Routed, Split
from tests.listed_runtime import ListedRuntime
from tests.registry.building import add_snapshot, begin, deploy, include, runtime


class Router(ListedRuntime):
    """A runtime with a router: ``answers`` are given one after the other, and then it has followed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.asked: list[Split] = []
        self.answers: list[Routed | BaseException] = []

    def address(self, service: str, stage: str) -> str | None:
        return f"https://{self.name}.example.com/{service}/{stage}"

    def route(self, split: Split) -> Routed:
        self.asked.append(split)
        answer = self.answers.pop(0) if self.answers else Routed(True)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Place:
    """Deployments of cc-fraud at PROD on runtimes ``one`` and ``two``, which both have routers."""

    registry: Registry
    one: Router
    two: Router

    def deploy(self, version: int, *, on: str = "one") -> DeploymentRecord:
        other = "two" if on == "one" else "one"
        self.registry.catalog.cordon(other, True, by="ops", reason="not this one")
        passage = begin(self.registry, add_snapshot(self.registry, content=version), f"run-{version}")
        made = deploy(self.registry, passage, "PROD")
        self.registry.catalog.cordon(other, False, by="ops")
        assert made.runtime == on
        return made

    def direct(self, shares: dict[str, int], mirror: Mirror | None = None, sticky: str | None = None) -> None:
        direct(self.registry, "cc-fraud", "PROD", shares, mirror=mirror, sticky=sticky, reason="so")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    registry = Registry(f"sqlite:///{tmp_path}/registry.db")
    registry.migrate()
    registry.catalog.apply(include(runtime("one", capacity=9), runtime("two", capacity=9)), by="ops")
    found = Place(registry, Router("one"), Router("two"))
    adapters = {"one": found.one, "two": found.two}
    monkeypatch.setattr("airlock.runtimes.adapter_for", lambda spec, settings: adapters[spec.runtime])
    monkeypatch.setattr(routers, "_INTERVAL_SECONDS", 0.01)
    yield found
    registry.close()


def test_a_router_is_told_what_the_registry_says(place: Place) -> None:
    old, new = place.deploy(1), place.deploy(2)

    place.direct({new.id: 5, old.id: 95}, Mirror(old.id, 20), "X-Customer")

    traffic = place.registry.traffic.current("cc-fraud", "PROD")
    assert traffic is not None
    shares = {new.id: 5, old.id: 95}
    assert place.one.asked == [Split("cc-fraud", "PROD", traffic.id, shares, (old.id, 20), "X-Customer")]
    assert place.two.asked == []


def test_it_is_waited_for(place: Place) -> None:
    old = place.deploy(1)
    place.one.answers = [Routed(False, "It has not seen it yet."), Routed(False), Routed(True)]

    place.direct({old.id: 100})

    assert len(place.one.asked) == 3


def test_killed_before_the_router_knew_it_is_told_again(place: Place) -> None:
    old = place.deploy(1)
    place.one.answers = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        place.direct({old.id: 100})

    place.direct({old.id: 100})

    first, again = place.one.asked
    assert first == again
    assert len(place.registry.traffic.history("cc-fraud", "PROD")) == 1


def test_killed_before_the_router_knew_of_a_withdrawal_it_is_told_again(place: Place) -> None:
    """Its server must not go before the router knows, and the registry says already that it gets none."""
    old, new = place.deploy(1), place.deploy(2)
    place.direct({new.id: 5, old.id: 95})
    place.one.answers = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        withdraw(place.registry, new, "rolled back")

    place.one.answers = [Routed(False)]
    withdraw(place.registry, new, "rolled back")

    assert [split.shares for split in place.one.asked[-2:]] == [{old.id: 100}] * 2


def test_killed_on_the_way_back_the_router_is_told_again(place: Place) -> None:
    old, new = place.deploy(1), place.deploy(2)
    rollout = place.registry.rollouts.begin(
        passage_id=str(new.passage_id),
        service="cc-fraud",
        stage="PROD",
        strategy={"strategy": "canary"},
        deployment_id=new.id,
        current_deployment_id=old.id,
    )
    place.direct({new.id: 5, old.id: 95})
    place.one.answers = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        return_traffic(place.registry, rollout, "a guard failed")

    return_traffic(place.registry, rollout, "a guard failed")

    assert place.one.asked[-1].shares == {old.id: 100}


def test_what_others_have_changed_since_counts(place: Place) -> None:
    """While one caller waits, another one sends everything back."""
    old, new = place.deploy(1), place.deploy(2)

    class Overtaken(Router):
        def route(self, split: Split) -> Routed:
            self.asked.append(split)
            if len(self.asked) > 1:
                return Routed(True)
            registry.traffic.direct("cc-fraud", "PROD", {old.id: 100}, actor="omar", reason="back")
            return Routed(False)

    registry, slow = place.registry, Overtaken("one")
    registry.traffic.direct("cc-fraud", "PROD", {new.id: 100}, actor="airlock", reason="so")
    routers.follow(registry, "cc-fraud", "PROD", {"one": cast("Adapter", slow)})

    assert [split.shares for split in slow.asked] == [{new.id: 100}, {old.id: 100}]
    assert slow.asked[0].number < slow.asked[1].number


def test_one_that_does_not_follow_in_time_is_told(place: Place) -> None:
    old = place.deploy(1)
    place.registry.traffic.direct("cc-fraud", "PROD", {old.id: 100}, actor="ann", reason="so")
    place.one.answers = [Routed(False, "No listener allows it.")] * 99

    with pytest.raises(AdapterError, match=r"do not go yet where they should\. No listener allows it\."):
        routers.follow(
            place.registry,
            "cc-fraud",
            "PROD",
            {"one": cast("Adapter", place.one)},
            patience=timedelta(0),
        )


def test_requests_are_not_divided_between_runtimes(place: Place) -> None:
    old, new = place.deploy(1), place.deploy(2, on="two")
    place.direct({old.id: 100})

    for shares, mirror in (({new.id: 5, old.id: 95}, None), ({old.id: 100}, Mirror(new.id, 20))):
        with pytest.raises(Conflict, match=r"divided between one and two.*run 'airlock gateway'"):
            place.direct(shares, mirror)

    traffic = place.registry.traffic.current("cc-fraud", "PROD")
    assert traffic is not None
    assert traffic.shares == {old.id: 100}


def test_all_of_them_may_go_to_another_runtime(place: Place) -> None:
    old, new = place.deploy(1), place.deploy(2, on="two")
    place.direct({old.id: 100})

    place.direct({new.id: 100})

    assert (place.one.asked[-1].shares, place.two.asked[-1].shares) == ({}, {new.id: 100})


def test_nobody_waits_for_a_cluster_that_requests_leave(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = place.deploy(1), place.deploy(2, on="two")
    place.direct({old.id: 100})
    place.one.answers = [AdapterError("The cluster cannot be reached.")]

    with caplog.at_level(logging.WARNING):
        place.direct({new.id: 100})

    assert "one may still send requests for cc-fraud on: The cluster cannot be reached." in caplog.text


def test_one_that_requests_go_to_must_answer(place: Place) -> None:
    old = place.deploy(1)
    place.one.answers = [AdapterError("The cluster cannot be reached.")]

    with pytest.raises(AdapterError, match="cannot be reached"):
        place.direct({old.id: 100})


def test_the_last_version_that_goes_takes_the_traffic_along(place: Place) -> None:
    only = place.deploy(1)
    place.direct({only.id: 100})

    withdraw(place.registry, only, "nobody needs it")

    assert place.one.asked[-1].shares == {}


def test_a_router_is_told_again_when_it_is_asked_for(place: Place) -> None:
    """As after a runtime in use got its gateway, or people changed a route."""
    old = place.deploy(1)
    place.registry.traffic.direct("cc-fraud", "PROD", {old.id: 100}, actor="ann", reason="so")

    [renewed] = routers.renew(place.registry, "one")

    assert (renewed.url, renewed.problem) == ("https://one.example.com/cc-fraud/PROD", "")
    assert [split.shares for split in place.one.asked] == [{old.id: 100}]
    assert routers.renew(place.registry, "two") == []
    place.one.answers = [AdapterError("The cluster cannot be reached.")]
    [renewed] = routers.renew(place.registry, "one")
    assert renewed.problem == "The cluster cannot be reached."


def test_without_a_router_there_is_nothing_to_tell_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = place.deploy(1)
    place.direct({old.id: 100})
    monkeypatch.setattr(Router, "address", lambda *_: None)

    with pytest.raises(Conflict, match="Name a gateway in its options"):
        routers.renew(place.registry, "one")
