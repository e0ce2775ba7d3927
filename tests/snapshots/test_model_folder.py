"""Which files of a folder belong to its snapshot, and which may not be in one."""

from __future__ import annotations

import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from airlock.exceptions import SnapshotError
from airlock.snapshots import model_folder
from airlock.snapshots.model_folder import find_files


def write(folder: Path, *paths: str, content: str = "") -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


def test_files_are_listed_by_path(tmp_path: Path) -> None:
    write(tmp_path, "b.py", "a/z.bin", "a.txt", "a/b/c.bin", "Z.txt", "é.txt")
    assert list(find_files(tmp_path)) == ["Z.txt", "a.txt", "a/b/c.bin", "a/z.bin", "b.py", "é.txt"]


def test_the_order_of_the_file_system_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "b", "c/d", "c/a", "a")
    once = list(find_files(tmp_path))
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: sorted(listed(folder), reverse=True))
    assert list(find_files(tmp_path)) == once == ["a", "b", "c/a", "c/d"]


def test_what_tools_leave_behind_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, "model.py", "__pycache__/model.pyc", "deep/__pycache__/x.pyc", "old.pyc", ".git/HEAD")
    write(tmp_path, ".venv/bin/python", ".DS_Store", "deep/.DS_Store", ".airlock/manifest.json", ".hidden")
    assert list(find_files(tmp_path)) == [".hidden", "model.py"]


def test_names_in_airlockignore_are_ignored(tmp_path: Path) -> None:
    write(
        tmp_path,
        "model.py",
        "notebook.ipynb",
        "data/raw.csv",
        "deep/data/raw.csv",
        "deep/notes.md",
        "notes.md",
    )
    write(tmp_path, ".airlockignore", content="# not part of the model\n*.ipynb\n\ndata/\n/notes.md\n")
    assert list(find_files(tmp_path)) == ["deep/notes.md", "model.py"]


def test_empty_folders_are_not_part_of_a_snapshot(tmp_path: Path) -> None:
    write(tmp_path, "model.py")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    assert list(find_files(tmp_path)) == ["model.py"]


# Symbolic links


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "weights/v1.bin", content="weights")
    (tmp_path / "current.bin").symlink_to("weights/v1.bin")
    (tmp_path / "latest").symlink_to("weights")
    (tmp_path / "weights" / "again.bin").symlink_to("../weights/v1.bin")
    found = find_files(tmp_path)
    assert list(found) == [
        "current.bin", "latest/again.bin", "latest/v1.bin", "weights/again.bin", "weights/v1.bin"
    ]  # fmt: skip
    assert found["current.bin"].size == len("weights")


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "real/model.py")
    (tmp_path / "link").symlink_to("real")
    assert list(find_files(tmp_path / "link")) == ["model.py"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("../outside.bin", "outside the folder"),
        ("../model/weights.bin", "outside the folder"),  # would lead outside in a copy with another name
        ("{folder}/weights.bin", "outside the folder"),  # would lead to the original in a copy
        ("/dev/null", "outside the folder"),
        ("absent.bin", "does not exist"),
        ("link", "does not exist"),
        (".", "never ends"),
        ("..", "outside the folder"),
        ("deep/..", "never ends"),
    ],
)
def test_links_that_leave_or_lead_nowhere_are_refused(tmp_path: Path, target: str, reason: str) -> None:
    folder = tmp_path / "model"
    write(tmp_path, "outside.bin", "model/weights.bin", "model/deep/file")
    (folder / "link").symlink_to(target.format(folder=folder))
    with pytest.raises(SnapshotError, match=f"link: is a symbolic link.*{reason}"):
        find_files(folder)


def test_a_link_that_leaves_by_way_of_another_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "model/.git/HEAD", "outside.bin")
    (tmp_path / "model" / ".git" / "way-out").symlink_to("../../outside.bin")
    (tmp_path / "model" / "link").symlink_to(".git/way-out")
    with pytest.raises(SnapshotError, match="link: is a symbolic link that ends outside the folder"):
        find_files(tmp_path / "model")


def test_a_link_is_judged_by_the_folder_that_really_holds_it(tmp_path: Path) -> None:
    # Seen through 'short', '../up.bin' seems to leave the folder; where it really is, it does not.
    write(tmp_path, "deep/up.bin")
    (tmp_path / "deep" / "inner").mkdir()
    (tmp_path / "deep" / "inner" / "link").symlink_to("../up.bin")
    (tmp_path / "short").symlink_to("deep/inner")
    assert list(find_files(tmp_path)) == ["deep/inner/link", "deep/up.bin", "short/link"]


# What cannot be in a snapshot


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "is a named pipe"),
        (_socket, "is a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "is a symbolic link to /dev/zero, outside"),
    ],
)
def test_special_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "special")
    with pytest.raises(SnapshotError, match=f"special: {reason}"):
        find_files(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make devices")
def test_devices_are_refused(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "null", 0o666 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container may not make devices")
    with pytest.raises(SnapshotError, match="null: is a device"):
        find_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"caf\xe9.txt", r"caf\\udce9.txt: the name cannot be in a snapshot: it is not valid UTF-8"),
        (b"two\nlines", "control character"),
        (b"back\\slash", "backslash"),
        (unicodedata.normalize("NFD", "é.txt").encode(), "normal form C"),
    ],
)
def test_names_that_differ_between_machines_are_refused(tmp_path: Path, name: bytes, reason: str) -> None:
    (tmp_path / os.fsdecode(name)).write_text("")
    with pytest.raises(SnapshotError, match=reason):
        find_files(tmp_path)


def test_names_that_differ_only_by_case_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "Data/a.csv", "data/b.csv")
    with pytest.raises(SnapshotError, match=r"Data/ and data/: cannot both exist"):
        find_files(tmp_path)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, "Model.py", "model.py")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(SnapshotError, match=r"Model.py and model.py: .*link: .*pipe: "):
        find_files(tmp_path)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "MOST_ENTRIES", 3)
    write(tmp_path, "a", "b", "c")
    assert len(find_files(tmp_path)) == 3
    write(tmp_path, "d")
    with pytest.raises(SnapshotError, match=r"more than 3 files and folders.*\.airlockignore"):
        find_files(tmp_path)


def test_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "MOST_BYTES", 10)
    write(tmp_path, "a", "b", content="12345")
    assert len(find_files(tmp_path)) == 2
    write(tmp_path, "c", content="6")
    with pytest.raises(SnapshotError, match="has 11 bytes"):
        find_files(tmp_path)


def test_folders_that_multiply_through_links_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "MOST_ENTRIES", 500)
    # Each folder links twice to the next: 2**20 paths lead to the last one.
    for level in range(20):
        (tmp_path / f"level-{level}").mkdir()
        (tmp_path / f"level-{level}" / "left").symlink_to(f"../level-{level + 1}")
        (tmp_path / f"level-{level}" / "right").symlink_to(f"../level-{level + 1}")
    (tmp_path / "level-20").mkdir()
    with pytest.raises(SnapshotError, match="more than"):
        find_files(tmp_path)


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_not_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError, match="is not a folder"):
        find_files(tmp_path / name)
