"""Images for the stub's node: the environment is built once, the host and the model are folders."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from airlock.runtimes.base import DeploymentPlan, RuntimeSettings
from airlock.runtimes.containers.layout import ENTRY_POINT, HOST_FOLDER, MODEL_FOLDER, UID
from airlock.runtimes.local.environment import build, source_digest
from airlock.runtimes.local.folder import EnvironmentPlan
from airlock.runtimes.local.interpreter import find_interpreter, find_uv
from airlock.runtimes.stream_packages import with_stream_packages
from airlock.snapshots.manifest import Manifest

from .stub.cluster import StubCluster
from .stub.node.images import python_image

REGISTRY = "registry.test:5000/airlock"
_ENVIRONMENT = "/airlock/environment"
_PYTHON = ">=3.11,<3.14"


class StubImages:
    """Makes images that the stub's node can pull.

    :param folder: for environments and models.
    """

    def __init__(self, cluster: StubCluster, settings: RuntimeSettings, folder: Path) -> None:
        self._cluster = cluster
        self._settings = settings
        self._folder = folder

    def of(self, plan: DeploymentPlan) -> str:
        """The image of a plan's snapshot."""
        return self.of_snapshot(plan.manifest, stream=plan.stream is not None)

    def of_snapshot(self, manifest: Manifest, *, stream: bool = False) -> str:
        """The image of a snapshot."""
        digest = manifest.digest.removeprefix("sha256:")
        model = self._folder / "models" / digest[:20]
        self._settings.store.materialise(manifest, model)
        lock = model / manifest.environment.lock_path
        if stream:
            text = with_stream_packages(lock.read_text(encoding="utf-8"), self._settings.host_source)
            digest = hashlib.sha256(f"{digest} stream".encode()).hexdigest()
            lock = self._folder / f"{digest}.lock"
            lock.write_text(text, encoding="utf-8")
        return self._add(f"{manifest.model}@sha256:{digest}", lock, {MODEL_FOLDER: str(model)})

    def of_checks(self) -> str:
        """The image of the checks environment."""
        lock = self._settings.host_source / "checks.lock"
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        return self._add(f"checks@sha256:{digest}", lock, {})

    def _add(self, name: str, lock: Path, folders: dict[str, str]) -> str:
        environment = self._environment(lock)
        folders = folders | {_ENVIRONMENT: str(environment), HOST_FOLDER: str(self._settings.host_source)}
        image = python_image(user=UID, folders=folders, python=_ENVIRONMENT)
        variables = {**image.environment, "PYTHONPATH": HOST_FOLDER}
        reference = f"{REGISTRY}/{name}"
        self._cluster.add_image(reference, image._replace(environment=variables, entrypoint=[*ENTRY_POINT]))
        return reference

    def _environment(self, lock: Path) -> Path:
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        host = self._settings.host_source / "airlock_host"
        folder = self._folder / "environments" / digest[:20]
        plan = EnvironmentPlan(
            folder=str(folder),
            lock=str(lock),
            lock_digest=f"sha256:{digest}",
            interpreter=str(find_interpreter(_PYTHON).path),
            host=str(host),
            host_digest=source_digest(host),
            uv=find_uv(),
        )
        build(plan, run=_run, say=lambda text: None, pause=time.sleep)
        return folder


def _run(command: Sequence[str]) -> None:
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
