"""Building DAGs needs an Airflow configuration, and no database."""

from __future__ import annotations

from pathlib import Path

import pytest

from airlock.spec import Lifecycle, Service, Stage, checks


@pytest.fixture(scope="session")
def include() -> Path:
    """The life cycles and services that ship with Airlock."""
    return Path(__file__).resolve().parents[2] / "include"


@pytest.fixture
def lifecycle() -> Lifecycle:
    return Lifecycle(
        "two-stages",
        stages=[Stage("DEV", checks=[checks.Smoke(), checks.Contract()]), Stage("PROD")],
    )


@pytest.fixture
def service() -> Service:
    return Service(service="cc-fraud", lifecycle="two-stages", owner="payments", mode="online")
