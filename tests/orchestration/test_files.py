"""Files that tasks touch themselves: the same acts on this machine and in an object store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest

from airlock.orchestration import files
from airlock.orchestration.files import StorageError
from tests.object_store import ObjectStore, object_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("object-store")) as running:
        running.make_bucket("airlock")
        yield running


@pytest.fixture(params=["path", "url"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder on this machine, and one in an object store."""
    if request.param == "path":
        return str(tmp_path / "folder")
    store: ObjectStore = request.getfixturevalue("store")
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://airlock/{tmp_path.name}"


@pytest.fixture
def write(folder: str) -> Callable[[str], str]:
    """Writes a file into the folder."""

    def write_file(name: str) -> str:
        place = files.join(folder, name)
        with fsspec.open(place, "wb", auto_mkdir=True) as stream:
            stream.write(b"something")
        return place

    return write_file


def test_files_are_found_by_a_pattern(folder: str, write: Callable[[str], str]) -> None:
    places = [write(name) for name in ("part-0002.parquet", "part-0001.parquet", "part.csv", "a/x.parquet")]

    assert files.find(files.join(folder, "part-*.parquet")) == [places[1], places[0]]
    assert files.find(files.join(folder, "**/*.parquet")) == sorted([*places[:2], places[3]])
    assert files.find(places[2]) == [places[2]]
    assert files.find(files.join(folder, "nothing-*")) == []
    assert files.find(files.join(folder, "nowhere/*.parquet")) == []


def test_what_others_put_since_is_found(folder: str, write: Callable[[str], str]) -> None:
    pattern = files.join(folder, "*.csv")
    write("1.csv")
    assert len(files.find(pattern)) == 1

    write("2.csv")

    assert len(files.find(pattern)) == 2


def test_a_file_is_removed_and_one_that_is_gone_is_well(folder: str, write: Callable[[str], str]) -> None:
    kept, place = write("kept.csv"), write("1.csv")

    files.remove_file(place)
    files.remove_file(place)

    assert files.find(files.join(folder, "*")) == [kept]


def test_a_folder_is_removed_with_everything_in_it(folder: str, write: Callable[[str], str]) -> None:
    write("1.csv")
    write("deep/er/2.csv")

    files.remove_folder(folder)
    files.remove_folder(folder)

    assert files.find(files.join(folder, "**/*.csv")) == []


def test_a_folder_is_made_once(folder: str, write: Callable[[str], str]) -> None:
    files.make_folder(folder)
    files.make_folder(folder, open_to_all=True)

    assert files.find(write("1.csv")) != []


def test_a_new_folder_lets_other_users_write_where_it_must(tmp_path: Path) -> None:
    own, shared = tmp_path / "own", tmp_path / "deep" / "shared"

    files.make_folder(str(own))
    files.make_folder(str(own), open_to_all=True)
    files.make_folder(str(shared), open_to_all=True)

    assert own.stat().st_mode & 0o022 == 0, "rights that a folder has already are kept"
    assert shared.stat().st_mode & 0o777 == 0o777
    assert shared.parent.stat().st_mode & 0o022 == 0
    assert os.umask(os.umask(0o022)) == 0o022


@pytest.mark.parametrize(
    ("place", "located"),
    [
        ("data/in/*.parquet", "/project/data/in/*.parquet"),
        ("./data/../in", "/project/in"),
        ("/srv/data/in", "/srv/data/in"),
        ("file:///srv/data/in", "/srv/data/in"),
        ("s3://bucket/in/*.csv", "s3://bucket/in/*.csv"),
    ],
)
def test_a_place_is_an_absolute_path_or_a_url(place: str, located: str) -> None:
    assert files.locate(Path("/project"), place) == located


def test_a_store_that_is_away_is_told_in_words(monkeypatch: pytest.MonkeyPatch, store: ObjectStore) -> None:
    for name, value in {**store.variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()

    for act in (files.find, files.remove_file, files.remove_folder):
        with pytest.raises(StorageError, match=r"s3://airlock/x cannot be used: .*127\.0\.0\.1:9") as refused:
            act("s3://airlock/x")
        assert "credentials" in str(refused.value)
    fsspec.filesystem("s3").clear_instance_cache()


def test_a_bucket_that_is_not_there_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, store: ObjectStore
) -> None:
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StorageError, match="no bucket no-such-bucket"):
        files.find("s3://no-such-bucket/in/*.csv")


def test_a_kind_of_url_without_its_driver_is_told_in_words() -> None:
    with pytest.raises(StorageError, match="spaceship"):
        files.find("spaceship://moon/*.csv")


def test_what_may_not_be_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=r"file.* cannot be used: (File exists|Not a directory)"):
        files.make_folder(str(tmp_path / "file" / "folder"))
    with pytest.raises(StorageError, match=r"file cannot be used: File exists"):
        files.make_folder(str(tmp_path / "file"))
