"""A real Envoy, and servers in place of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from airlock.gateway.program import find_envoy
from airlock.gateway.proxy import Proxy
from demo.stack import free_ports
from tests.gateway.backends import Model


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway asks again where Envoy is slow; tests of Envoy, on a busy machine, wait instead."""
    monkeypatch.setattr("airlock.gateway.proxy.SECONDS_TO_FOLLOW", 10.0)
    monkeypatch.setattr("airlock.gateway.proxy._SECONDS_TO_ANSWER", 10.0)


@pytest.fixture
def port() -> int:
    [free] = free_ports(1)
    return free


@pytest.fixture
def proxy(tmp_path: Path, port: int) -> Iterator[Proxy]:
    """An Envoy that runs."""
    made = Proxy(find_envoy(), tmp_path / "gateway", address="127.0.0.1", port=port)
    with made.running():
        yield made


@pytest.fixture
def model() -> Iterator[Callable[[str], Model]]:
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Model(name).answering())
