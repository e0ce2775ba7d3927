"""Requests go where they shall, by a real Envoy."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from airlock.exceptions import GatewayError, ProxyBusy
from airlock.gateway import configuration
from airlock.gateway.program import find_envoy
from airlock.gateway.proxy import Proxy
from airlock.registry.records import Backend, Route
from demo.stack import free_ports
from tests.gateway.backends import Load, Model, NameServer

Models = Callable[[str], Model]

HTTP = httpx.Client(timeout=30)


def backend(model: Model, percent: int = 100) -> Backend:
    return Backend(f"dep-{model.name}", f"{model.name}@1", model.url, model.url, percent)


def route(*backends: Backend, **more: Any) -> Route:
    return Route(
        **{
            "service": "cc-fraud",
            "stage": "PROD",
            "backends": backends,
            "mirror": None,
            "sticky": None,
            **more,
        }
    )


def ask(port: int, path: str = "/cc-fraud/PROD/score", **headers: str) -> httpx.Response:
    return HTTP.post(f"http://127.0.0.1:{port}{path}", json={"amount": 1}, headers=headers)


def test_a_service_has_one_url_for_each_stage(proxy: Proxy, port: int, model: Models) -> None:
    in_use = model("in-use")
    proxy.apply([route(backend(in_use))])
    answer = ask(port, "/cc-fraud/PROD/score?explain=1", **{"X-Request-Id": "mine"})
    assert (answer.status_code, answer.text, answer.headers["x-request-id"]) == (200, "in-use", "mine")
    [(path, headers, body)] = in_use.asked
    assert (path, body) == ("/score?explain=1", b'{"amount":1}')
    assert headers["x-forwarded-prefix"] == "/cc-fraud/PROD"
    assert headers["x-request-id"] == "mine"
    assert ask(port, "/cc-fraud/PROD").status_code == 200
    assert httpx.get(f"http://127.0.0.1:{port}/-/health").json() == {"status": "ok"}


def test_what_is_not_there_is_said(proxy: Proxy, port: int, model: Models) -> None:
    proxy.apply([route(), route(backend(model("other")), service="other")])
    answer = ask(port)
    assert (answer.status_code, answer.json()["message"]) == (404, "Nothing of cc-fraud is online in PROD.")
    unknown = ask(port, "/nonsense?secret=1")
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/json"
    assert unknown.json()["message"].startswith("Nothing is online at /nonsense. Ask for /<service>/<STAGE>/")
    for hidden in ("/other/PROD/airlock/answers", "/other/PROD//airlock/answers", "/other/PROD/x/../airlock"):
        assert ask(port, hidden).status_code == 404, hidden
    assert ask(port, "/other/PROD/%2e%2e%2fDEV").status_code == 400


def test_a_deployment_that_is_down_is_said(proxy: Proxy, port: int) -> None:
    gone = Backend("dep-gone", "m@1", "http://127.0.0.1:9", "http://127.0.0.1:9", 100)
    proxy.apply([route(gone)])
    answer = ask(port)
    assert (answer.status_code, answer.json()["error"]) == (503, "unreachable")
    assert "/cc-fraud/PROD/score" in answer.json()["message"]


def test_requests_are_divided_by_weight(proxy: Proxy, port: int, model: Models) -> None:
    proxy.apply([route(backend(model("new"), 20), backend(model("old"), 80))])
    answers = Counter(ask(port).text for _ in range(400))
    assert 40 <= answers["new"] <= 130  # 80 expected: less likely to fail than once in a million runs
    assert answers["new"] + answers["old"] == 400


def test_who_has_a_key_stays_where_he_is(proxy: Proxy, port: int, model: Models) -> None:
    new, old = model("new"), model("old")
    customers = [f"customer-{number}" for number in range(40)]
    on_new: list[set[str]] = []
    for percent in (10, 40, 100):
        proxy.apply([route(backend(new, percent), backend(old, 100 - percent), sticky="X-Customer")])
        first, second = (
            {customer for customer in customers if ask(port, **{"X-Customer": customer}).text == "new"}
            for _ in range(2)
        )
        assert first == second
        on_new.append(first)
    assert on_new[0] < on_new[1] < on_new[2] == set(customers), "a growing share keeps whom it had"


def test_copies_are_sent_and_never_answered(proxy: Proxy, port: int, model: Models) -> None:
    new, old = model("new"), model("old")
    proxy.apply([route(backend(old), mirror=backend(new))])
    assert {ask(port, **{"X-Request-Id": f"r{number}"}).text for number in range(20)} == {"old"}
    deadline = time.monotonic() + 30
    while len(new.asked) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {headers["x-request-id"] for _, headers, _ in new.asked} == {f"r{number}" for number in range(20)}
    assert {body for _, _, body in new.asked} == {b'{"amount":1}'}


def test_no_request_is_lost_while_versions_change(proxy: Proxy, port: int, model: Models) -> None:
    models = [model(f"v{number}") for number in range(12)]
    proxy.apply([route(backend(models[0]))])
    with Load(port, "/cc-fraud/PROD/score").running() as load:
        for old, new in itertools.pairwise(models):
            for percent in (5, 50, 100):
                proxy.apply([route(backend(new, percent), backend(old, 100 - percent))])
                time.sleep(0.05)
            proxy.apply([route(backend(new))])
    assert {answer for answer in load.answers if not answer.startswith("200 v")} == set()
    assert set(load.answers) == {f"200 v{number}" for number in range(12)}


def test_a_request_under_way_is_answered_by_whom_it_was_sent_to(
    proxy: Proxy, port: int, model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airlock.gateway.proxy.SECONDS_TO_DRAIN", 0.0)
    old, new = model("old"), model("new")
    proxy.apply([route(backend(old))])
    old.answer_delay.clear()
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(ask(port).text))
    asking.start()
    while not old.asked:
        time.sleep(0.01)
    proxy.apply([route(backend(new))])
    assert ask(port).text == "new"
    proxy.forget()
    old.answer_delay.set()
    asking.join()
    assert answers == ["old"]


def test_a_name_that_is_not_known_yet_holds_up_its_own_route_alone(
    tmp_path: Path, port: int, model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airlock.gateway.proxy.SECONDS_TO_FOLLOW", 0.5)
    monkeypatch.setattr("airlock.gateway.proxy.SECONDS_TO_DRAIN", 0.0)
    old, new, other = model("old"), model("new"), model("other")
    by_name = f"http://model.test:{new.url.rpartition(':')[2]}"
    behind_a_name = route(Backend("dep-new", "new@1", by_name, by_name, 100))

    with NameServer().running() as name_server:
        address = {"socket_address": {"address": "127.0.0.1", "port_value": name_server.port}}
        monkeypatch.setitem(configuration._NAMES, "resolvers", [address])
        proxy = Proxy(find_envoy(), tmp_path / "gateway", address="127.0.0.1", port=port)
        with proxy.running():
            proxy.apply([route(backend(old))])
            both = [behind_a_name, route(backend(other), service="other")]
            with pytest.raises(ProxyBusy, match="does not know yet where new@1 at http"):
                proxy.apply(both)
            proxy.forget()
            assert ask(port, "/other/PROD/score").text == "other"
            assert ask(port).text == "old"

            name_server.answers.set()
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with suppress(ProxyBusy):
                    proxy.apply(both)
                    break
            assert ask(port).text == "new"


def test_a_name_that_nobody_tells_does_not_keep_envoy_from_starting(
    tmp_path: Path,
    port: int,
    model: Models,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("airlock.gateway.proxy.SECONDS_TO_START", 0.5)
    monkeypatch.setattr("airlock.gateway.proxy.SECONDS_TO_FOLLOW", 0.5)
    known = route(backend(model("known")), service="other")
    unknown = route(Backend("dep-new", "new@1", "http://model.test", "http://model.test", 100))

    def gateway() -> Proxy:
        return Proxy(find_envoy(), tmp_path / "gateway", address="127.0.0.1", port=port)

    with NameServer().running() as silent:
        address = {"socket_address": {"address": "127.0.0.1", "port_value": silent.port}}
        monkeypatch.setitem(configuration._NAMES, "resolvers", [address])
        first = gateway()
        with first.running(), pytest.raises(ProxyBusy):
            first.apply([unknown, known])
        with gateway().running():
            assert "Envoy is not ready yet" in caplog.text
            deadline = time.monotonic() + 30
            answer = ""
            while not answer and time.monotonic() < deadline:
                with suppress(httpx.ConnectError):
                    answer = ask(port, "/other/PROD/score").text
                time.sleep(0.1)
            assert answer == "known"


def test_what_envoy_was_told_is_in_force_when_it_starts_again(
    tmp_path: Path, port: int, model: Models
) -> None:
    def gateway() -> Proxy:
        return Proxy(find_envoy(), tmp_path / "gateway", address="127.0.0.1", port=port)

    first = gateway()
    with first.running():
        first.apply([route(backend(model("in-use")))])
    with gateway().running():
        assert ask(port).text == "in-use"


def test_an_envoy_whose_gateway_was_killed_is_replaced(proxy: Proxy, tmp_path: Path, port: int) -> None:
    second = Proxy(find_envoy(), tmp_path / "gateway", address="127.0.0.1", port=port)
    with second.running():
        second.check()
        with pytest.raises(GatewayError, match="Envoy ended"):
            proxy.check()


@pytest.mark.parametrize("how", ["hangs", "caller leaves", "breaks down", "is not there"])
def test_requests_without_an_answer_are_counted_for_the_deployment(
    tmp_path: Path, port: int, model: Models, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(configuration, "_ANSWER_WITHIN", "1s")
    well, hangs = model("well"), model("bad")
    hangs.answer_delay.clear()
    [free] = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as breaks:
        bad = {"breaks down": breaks.getsockname()[1], "is not there": free}.get(how)
        url = hangs.url if bad is None else f"http://127.0.0.1:{bad}"
        proxy = Proxy(find_envoy(), tmp_path / "gateway", address="127.0.0.1", port=port)
        with proxy.running():
            proxy.apply([route(backend(well))])
            assert ask(port).status_code == 200
            proxy.apply([route(Backend("dep-bad", "bad@1", url, url, 100))])
            breaking = threading.Thread(target=_break_down, args=(breaks,))
            if how == "breaks down":
                breaking.start()
            with suppress(httpx.TimeoutException):
                patience = 0.3 if how == "caller leaves" else 30
                answer = httpx.post(f"http://127.0.0.1:{port}/cc-fraud/PROD", json={}, timeout=patience)
                assert answer.status_code in (503, 504)
            deadline = time.monotonic() + 10
            while not proxy.unanswered() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert proxy.unanswered() == {"dep-bad": 1}
    hangs.answer_delay.set()


def _break_down(server: socket.socket) -> None:
    connection, _ = server.accept()
    connection.recv(65_536)
    connection.close()
