"""Finding what has changed in a materialised folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airlock.snapshots.manifest import MANIFEST_PATH, Manifest
from airlock.snapshots.store import ArtifactStore
from airlock.snapshots.verify import verify_folder

from .conftest import manifest_of

CONTENTS = {
    "model.py": b"def score(records): ...\n",
    "requirements.lock": b"",
    "weights/layer.bin": b"0123456789",
}


@pytest.fixture
def manifest() -> Manifest:
    return manifest_of(CONTENTS)


@pytest.fixture
def folder(tmp_path: Path, manifest: Manifest) -> Path:
    """A materialised snapshot."""
    store = ArtifactStore(str(tmp_path / "store"))
    for content in CONTENTS.values():
        store.put(BytesIO(content), hashlib.sha256(content).hexdigest())
    store.materialise(manifest, tmp_path / "snapshot")
    return tmp_path / "snapshot"


def found(manifest: Manifest, folder: Path) -> list[tuple[str, str]]:
    return [(problem.path, problem.kind) for problem in verify_folder(manifest, folder)]


def test_an_untouched_folder_has_no_problems(manifest: Manifest, folder: Path) -> None:
    assert verify_folder(manifest, folder) == []


def test_modes_and_times_are_not_part_of_a_snapshot(manifest: Manifest, folder: Path) -> None:
    (folder / "model.py").chmod(0o755)
    os.utime(folder / "model.py", (0, 0))
    assert verify_folder(manifest, folder) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(data=st.data())
def test_any_single_changed_bit_is_found(manifest: Manifest, folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(["model.py", "weights/layer.bin", MANIFEST_PATH]))
    original = (folder / path).read_bytes()
    bit = data.draw(st.integers(0, len(original) * 8 - 1))
    changed = bytearray(original)
    changed[bit // 8] ^= 1 << (bit % 8)
    (folder / path).chmod(0o644)
    (folder / path).write_bytes(changed)
    try:
        assert found(manifest, folder) == [(path, "changed")]
    finally:
        (folder / path).write_bytes(original)


def _swap_for_a_link(folder: Path) -> None:
    shutil.copy(folder / "model.py", folder.parent / "elsewhere.py")
    (folder / "model.py").unlink()
    (folder / "model.py").symlink_to(folder.parent / "elsewhere.py")


def _swap_a_folder_for_a_link(folder: Path) -> None:
    (folder / "weights").rename(folder.parent / "elsewhere")
    (folder / "weights").symlink_to(folder.parent / "elsewhere")


def _swap_for_a_folder(folder: Path) -> None:
    (folder / "model.py").unlink()
    (folder / "model.py").mkdir()


def _plant_compiled_code(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"")


def _add_a_name_that_is_not_text(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"")


def _append(folder: Path) -> None:
    (folder / "weights/layer.bin").chmod(0o644)
    with (folder / "weights/layer.bin").open("ab") as stream:
        stream.write(b"!")


CHANGES: list[tuple[Callable[[Path], object], list[tuple[str, str]]]] = [
    (_append, [("weights/layer.bin", "changed")]),
    (lambda folder: (folder / "weights/layer.bin").unlink(), [("weights/layer.bin", "missing")]),
    (lambda folder: shutil.rmtree(folder / "weights"), [("weights/layer.bin", "missing")]),
    (lambda folder: (folder / MANIFEST_PATH).unlink(), [(MANIFEST_PATH, "missing")]),
    (lambda folder: (folder / "weights/more.bin").write_bytes(b""), [("weights/more.bin", "added")]),
    (lambda folder: (folder / ".airlock/more").write_bytes(b""), [(".airlock/more", "added")]),
    (lambda folder: os.mkfifo(folder / "pipe"), [("pipe", "added")]),
    (_plant_compiled_code, [("__pycache__/model.cpython-311.pyc", "added")]),
    (_add_a_name_that_is_not_text, [("caf\\udce9.txt", "added")]),
    (_swap_for_a_link, [("model.py", "changed")]),
    (_swap_a_folder_for_a_link, [("weights", "added"), ("weights/layer.bin", "missing")]),
    (_swap_for_a_folder, [("model.py", "missing")]),
    (shutil.rmtree, [(".", "missing")]),
]


@pytest.mark.parametrize(("change", "problems"), CHANGES)
def test_each_kind_of_change_is_named(
    manifest: Manifest, folder: Path, change: Callable[[Path], object], problems: list[tuple[str, str]]
) -> None:
    change(folder)
    assert found(manifest, folder) == problems


def test_all_changes_are_named_at_once(manifest: Manifest, folder: Path) -> None:
    _append(folder)
    (folder / "model.py").unlink()
    (folder / "added.py").write_text("")
    assert [str(problem) for problem in verify_folder(manifest, folder)] == [
        "added.py: is not part of the snapshot",
        "model.py: is missing",
        "weights/layer.bin: has 11 bytes instead of 10",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_cannot_be_read_is_a_problem(manifest: Manifest, folder: Path) -> None:
    (folder / "model.py").chmod(0)
    assert found(manifest, folder) == [("model.py", "unreadable")]
