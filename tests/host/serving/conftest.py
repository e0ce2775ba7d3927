"""An application in this process, its model loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from airlock_host.models import load
from airlock_host.serving.app import Application
from airlock_host.serving.connections import Limits
from airlock_host.snapshot import Deployment, Snapshot
from host.building import build_snapshot

DEPLOYMENT = Deployment(
    deployment="dep-1", snapshot="loans@3", digest="sha256:abc", stage="SIT", service="loan-desk"
)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of an application that serves a snapshot of the given source and schemas."""
    clients: list[TestClient] = []

    def serve(
        *parts: Any,
        limits: Limits | None = None,
        loaded: bool = True,
        record_answers: int = 0,
        **keys: Any,
    ) -> TestClient:
        snapshot = Snapshot.open(build_snapshot(tmp_path / f"snapshot-{len(clients)}", *parts, **keys))
        application = Application(snapshot, DEPLOYMENT, limits, record_answers=record_answers)
        if loaded:
            application.model = load(snapshot)
        clients.append(TestClient(application.asgi))
        return clients[-1]

    yield serve
    for client in clients:
        client.close()


@pytest.fixture
def loans(serving: Callable[..., TestClient]) -> TestClient:
    """A client of the model of loans."""
    return serving()
