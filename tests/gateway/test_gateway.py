"""The gateway follows the registry, and says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from airlock.exceptions import GatewayError, RegistryError
from airlock.gateway.gateway import Gateway, told
from airlock.gateway.proxy import Proxy
from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord, LedgerHead, Mirror
from tests.gateway.backends import Model
from tests.registry.building import add_snapshot, begin, deploy, include, runtime


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(f"sqlite:///{tmp_path}/registry.db")
    opened.migrate()
    opened.catalog.apply(include(runtime("r", capacity=8)), by="ops")
    yield opened
    opened.close()


def online(registry: Registry, model: Model, content: int) -> DeploymentRecord:
    passage = begin(registry, add_snapshot(registry, content=content), f"fraud@{content}")
    deployment = deploy(registry, passage, stage="PROD")
    return registry.deployments.set_state(
        deployment.id, "ready", endpoints=[{"kind": "rest", "url": model.url}]
    )


def ask(port: int) -> str:
    return httpx.post(f"http://127.0.0.1:{port}/cc-fraud/PROD/score", content=b"{}").text


def test_requests_go_where_the_registry_directs_them(
    registry: Registry, proxy: Proxy, port: int, model: Callable[[str], Model]
) -> None:
    gateway = Gateway(registry, proxy, "gateway-1")
    old, new = (online(registry, model(name), number) for number, name in enumerate(("old", "new")))
    gateway.step()

    first = registry.traffic.direct("cc-fraud", "PROD", {old.id: 100}, actor="ann", reason="first")
    assert registry.traffic.behind(first, datetime.now(UTC)) == ["gateway-1"]
    gateway.step()
    assert registry.traffic.behind(first, datetime.now(UTC)) == []
    assert ask(port) == "old"

    registry.traffic.direct("cc-fraud", "PROD", {new.id: 100}, actor="ann", reason="second")
    gateway.step()
    assert ask(port) == "new"

    registry.traffic.direct("cc-fraud", "PROD", {}, actor="ann", reason="closed")
    gateway.step()
    assert "Nothing of cc-fraud is online in PROD." in ask(port)


def test_requests_go_on_while_the_registry_is_away(
    registry: Registry,
    proxy: Proxy,
    port: int,
    model: Callable[[str], Model],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deployment = online(registry, model("in-use"), 1)
    registry.traffic.direct("cc-fraud", "PROD", {deployment.id: 100}, actor="ann", reason="first")
    away = iter([False, True, True, False])
    read = registry.ledger.head

    def head() -> LedgerHead:
        if next(away):
            raise RegistryError("The registry's database does not answer.")
        return read()

    monkeypatch.setattr(registry.ledger, "head", head)
    answers: list[str] = []

    def is_over() -> bool:
        if len(answers) < 4:
            answers.append(ask(port))
            return False
        return True

    # The fixture's Envoy is replaced by the gateway's own.
    Gateway(registry, proxy, "gateway-1").run(is_over)
    assert answers[1:] == ["in-use"] * 3
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "Requests go on as before: The registry's database does not answer.",
        "The registry answers again.",
    ]


def test_a_slow_envoy_goes_on_and_is_not_said_to_follow(
    registry: Registry,
    proxy: Proxy,
    port: int,
    model: Callable[[str], Model],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("airlock.gateway.gateway.HEARTBEAT", timedelta(0))
    proxy._admin.timeout = 0.2
    old, new = (online(registry, model(name), number) for number, name in enumerate(("old", "new")))
    gateway = Gateway(registry, proxy, "gateway-1")
    registry.traffic.direct("cc-fraud", "PROD", {old.id: 100}, actor="ann", reason="first")
    gateway.step()
    second = registry.traffic.direct("cc-fraud", "PROD", {new.id: 100}, actor="ann", reason="second")
    envoy = proxy._process
    assert envoy is not None

    os.kill(envoy.pid, signal.SIGSTOP)
    for _ in range(2):
        said_before = datetime.now(UTC)
        gateway.step()
    assert registry.traffic.behind(second, said_before + timedelta(seconds=30)) == ["gateway-1"], "it lives"

    os.kill(envoy.pid, signal.SIGCONT)
    gateway.step()
    assert registry.traffic.behind(second, datetime.now(UTC)) == []
    assert ask(port) == "new"
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [  # of what it was to follow, and of what it was to count
        *["Requests go on as before: Envoy does not show its statistics: timed out."] * 2,
        "Envoy follows again.",
        "Envoy shows again which requests had no answer.",
    ]


def test_requests_without_an_answer_are_told_when_envoy_shows_them_again(
    registry: Registry,
    proxy: Proxy,
    port: int,
    model: Callable[[str], Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airlock.gateway.gateway.HEARTBEAT", timedelta(0))
    gone = model("gone")
    gone.url = "http://127.0.0.1:9"
    deployment = online(registry, gone, 1)
    registry.traffic.direct("cc-fraud", "PROD", {deployment.id: 100}, actor="ann", reason="first")
    gateway = Gateway(registry, proxy, "gateway-1")
    gateway.step()
    assert "No deployment answers" in ask(port)

    with monkeypatch.context() as slow:
        slow.setattr(proxy._admin, "get", _too_slow)
        gateway.step()
        assert registry.traffic.unanswered(deployment.id) == 0
    for _ in range(2):
        gateway.step()
    assert registry.traffic.unanswered(deployment.id) == 1


def _too_slow(*_: object, **__: object) -> httpx.Response:
    raise httpx.ReadTimeout("timed out")


def test_an_envoy_that_ended_ends_the_gateway(registry: Registry, proxy: Proxy) -> None:
    def is_over() -> bool:
        assert proxy._process is not None
        proxy._process.kill()
        proxy._process.wait()
        return False

    with pytest.raises(GatewayError, match="Envoy ended with the code -9; its log says why"):
        Gateway(registry, proxy, "gateway-1").run(is_over)


def test_routes_are_read_only_when_something_has_changed(
    registry: Registry, proxy: Proxy, model: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, looks, read = Gateway(registry, proxy, "gateway-1"), [], registry.traffic.routes
    monkeypatch.setattr(registry.traffic, "routes", lambda: looks.append(1) or read())
    deployment = online(registry, model("in-use"), 1)
    for _ in range(3):
        gateway.step()
    assert len(looks) == 1

    registry.traffic.direct("cc-fraud", "PROD", {deployment.id: 100}, actor="ann", reason="first")
    registry.deployments.set_state(deployment.id, "failed", reason="it crashed")
    for _ in range(3):
        gateway.step()
    assert len(looks) == 2


def test_a_route_in_words(registry: Registry, model: Callable[[str], Model]) -> None:
    old, new = (online(registry, model(name), number) for number, name in enumerate(("old", "new")))
    registry.traffic.direct(
        "cc-fraud", "PROD", {old.id: 100}, mirror=Mirror(new.id, 10), actor="ann", reason="shadow"
    )
    [route] = registry.traffic.routes().routes
    assert told(route) == "cc-fraud in PROD: 100 % fraud@1; 10 % copied to fraud@2."
