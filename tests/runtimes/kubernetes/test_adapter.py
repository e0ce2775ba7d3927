"""Kind ``kubernetes``: the contract of all kinds, and what is special about a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..contract import AdapterContract, Connect
from .conftest import Runtime

pytestmark = pytest.mark.package_index


class TestContract(AdapterContract):
    """What is asked of every kind."""

    @pytest.fixture
    def connect(self, runtime: Runtime) -> Connect:
        return runtime

    @pytest.fixture
    def shared(self, shared: Path) -> Path:
        return shared
