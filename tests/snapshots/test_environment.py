"""Locking an environment: every package with hashes, and nothing of the machine that made the lock.

Tests without a mark use requirements that need no package, so they ask no package index.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airlock.exceptions import SnapshotError
from airlock.snapshots.environment import lock

NOWHERE = "http://127.0.0.1:9/simple"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "requirements.txt").write_text("")
    return tmp_path / "model"


def require(folder: Path, *lines: str) -> None:
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")


def packages(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(), re.MULTILINE))


def pretend_up_to_date(folder: Path, body: str) -> Path:
    """Make a lock with another body than was resolved, for the requirements as they are."""
    path = lock(folder, [])
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    path.write_text("\n".join(header) + "\n" + body)
    return path


def test_a_model_without_requirements_has_an_empty_lock(folder: Path) -> None:
    path = lock(folder, [])
    assert path == folder / "requirements.lock"
    assert all(line.startswith("#") for line in path.read_text().splitlines())
    assert [entry.name for entry in sorted(folder.iterdir())] == ["requirements.lock", "requirements.txt"]


def test_the_same_requirements_give_the_same_lock_anywhere(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "with another name"
    other.mkdir(parents=True)
    (other / "requirements.txt").write_text("# the same\n\n")
    assert lock(folder, ["# none"]).read_bytes() == lock(other, []).read_bytes()


def test_an_up_to_date_lock_is_left_alone_and_needs_no_uv(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lock(folder, [])
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
    monkeypatch.setattr("airlock.snapshots.environment._uv", lambda: "/nonexistent/uv")
    (folder / "requirements.txt").write_text("# only a comment has changed\n")
    assert lock(folder, []) == path
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_lock_is_renewed_when_what_it_was_made_from_changes(folder: Path) -> None:
    before = lock(folder, []).read_text()
    assert lock(folder, [], python=">=3.12,<3.14").read_text() != before
    assert lock(folder, []).read_text() == before


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("--index-url https://packages.example\n", "option '--index-url'"),
        ("-e file:///srv/model\n", "option '-e'"),
        ("idna==3.10\n", "'idna==3.10' has no hash"),
        ("idna==3.10 \\\n    --hash=sha256:00\nnumpy==2.0\n", "'numpy==2.0' has no hash"),
        ("./wheels/idna.whl \\\n    --hash=sha256:00\n", "is a path on this machine"),
        ("idna @ file:///srv/idna.whl \\\n    --hash=sha256:00\n", "is a path on this machine"),
    ],
)
def test_a_lock_that_was_edited_so_that_it_holds_less_is_refused(
    folder: Path, body: str, problem: str
) -> None:
    pretend_up_to_date(folder, body)
    with pytest.raises(SnapshotError, match=rf"{problem}.*Remove the file"):
        lock(folder, [])


def test_a_python_that_airlock_does_not_support_is_refused(folder: Path) -> None:
    with pytest.raises(SnapshotError, match=r"3\.11, 3\.12, 3\.13.*==3\.9\.\*.*Widen 'python'"):
        lock(folder, [], python="==3.9.*")


def test_requirements_that_contradict_each_other_are_explained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Needs no index: uv sees it before it asks for any version.
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", NOWHERE)
    require(folder, "idna<3")
    with pytest.raises(SnapshotError, match=r"cannot be locked\. uv says: (.|\n)*idna<3 and idna>3\.2"):
        lock(folder, ["idna>3.2"])
    assert not (folder / "requirements.lock").exists()


def test_an_index_that_cannot_be_reached_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", NOWHERE)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    require(folder, "idna")
    with pytest.raises(SnapshotError, match=r"index could not be asked.*UV_DEFAULT_INDEX.*up-to-date"):
        lock(folder, [])
    assert not (folder / "requirements.lock").exists()


def test_a_folder_that_cannot_be_written_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SnapshotError, match=r"requirements\.lock cannot be written.*Permission denied"):
        lock(folder, [])
    assert [entry.name for entry in folder.iterdir()] == ["requirements.txt"]


# With a package index


@pytest.mark.package_index
def test_every_package_is_locked_with_hashes_for_all_platforms(folder: Path) -> None:
    require(folder, "idna>=3.7", "colorama; sys_platform == 'win32'")
    path = lock(folder, ["iniconfig>=2"])
    assert set(packages(path)) == {"idna", "colorama", "iniconfig"}
    text = path.read_text()
    assert text.count("--hash=sha256:") >= 3
    assert re.search(r"^colorama==\S+ ; sys_platform == 'win32'", text, re.MULTILINE)
    for trace in ("http", "index", str(folder), "/tmp", "via"):
        assert trace not in text


@pytest.mark.package_index
def test_what_the_host_needs_takes_part_in_the_resolution(folder: Path) -> None:
    require(folder, "idna>=3.4")
    assert packages(lock(folder, ["idna<3.7"]))["idna"] == "3.6"


@pytest.mark.package_index
def test_a_contradiction_with_the_host_shows_what_the_host_needs(folder: Path) -> None:
    require(folder, "idna<3")
    with pytest.raises(SnapshotError, match=r"host's own requirements count as well: idna>3\.2"):
        lock(folder, ["idna>3.2"])


@pytest.mark.package_index
def test_a_package_that_does_not_exist_is_explained(folder: Path) -> None:
    require(folder, "idna==99999")
    with pytest.raises(SnapshotError, match=r"no version of idna==99999"):
        lock(folder, [])


@pytest.mark.package_index
def test_a_renewed_lock_keeps_the_versions_that_still_fit(folder: Path) -> None:
    require(folder, "idna==3.6")
    lock(folder, [])
    require(folder, "idna>=3.4", "iniconfig")
    assert packages(lock(folder, []))["idna"] == "3.6"


@pytest.mark.package_index
def test_an_up_to_date_lock_needs_no_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(folder, "idna>=3.4")
    before = lock(folder, []).read_bytes()
    monkeypatch.setenv("UV_DEFAULT_INDEX", NOWHERE)
    monkeypatch.setenv("UV_NO_CACHE", "1")
    assert lock(folder, []).read_bytes() == before
