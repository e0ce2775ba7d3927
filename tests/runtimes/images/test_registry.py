"""Images in a real registry: pushed once, found by everybody, the same bytes everywhere."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.exceptions import AdapterError, IntegrityError
from airlock.runtimes.images.maker import RegistryLogin
from tests.docker_engine import DockerEngine
from tests.image_registry import PASSWORD, USER, ImageRegistry
from tests.runtimes.conftest import Snapshot

from .conftest import Look, Maker

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def other_engine() -> Iterator[DockerEngine]:
    """A second engine, which has no images at all."""
    engine = DockerEngine.in_new_folder()
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    """A registry that asks for a login."""
    registry = ImageRegistry(tmp_path_factory.mktemp("guarded"), asks_for_login=True)
    registry.start()
    yield registry
    registry.stop()


def test_what_one_engine_made_another_runs_by_digest(
    maker: Maker,
    snapshot: Snapshot,
    look: Look,
    image_registry: ImageRegistry,
    other_engine: DockerEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="airlock.runtimes.images")
    manifest = snapshot()
    registry = f"{image_registry.address}/models"

    image = maker(registry=registry).snapshot_image(manifest)
    assert image.startswith(f"{registry}/obedient@sha256:")
    assert image_registry.tags("models/obedient") == [manifest.digest.removeprefix("sha256:")]
    caplog.clear()

    # The other engine could not make it: it has no base image.
    elsewhere = maker(engine=other_engine, registry=registry, base="not:there")
    assert elsewhere.snapshot_image(manifest) == image
    assert "Making" not in caplog.text
    file = "open('/airlock/model/.airlock/manifest.json', 'rb').read()"
    found = look(image, f"import hashlib; print(hashlib.sha256({file}).hexdigest())", engine=other_engine)
    assert f"sha256:{found.strip()}" == manifest.digest
    assert maker(registry=registry).snapshot_image(manifest) == image

    # Where its tag points does not matter any more.
    other_engine.client().remove_image(image, force=True)
    assert elsewhere.snapshot_image(manifest, known=image) == image
    assert look(image, "print(1)", engine=other_engine) == "1\n"


def test_an_image_that_was_made_but_not_pushed_is_pushed(
    maker: Maker, snapshot: Snapshot, image_registry: ImageRegistry, docker_engine: DockerEngine
) -> None:
    manifest = snapshot(only_here=uuid.uuid4().hex)
    made = maker().snapshot_image(manifest)
    hexadecimal = manifest.digest.removeprefix("sha256:")
    registry = f"{image_registry.address}/unpushed"
    docker_engine.client().tag(made, f"{registry}/obedient", hexadecimal)  # as one who is killed now

    image = maker(registry=registry).snapshot_image(manifest)
    assert docker_engine.client().inspect_image(image)["Id"] == made


def test_somebody_elses_image_under_the_name_is_refused(
    maker: Maker,
    snapshot: Snapshot,
    image_registry: ImageRegistry,
    docker_engine: DockerEngine,
    base_image: str,
) -> None:
    manifest = snapshot()
    repository = f"{image_registry.address}/taken/obedient"
    client = docker_engine.client()
    client.tag(base_image, repository, manifest.digest.removeprefix("sha256:"))
    for message in client.push(repository, manifest.digest.removeprefix("sha256:"), stream=True, decode=True):
        assert "error" not in message

    with pytest.raises(IntegrityError, match="holds no snapshot instead of sha256:"):
        maker(registry=f"{image_registry.address}/taken").snapshot_image(manifest)


@pytest.mark.parametrize("login", [None, RegistryLogin(USER, "wrong")])
def test_without_a_login_the_registry_refuses(
    maker: Maker, snapshot: Snapshot, guarded: ImageRegistry, login: RegistryLogin | None
) -> None:
    with pytest.raises(AdapterError, match="the registry does not know the login") as caught:
        maker(registry=guarded.address, login=login).snapshot_image(snapshot())
    assert "Airflow connection" in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_with_a_login_it_takes_and_gives(
    maker: Maker, snapshot: Snapshot, guarded: ImageRegistry, other_engine: DockerEngine
) -> None:
    login = RegistryLogin(USER, PASSWORD)
    assert PASSWORD not in repr(login)

    image = maker(registry=guarded.address, login=login).snapshot_image(snapshot())
    elsewhere = maker(engine=other_engine, registry=guarded.address, login=login)
    assert elsewhere.snapshot_image(snapshot()) == image


def test_a_registry_that_is_not_there(maker: Maker, snapshot: Snapshot) -> None:
    with pytest.raises(AdapterError, match="the engine cannot reach the registry"):
        maker(registry="127.0.0.1:9/models").snapshot_image(snapshot())


def test_the_checks_image_is_shared_as_well(
    maker: Maker, small_host: Path, image_registry: ImageRegistry, other_engine: DockerEngine
) -> None:
    image = maker(registry=image_registry.address, host_source=small_host).checks_image()

    assert image.startswith(f"{image_registry.address}/airlock-checks@sha256:")
    elsewhere = maker(engine=other_engine, registry=image_registry.address, host_source=small_host)
    assert elsewhere.checks_image() == image
