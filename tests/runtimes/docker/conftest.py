"""Runtimes of kind ``docker`` on the tests' own engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airlock.runtimes.base import RuntimeSettings
from airlock.runtimes.docker.adapter import DockerAdapter
from airlock.spec import DockerOptions, RuntimeSpec
from tests.docker_engine import DockerEngine

Runtime = Callable[..., DockerAdapter]
"""Makes an adapter for a runtime on the tests' engine; keywords become its options."""

PROJECT = "airlock-tests"


@pytest.fixture
def runtime(docker_engine: DockerEngine, base_image: str, settings: RuntimeSettings) -> Iterator[Runtime]:
    """Also holds every test to leaving no container and no volume of its own."""
    name = f"docker-{uuid.uuid4().hex[:6]}"

    def make(*, named: str = name, connection: str | None = None, **options: Any) -> DockerAdapter:
        chosen = {
            "engine": docker_engine.url,
            "project": PROJECT,
            "images": {"base": base_image},
            "publish": {"ports": "21000-23999"},
            **options,
        }
        spec = RuntimeSpec(
            named,
            kind="docker",
            stages=["DEV"],
            connection=connection,
            options=DockerOptions.model_validate(chosen),
        )
        return DockerAdapter(spec, settings)

    client = docker_engine.client()
    before = {volume["Name"] for volume in client.volumes()["Volumes"] or ()}
    yield make
    adapter = make()
    for handle in adapter.list():
        adapter.undeploy(handle)
    for job in adapter.list_jobs():
        adapter.remove_job(job)
    left = client.containers(all=True, filters={"label": [f"airlock.runtime={name}"]})
    assert [found["Names"] for found in left] == []
    assert {volume["Name"] for volume in client.volumes()["Volumes"] or ()} <= before


@pytest.fixture
def shared_volume(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A volume that is a folder of this machine, mounted where it is here: as a shared storage is."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    client = docker_engine.client()
    name = f"shared-{uuid.uuid4().hex[:8]}"
    client.create_volume(name, driver_opts={"type": "none", "o": "bind", "device": str(folder)})
    yield {"volume": name, "folder": str(folder)}
    client.remove_volume(name)
