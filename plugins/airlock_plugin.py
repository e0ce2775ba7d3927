"""What Airflow finds: Airlock's API and its watch over *Required Actions*.

Every Airflow process loads this file, also each task's. What only the API server needs is therefore
imported when the API server asks for it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin


class AirlockPlugin(AirflowPlugin):
    """Mounts the REST API under ``/airlock`` and watches answers to gates."""

    name = "airlock"

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
