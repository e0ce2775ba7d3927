"""Airlock's part of Airflow's configuration: section ``[airlock]``, or ``AIRFLOW__AIRLOCK__…``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.configuration import conf

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.runtimes.base import Adapter, RuntimeSettings
    from airlock.spec import RuntimeSpec

SECTION = "airlock"


@dataclass(frozen=True)
class Settings:
    """Where Airlock keeps things, and how long it waits.

    :param database_url: the registry's SQLAlchemy URL.
    :param artifact_store: fsspec URL of the snapshots' files.
    :param include_folder: life cycles, services, runtimes, policies.
    :param workspace: folder of this machine for runtimes of kind ``local``.
    :param scratch: where the jobs of checks keep their files: a folder or a URL that tasks and runtimes see.
    :param host_source: the ``airlock-host`` project.
    :param inline_wait: how long a task waits in its worker slot before it defers. Deferring costs two
        task starts (about 2 s), so a wait that is shorter than this is cheaper in the slot.
    :param gate_interval: how often a waiting gate looks at the registry by itself.
    :param base_url: address of Airflow's web UI, for links.
    """

    database_url: str
    artifact_store: str
    include_folder: Path
    workspace: Path
    scratch: str
    host_source: Path
    inline_wait: timedelta
    gate_interval: timedelta
    base_url: str

    def runtime_settings(self) -> RuntimeSettings:
        """What adapters need of this."""
        from airlock.runtimes.base import RuntimeSettings
        from airlock.snapshots.store import ArtifactStore

        return RuntimeSettings(
            store=ArtifactStore(self.artifact_store), workspace=self.workspace, host_source=self.host_source
        )

    def adapter(self, spec: RuntimeSpec) -> Adapter:
        """The adapter that drives this runtime."""
        from airlock.runtimes import adapter_for

        return adapter_for(spec, self.runtime_settings())


def load_settings() -> Settings:
    """Read the ``[airlock]`` section; everything has a default under ``AIRFLOW_HOME``."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    workspace = Path(_option("workspace", f"{home}/airlock/workspace"))
    return Settings(
        database_url=_option("database_url", f"sqlite:///{home}/airlock/registry.db"),
        artifact_store=_option("artifact_store", f"file://{home}/airlock/artifacts"),
        include_folder=Path(_option("include_folder", str(_project_folder() / "include"))),
        workspace=workspace,
        scratch=_option("scratch", str(workspace / "checks")),
        host_source=Path(_option("host_source", str(_host_source()))),
        inline_wait=timedelta(seconds=float(_option("inline_wait_seconds", "20"))),
        gate_interval=timedelta(seconds=float(_option("gate_interval_seconds", "300"))),
        base_url=conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/"),
    )


def open_registry() -> Registry:
    """The registry named by the configuration; one connection pool for each process."""
    return _registry(load_settings().database_url)


@cache
def _registry(url: str) -> Registry:
    from airlock.registry import Registry

    return Registry(url)


def _option(name: str, default: str) -> str:
    return str(conf.get(SECTION, name, fallback=None) or default)


def _project_folder() -> Path:
    return Path(conf.get("core", "dags_folder")).parent


def _host_source() -> Path:
    """The host's sources lie inside an installed Airlock, and beside it in a project folder."""
    package = Path(__file__).parents[1]
    installed = package / "_host"
    return installed if installed.is_dir() else package.parents[1] / "include" / "host"
