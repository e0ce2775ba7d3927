"""An engine whose disk is full, and a worker whose disk is."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.exceptions import AdapterError
from tests import base_image
from tests.docker_engine import DockerEngine
from tests.runtimes.conftest import Snapshot

from .conftest import Maker

pytestmark = pytest.mark.docker


@pytest.fixture
def small_engine() -> Iterator[DockerEngine]:
    """An engine with room for a base image, and for nothing else."""
    engine = DockerEngine.in_new_folder()
    with small_disk(engine.folder, "110m"):
        try:
            engine.start()
            base_image.make(engine.client())
            yield engine
        finally:
            engine.kill()
            engine.remove()


class small_disk:  # noqa: N801  used like a function
    """A file system in memory, mounted on a folder."""

    def __init__(self, folder: Path, size: str) -> None:
        self._folder, self._size = str(folder), size

    def __enter__(self) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", self._folder]
        subprocess.run(command, check=True)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self._folder], check=True)


def test_an_engine_with_a_full_disk_says_so(
    maker: Maker, snapshot: Snapshot, small_engine: DockerEngine
) -> None:
    with pytest.raises(AdapterError, match="the disk of the Docker engine is full") as caught:
        maker(engine=small_engine).snapshot_image(snapshot())
    assert "docker system prune" in str(caught.value)
    assert small_engine.client().containers(all=True) == []


def test_a_worker_with_a_full_disk_says_so(
    maker: Maker, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = snapshot(heavy="x" * 100_000)
    folder = tmp_path / "small"
    folder.mkdir()
    with small_disk(folder, "64k"):
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with pytest.raises(
            AdapterError, match="the disk of this machine's temporary files is full"
        ) as caught:
            maker().snapshot_image(manifest)
        monkeypatch.undo()
    assert "TMPDIR" in str(caught.value)
