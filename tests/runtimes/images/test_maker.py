"""Making images on a real engine: what is in them, and that each is made once."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import docker  # type: ignore[import-untyped]
import pytest

from airlock.exceptions import AdapterError, IntegrityError
from airlock.runtimes.base import RuntimeSettings
from airlock.runtimes.images.engine import ImageEngine
from airlock.runtimes.images.maker import ImageMaker
from airlock.snapshots.store import ArtifactStore
from airlock.spec import Images
from tests.docker_engine import DockerEngine
from tests.runtimes.conftest import Snapshot
from tests.runtimes.contract import killed_after

from .conftest import Look, Maker, image_of_files

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="airlock.runtimes.images")


def at_once(*acts: Callable[[], str]) -> list[str]:
    """What several processes give that begin together."""
    with ProcessPoolExecutor(len(acts), mp_context=get_context("fork")) as pool:
        _ACTS[:] = acts
        return list(pool.map(_act, range(len(acts))))


_ACTS: list[Callable[[], str]] = []


def _act(number: int) -> str:
    return _ACTS[number]()


def test_host_model_and_packages_are_there_for_nobody_in_particular(
    maker: Maker, snapshot: Snapshot, look: Look
) -> None:
    manifest = snapshot()
    image = maker().snapshot_image(manifest)

    program = """
import hashlib, json, os, pathlib, sys
import numpy, airlock_host
model = pathlib.Path("/airlock/model")
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "digest": "sha256:" + hashlib.sha256((model / ".airlock/manifest.json").read_bytes()).hexdigest(),
    "files": sorted(str(p.relative_to(model)) for p in model.rglob("*") if p.is_file()),
    "writable": [str(path) for path in pathlib.Path("/airlock").rglob("*") if os.access(path, os.W_OK)],
    "job": oct(os.stat("/airlock/job").st_mode),
    "host": airlock_host.__file__,
    "compiled": [os.path.exists(m.__cached__) for m in (numpy, airlock_host, json)],
}))
"""
    found = json.loads(look(image, program))
    assert found["user"] == [10001, 10001]
    assert found["digest"] == manifest.digest
    assert found["files"] == [".airlock/manifest.json", *(entry.path for entry in manifest.files)]
    assert found["host"] == "/airlock/host/airlock_host/__init__.py"
    assert found["compiled"] == [True, True, True]
    assert (found["writable"], found["job"]) == ([], "0o41777")  # a volume at that place gets its mode


def test_it_is_labelled_and_named_by_the_digest(
    maker: Maker, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    manifest = snapshot()
    image = maker().snapshot_image(manifest)

    found = docker_engine.client().inspect_image(image)
    assert found["RepoTags"] == [f"airlock/obedient:{manifest.digest.removeprefix('sha256:')}"]
    assert found["Config"]["Labels"]["airlock.snapshot"] == manifest.digest
    assert found["Config"]["Labels"]["airlock.environment"].startswith("sha256:")
    assert found["Config"]["Entrypoint"] == ["python", "-m", "airlock_host"]
    assert found["Id"] == image


def test_the_second_time_it_is_found(
    maker: Maker, snapshot: Snapshot, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = snapshot()
    first = maker().snapshot_image(manifest)
    caplog.clear()

    assert maker().snapshot_image(manifest) == first
    assert caplog.text == ""


def test_what_was_removed_is_made_again_of_the_same_layers(
    maker: Maker, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    manifest = snapshot(only_here=uuid.uuid4().hex)
    client = docker_engine.client()
    before = client.inspect_image(maker().snapshot_image(manifest))
    client.remove_image(before["Id"], force=True, noprune=True)
    assert images_of(docker_engine, manifest.digest) == []

    again = client.inspect_image(maker().snapshot_image(manifest))
    assert again["RootFS"]["Layers"] == before["RootFS"]["Layers"]


def test_a_snapshot_with_the_same_lock_stands_on_the_same_environment(
    maker: Maker, snapshot: Snapshot, docker_engine: DockerEngine, caplog: pytest.LogCaptureFixture
) -> None:
    first = maker().snapshot_image(snapshot())
    caplog.clear()

    second = maker().snapshot_image(snapshot(only_here=uuid.uuid4().hex))

    one, other = (docker_engine.client().inspect_image(image) for image in (first, second))
    assert one["Id"] != other["Id"]
    assert one["RootFS"]["Layers"][:-1] == other["RootFS"]["Layers"][:-1]
    assert "Fetching the packages" not in caplog.text


def test_another_host_or_base_makes_another_image(
    maker: Maker,
    snapshot: Snapshot,
    settings: RuntimeSettings,
    docker_engine: DockerEngine,
    base_image: str,
    look: Look,
    tmp_path: Path,
) -> None:
    manifest = snapshot()
    before = maker().snapshot_image(manifest)
    host = tmp_path / "host"
    shutil.copytree(settings.host_source, host)
    (host / "airlock_host/__init__.py").write_text("__version__ = 'new'\n")
    client = docker_engine.client()
    client.tag(base_image, "airlock-test-base", "other")

    with_host = maker(host_source=host).snapshot_image(manifest)
    assert look(with_host, "import airlock_host; print(airlock_host.__version__)") == "new\n"
    with_base = maker(base="airlock-test-base:other").snapshot_image(manifest)
    assert len({before, with_host, with_base}) == 3


# --- several, and killed ones


def test_two_at_once_make_one_image(maker: Maker, snapshot: Snapshot, docker_engine: DockerEngine) -> None:
    manifest = snapshot(only_here=uuid.uuid4().hex)

    def make() -> str:
        return maker().snapshot_image(manifest)

    first, second = at_once(make, make)
    assert first == second
    assert images_of(docker_engine, manifest.digest) == [first]


def test_two_on_different_machines_agree_on_one_image(
    maker: Maker, snapshot: Snapshot, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    manifest = snapshot(only_here=uuid.uuid4().hex)

    def make() -> str:  # the claims of two machines are in two folders
        tempfile.tempdir = tempfile.mkdtemp(dir=tmp_path)
        return maker().snapshot_image(manifest)

    first, second = at_once(make, make)
    named = docker_engine.client().inspect_image(
        f"airlock/obedient:{manifest.digest.removeprefix('sha256:')}"
    )
    assert named["Id"] in (first, second)
    assert maker().snapshot_image(manifest) == named["Id"]


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 1.0])
def test_a_killed_caller_is_followed_by_one_who_finishes(
    maker: Maker, snapshot: Snapshot, look: Look, docker_engine: DockerEngine, seconds: float
) -> None:
    manifest = snapshot(only_here=uuid.uuid4().hex)
    killed_after(seconds, lambda: maker().snapshot_image(manifest))

    image = maker().snapshot_image(manifest)
    assert maker().snapshot_image(manifest) == image
    assert "behaviour.json" in look(image, "import os; print(os.listdir('/airlock/model'))")


def test_a_caller_killed_while_it_looked_at_the_base_leaves_nothing_for_long(
    base_image: str, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = docker_engine.client()
    left = client.create_container(base_image, ["python"], labels={"airlock.purpose": "inspection"})["Id"]
    engine = ImageEngine(client, registry=None, login=None)

    def inspections() -> list[str]:
        found = client.containers(all=True, filters={"label": "airlock.purpose=inspection"})
        return [container["Id"] for container in found]

    assert engine.run(base_image, "print(1)") == "1\n"
    assert left in inspections()  # it may be somebody's
    monkeypatch.setattr("airlock.runtimes.images.engine._SECONDS_OF_AN_INSPECTION", -1.0)
    assert engine.run(base_image, "print(1)") == "1\n"
    assert inspections() == []


# --- what ran before


def test_a_known_image_is_taken_as_it_is(maker: Maker, snapshot: Snapshot) -> None:
    manifest = snapshot()
    image = maker().snapshot_image(manifest)

    assert maker(base="there/is:none").snapshot_image(manifest, known=image) == image


def test_a_stream_has_an_image_of_its_own_and_leaves_the_first_as_it_was(
    maker: Maker, snapshot: Snapshot, look: Look, docker_engine: DockerEngine
) -> None:
    manifest = snapshot()
    server, stream = maker().snapshot_image(manifest), maker().snapshot_image(manifest, stream=True)
    program = (
        "import importlib.util as u; "
        "print({bool(u.find_spec(name)) for name in ('confluent_kafka', 'fastavro', 'msgspec')})"
    )

    assert look(server, program).strip() == "{False}"
    assert look(stream, program).strip() == "{True}"
    tags = docker_engine.client().inspect_image(stream)["RepoTags"]
    assert tags == [f"airlock/obedient:{manifest.digest.removeprefix('sha256:')}-stream"]
    assert maker().snapshot_image(manifest) == server, "each is found again"
    assert maker().snapshot_image(manifest, stream=True) == stream


@pytest.mark.parametrize("stream", [True, False])
def test_a_known_image_without_or_with_the_packages_of_streams_is_refused(
    maker: Maker, snapshot: Snapshot, stream: bool
) -> None:
    other = maker().snapshot_image(snapshot(), stream=not stream)

    with pytest.raises(IntegrityError, match="with the packages of a stream"):
        maker().snapshot_image(snapshot(), known=other, stream=stream)


def test_a_known_image_of_another_engine_is_made_again(maker: Maker, snapshot: Snapshot) -> None:
    manifest = snapshot()
    image = maker().snapshot_image(manifest)

    assert maker().snapshot_image(manifest, known=f"sha256:{'0' * 64}") == image


def test_a_known_image_of_another_snapshot_is_refused(maker: Maker, snapshot: Snapshot) -> None:
    image = maker().snapshot_image(snapshot())
    other = snapshot(other=True)

    with pytest.raises(IntegrityError, match=f"instead of {other.digest}"):
        maker().snapshot_image(other, known=image)


def test_a_known_image_that_is_lost_is_an_error(maker: Maker, snapshot: Snapshot) -> None:
    known = f"127.0.0.1:9/obedient@sha256:{'0' * 64}"

    with pytest.raises(AdapterError, match="in which this snapshot was tested cannot be had") as caught:
        maker().snapshot_image(snapshot(), known=known)
    assert known in str(caught.value)


# --- mistakes


def test_a_changed_byte_in_the_store_is_refused_before_anything_is_made(
    maker: Maker, snapshot: Snapshot, store: ArtifactStore, docker_engine: DockerEngine
) -> None:
    manifest = snapshot(only_here=uuid.uuid4().hex)
    sha256 = manifest.file("behaviour.json").sha256
    blob = Path(store.url) / "sha256" / sha256[:2] / sha256[2:]
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"only", b"0nly"))

    with pytest.raises(IntegrityError, match=r"behaviour\.json"):
        maker().snapshot_image(manifest)
    assert images_of(docker_engine, manifest.digest) == []


def test_a_missing_base_image_is_named(maker: Maker, snapshot: Snapshot) -> None:
    with pytest.raises(AdapterError, match=r"does not have the base image 127\.0\.0\.1:9/python:3") as caught:
        maker(base="127.0.0.1:9/python:3").snapshot_image(snapshot())
    assert "Run 'docker pull 127.0.0.1:9/python:3'" in str(caught.value)
    assert "cannot reach the registry" in str(caught.value)


def test_a_python_of_another_version_is_refused(maker: Maker, snapshot: Snapshot) -> None:
    manifest = snapshot().model_copy(update={"python": "<3.11"})

    with pytest.raises(AdapterError, match=r"has Python 3\.1.*, but obedient needs <3\.11") as caught:
        maker().snapshot_image(manifest)
    assert "images.base" in str(caught.value)


def test_an_image_without_python_is_refused(
    maker: Maker, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    image_of_files(docker_engine.client(), "without-python", {"bin/true": b"#!/bin/false\n"})

    with pytest.raises(AdapterError, match="without-python:latest has no program 'python'"):
        maker(base="without-python:latest").snapshot_image(snapshot())


def test_an_image_for_another_processor_is_refused(
    maker: Maker, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    elf_for_s390 = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x02\x00\x16\x00\x00\x00\x01" + bytes(40)
    image_of_files(docker_engine.client(), "for-another", {"bin/python": elf_for_s390})

    with pytest.raises(AdapterError, match="is for another kind of processor than the engine's"):
        maker(base="for-another:latest").snapshot_image(snapshot())


def test_an_engine_that_does_not_answer(settings: RuntimeSettings, snapshot: Snapshot) -> None:
    client = docker.APIClient(base_url="unix:///nowhere.sock", version="1.41")
    maker = ImageMaker(client, Images(), settings.store, settings.host_source)
    with pytest.raises(AdapterError, match="the Docker engine cannot be reached") as caught:
        maker.snapshot_image(snapshot())
    assert "Start the engine" in str(caught.value)


# --- images of models, and of nobody


def test_the_checks_image_has_no_model(maker: Maker, small_host: Path, look: Look) -> None:
    image = maker(host_source=small_host).checks_image()

    assert maker(host_source=small_host).checks_image() == image
    program = "import os, airlock_host, idna; print(sorted(os.listdir('/airlock')))"
    assert look(image, program) == "['host', 'job']\n"


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_an_environment_whose_maker_is_killed_is_made_by_the_next_one(
    maker: Maker, small_host: Path, look: Look, docker_engine: DockerEngine, seconds: float
) -> None:
    lock = small_host / "checks.lock"
    lock.write_text(f"{lock.read_text()}# {seconds}\n")
    killed_after(seconds, lambda: maker(host_source=small_host).checks_image())

    image = maker(host_source=small_host).checks_image()
    assert look(image, "import idna; print(1)") == "1\n"


def images_of(engine: DockerEngine, snapshot: str) -> list[str]:
    """The ids of all images that hold a snapshot, named or not."""
    return list(engine.client().images(quiet=True, filters={"label": f"airlock.snapshot={snapshot}"}))
