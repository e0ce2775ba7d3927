"""An Airflow plugin for tests: kills a task's process once, after it did something and before it noted that.

A test arms a point by making the file ``<folder>/<dag_id>.<point>``; the folder is named by ``KILL_POINTS``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin


def _die_if_armed(point: str) -> None:
    armed = Path(os.environ["KILL_POINTS"]) / f"{os.environ.get('AIRFLOW_CTX_DAG_ID', '-')}.{point}"
    try:
        armed.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _dying_after(owner: Any, method: str, point: str) -> None:
    original: Callable[..., Any] = getattr(owner, method)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        _die_if_armed(point)
        return result

    setattr(owner, method, wrapped)


def _dying_before(owner: Any, method: str, point: str) -> None:
    original: Callable[..., Any] = getattr(owner, method)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _die_if_armed(point)
        return original(*args, **kwargs)

    setattr(owner, method, wrapped)


def _arm() -> None:
    from airlock.registry.leases import Leases
    from airlock.registry.scoring import Scoring
    from airlock.runtimes.docker.adapter import DockerAdapter
    from airlock.runtimes.local.adapter import LocalAdapter

    _dying_after(Leases, "acquire", "pick_runtime")
    for adapter in (LocalAdapter, DockerAdapter):
        _dying_after(adapter, "deploy", "deploy")
        _dying_after(adapter, "submit", "check")
        _dying_after(adapter, "undeploy", "clear")
    _dying_before(Scoring, "partition_done", "score")


class KillPoints(AirflowPlugin):
    """Loaded by Airflow from its plugins folder in the processes of tasks, too."""

    name = "kill_points"


if "KILL_POINTS" in os.environ:
    _arm()
