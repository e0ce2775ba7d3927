"""A store with small snapshots, locked once, and a workspace whose environments all tests share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from airlock.runtimes.base import RuntimeSettings
from airlock.runtimes.local.adapter import stop_all
from airlock.snapshots.manifest import Manifest
from airlock.snapshots.pack import pack, publish
from airlock.snapshots.store import ArtifactStore

HERE = Path(__file__).parent
HOST_SOURCE = HERE.parents[1] / "include" / "host"

Snapshot = Callable[..., Manifest]
"""Makes a snapshot of the obedient model; keywords become its ``behaviour.json``."""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="session")
def snapshot(store: ArtifactStore, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("model") / "obedient"
    shutil.copytree(HERE / "obedient_model", folder)
    requirements = (HOST_SOURCE / "requirements.txt").read_text(encoding="utf-8").splitlines()

    def make(**behaviour: Any) -> Manifest:
        (folder / "behaviour.json").write_text(json.dumps(behaviour), encoding="utf-8")
        # Only the first call asks the package index: the lock stays in the folder.
        packed = pack(folder, services=[], host_requirements=requirements)
        publish(packed, store)
        return packed.manifest

    return make


@pytest.fixture(scope="session")
def settings(store: ArtifactStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuntimeSettings]:
    workspace = tmp_path_factory.mktemp("workspace")
    host_source = tmp_path_factory.mktemp("host") / "host"
    # A copy, so that working on the host while the tests run does not make a new environment for each.
    shutil.copytree(HOST_SOURCE, host_source, ignore=shutil.ignore_patterns("__pycache__"))
    yield RuntimeSettings(store=store, workspace=workspace, host_source=host_source)
    stop_all(workspace, grace_seconds=1)
    assert processes_of(workspace) == []


def processes_of(workspace: Path) -> list[psutil.Process]:
    """Every process, of whatever parent and group, that the local kind started under a workspace."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRLOCK_OWNER", "").startswith(f"{workspace.resolve()}//"):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
