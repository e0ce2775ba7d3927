"""What Airflow finds: Airlock's API and its watch over *Required Actions*.

Every Airflow process loads this file, also each task's. What only some of them need is therefore
imported when they ask for it; and what all that are forked need, once before the fork.
"""

from __future__ import annotations

import sys
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

FORKING = frozenset({"scheduler", "worker", "dag-processor"})
"""Airflow's commands that fork a process for each task, or for each reading of a DAG file."""

NEEDED_BY_FORKS = (
    "airlock.checks",
    "airlock.checks.markdown_section",
    "airlock.orchestration.dag_files",
    "airlock.registry",
    "airlock.runtimes.local.adapter",
    "airlock.snapshots.store",
)


class AirlockPlugin(AirflowPlugin):
    """Mounts the REST API under ``/airlock`` and watches answers to gates."""

    name = "airlock"

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Do what every task and DAG file would begin with, before their processes are forked.

        It takes each of them half a second of a processor otherwise.
        """
        if FORKING & set(sys.argv[1:]):
            for module in NEEDED_BY_FORKS:
                import_module(module)
            import_module("airlock.orchestration.dag_files").build_first_dag()

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The REST API."""
        from airlock.web.app import URL_PREFIX, create_app

        return [{"name": "Airlock", "app": create_app(), "url_prefix": URL_PREFIX}]

    @cached_property
    def fastapi_root_middlewares(self) -> list[Any]:  # type: ignore[override]
        """The watch over answers that are given on Airflow's own page."""
        from airlock.web.required_actions import RequiredActions

        return [{"name": "Airlock: answers to gates", "middleware": RequiredActions}]


def _found_by_folder() -> bool:
    return Path(__file__).resolve().parent == Path(conf.get("core", "plugins_folder")).resolve()


# The entry point of an installed Airlock names this. In a project folder Airflow finds the class above by
# itself, and a second plugin of the same name would make it drop those of other packages.
InstalledPlugin = None if _found_by_folder() else AirlockPlugin
