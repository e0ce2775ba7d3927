"""Airlock: model life cycles as Airflow DAGs.

The public names are loaded when they are asked for: ``import airlock`` costs nothing and needs no Airflow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airlock import checks, rollouts
    from airlock.orchestration.builder import build_dag
    from airlock.spec import Lifecycle, Policy, Service, Stage

__all__ = ["Lifecycle", "Policy", "Service", "Stage", "build_dag", "checks", "rollouts"]

_HOMES = {
    "Lifecycle": "airlock.spec",
    "Policy": "airlock.spec",
    "Service": "airlock.spec",
    "Stage": "airlock.spec",
    "build_dag": "airlock.orchestration.builder",
}


def __getattr__(name: str) -> Any:
    if name in ("checks", "rollouts"):  # rooms in which those who write life cycles find Smoke, Canary, …
        return import_module(f"airlock.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'airlock' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
