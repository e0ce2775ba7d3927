"""Snapshots that bring a container image of their own."""

from __future__ import annotations

import logging

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.images.context import text_file
from airlock.runtimes.images.engine import ImageEngine
from airlock.runtimes.images.names import ImageName
from airlock.snapshots.manifest import Manifest
from tests.docker_engine import DockerEngine
from tests.image_registry import ImageRegistry
from tests.runtimes.conftest import Snapshot

from .conftest import Look, Maker

pytestmark = pytest.mark.docker


def pushed(engine: DockerEngine, image: str, registry: ImageRegistry, name: str) -> str:
    """Push an image, and return what to call it by its digest."""
    images = ImageEngine(engine.client(), registry=None, login=None)
    target = ImageName(f"{registry.address}/own/{name}", "1")
    images.tag(image, target)
    return f"{target.repository}@{images.push(target)}"


def with_image(manifest: Manifest, image: str) -> Manifest:
    return manifest.model_copy(update={"image": image})


def test_host_and_model_are_put_on_top_of_it(
    maker: Maker,
    snapshot: Snapshot,
    look: Look,
    docker_engine: DockerEngine,
    image_registry: ImageRegistry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment = maker().snapshot_image(snapshot())
    images = ImageEngine(docker_engine.client(), registry=None, login=None)
    recipe = f"FROM {environment}\nCOPY data/ /data/\nENV PYTHONPATH=/data\nUSER 4711\n"
    own = pushed(
        docker_engine,
        images.build("own", recipe, [text_file("data/licence.py", "KEY = 'abc'\n")]),
        image_registry,
        "complete",
    )
    docker_engine.client().remove_image(own, force=True)  # it is pulled again
    caplog.set_level(logging.INFO, logger="airlock.runtimes.images")

    manifest = with_image(snapshot(own=True), own)
    image = maker(base="not:there").snapshot_image(manifest)
    assert "Fetching the packages" not in caplog.text
    program = "import os, airlock_host, licence; print(airlock_host.__file__, licence.KEY, os.getuid())"
    assert look(image, program) == "/airlock/host/airlock_host/__init__.py abc 10001\n"
    labels = docker_engine.client().inspect_image(image)["Config"]["Labels"]
    assert (labels["airlock.snapshot"], labels["airlock.environment"]) == (manifest.digest, own)


def test_it_must_have_what_the_host_needs(
    maker: Maker,
    snapshot: Snapshot,
    docker_engine: DockerEngine,
    base_image: str,
    image_registry: ImageRegistry,
) -> None:
    own = pushed(docker_engine, base_image, image_registry, "bare")

    with pytest.raises(
        AdapterError, match=r"lacks what the host needs: httptools>=0\.6, numpy>=1\.26"
    ) as caught:
        maker().snapshot_image(with_image(snapshot(), own))
    assert own in str(caught.value)


def test_one_that_cannot_be_had_is_named(maker: Maker, snapshot: Snapshot) -> None:
    own = f"127.0.0.1:9/own@sha256:{'0' * 64}"

    with pytest.raises(AdapterError, match="The image that obedient brings cannot be had") as caught:
        maker().snapshot_image(with_image(snapshot(), own))
    assert own in str(caught.value)
