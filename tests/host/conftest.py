"""What the host's tests share. They run in their own environment: include/host/requirements-test.lock."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from host.serving.live import LiveHost

HOST = Path(__file__).parents[2] / "include" / "host"

# The processes that tests start must find the package as well.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HOST), os.environ.get("PYTHONPATH")]))
sys.path.insert(0, str(HOST))

# On a busy machine a single example may take long; that is no fault.
settings.register_profile("host", deadline=None)
settings.load_profile("host")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than 20 seconds")


@pytest.fixture(autouse=True)
def _modules_as_before() -> Iterator[None]:
    """Every snapshot's module is called ``model``: forget it, and its folder, after each test."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name == "model" or name.startswith("sibling"):
            del sys.modules[name]


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[Callable[..., LiveHost]]:
    """Starts ``airlock_host serve`` processes and ends them with the test."""
    started: list[LiveHost] = []

    def start(snapshot: Path, *options: str, **environment: str) -> LiveHost:
        host = LiveHost(snapshot, tmp_path / f"host-{len(started)}", options, {**os.environ, **environment})
        started.append(host)
        return host

    yield start
    for host in started:
        host.kill()
