"""Makers of images on a real engine, and a way to look into what they made."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
import pytest

from airlock.runtimes.base import RuntimeSettings
from airlock.runtimes.images.maker import ImageMaker, RegistryLogin
from airlock.spec import Images
from tests.docker_engine import DockerEngine
from tests.runtimes.conftest import Snapshot

Maker = Callable[..., ImageMaker]
"""Gives a new maker, as each Airflow task has its own; keywords are options of ``images``."""

Look = Callable[..., str]
"""Runs a Python program in an image, and gives what it prints."""


@pytest.fixture
def maker(docker_engine: DockerEngine, base_image: str, settings: RuntimeSettings) -> Maker:
    def make(
        *,
        engine: DockerEngine = docker_engine,
        login: RegistryLogin | None = None,
        host_source: Path = settings.host_source,
        **options: Any,
    ) -> ImageMaker:
        images = Images(**({"base": base_image} | options))
        return ImageMaker(engine.client(), images, settings.store, host_source, login)

    return make


@pytest.fixture
def small_host(settings: RuntimeSettings, snapshot: Snapshot, tmp_path: Path) -> Path:
    """The host with a checks environment of a single package: the real one takes a minute."""
    folder = tmp_path / "host"
    shutil.copytree(settings.host_source, folder)
    with settings.store.open(snapshot().file("requirements.lock").sha256) as stream:
        lock = stream.read().decode()
    [package] = re.findall(r"^idna==(?:.*\\\n)+.*\n", lock, re.MULTILINE)
    (folder / "checks.lock").write_text(package)
    return folder


@pytest.fixture
def look(docker_engine: DockerEngine) -> Look:
    def run(image: str, program: str, *, engine: DockerEngine = docker_engine) -> str:
        client = engine.client()
        container = client.create_container(
            image,
            entrypoint=["python"],
            command=["-c", program],
            host_config=client.create_host_config(network_mode="none", read_only=True, tmpfs={"/tmp": ""}),
        )["Id"]
        try:
            client.start(container)
            code = client.wait(container)["StatusCode"]
            output = client.logs(container).decode()
            assert code == 0, output
            return str(output)
        finally:
            client.remove_container(container, force=True)

    return run


def image_of_files(client: docker.APIClient, name: str, files: dict[str, bytes]) -> str:
    """An image that holds nothing but these files, which may be run."""
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, BytesIO(content))
    client.import_image_from_data(stream.getvalue(), repository=name, changes=["ENV PATH=/bin"])
    return str(client.inspect_image(name)["Id"])
