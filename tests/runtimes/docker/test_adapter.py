"""Kind ``docker``: the contract of all kinds, and what is special about containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..contract import AdapterContract, Connect
from .conftest import Runtime

pytestmark = [pytest.mark.docker, pytest.mark.package_index]


class TestContract(AdapterContract):
    """What is asked of every kind."""

    @pytest.fixture
    def shared(self, shared_volume: dict[str, str]) -> Path:
        return Path(shared_volume["folder"])

    @pytest.fixture
    def connect(self, runtime: Runtime, shared_volume: dict[str, str]) -> Connect:
        return lambda: runtime(volumes=[shared_volume], server_volumes=[shared_volume])
