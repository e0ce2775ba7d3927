"""Folders that appear whole and go whole, although whoever makes or removes them may be killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from airlock.runtimes.local.folder import EnvironmentPlan, Plan
from airlock.runtimes.local.process import OWNER, owned_by
from airlock.runtimes.local.shelf import Shelf

from ..contract import in_another_process, killed_after
from ..waiting import wait_for

ENVIRONMENT = EnvironmentPlan("/environments/1", "/lock", "sha256:1", "/python", "/host", "sha256:2", "/uv")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path, grace_seconds=0.2)


def plan(owner: str) -> Plan:
    return Plan("it", "job", "", owner, ENVIRONMENT, [], {}, 1.0, 2**30, 0.2, 60.0)


def fill(folder: Path) -> None:
    (folder / "content").write_text("all of it")
    plan(f"{folder.parent}//it.1/").write(folder)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_with_all_that_is_in_it(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.create("it", fill)
    assert not shelf.create("it", fill)

    assert [path.name for path in shelf] == ["it"]
    assert names(tmp_path / "it") == ["content", "plan.json"]
    assert names(tmp_path) == ["it"]


def test_a_folder_that_cannot_be_filled_does_not_appear(shelf: Shelf, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise PermissionError("no")

    with pytest.raises(PermissionError):
        shelf.create("it", fail)

    assert names(tmp_path) == []


def test_of_two_makers_one_makes_it(shelf: Shelf, tmp_path: Path) -> None:
    def fill_while_another_does(folder: Path) -> None:
        fill(folder)
        in_another_process(lambda: shelf.create("it", fill)).join()

    assert not shelf.create("it", fill_while_another_does)

    assert names(tmp_path) == ["it"]


def test_what_a_killed_maker_left_is_cleared_away_and_what_a_running_one_has_is_not(
    shelf: Shelf, tmp_path: Path
) -> None:
    def fill_slowly(folder: Path) -> None:
        fill(folder)
        time.sleep(600)

    running = in_another_process(lambda: shelf.create("running", fill_slowly))
    killed = in_another_process(lambda: shelf.create("killed", fill_slowly))
    wait_for(lambda: len(list(tmp_path.glob(".new-*/plan.json"))) == 2)
    killed.kill()
    killed.join()

    shelf.clear_leftovers()

    [left] = names(tmp_path)
    assert left.endswith("-running")
    running.kill()
    running.join()


def test_removing_ends_the_processes_and_what_is_not_there_is_well(shelf: Shelf, tmp_path: Path) -> None:
    shelf.create("it", fill)
    owner = f"{tmp_path}//it.1/"
    process = in_another_process(
        lambda: os.execve("/bin/sleep", ["sleep", "600"], {**os.environ, OWNER: owner})
    )
    wait_for(lambda: process.pid in owned_by(owner))

    shelf.remove("it")
    shelf.remove("it")

    process.join()
    assert process.exitcode == -15
    assert names(tmp_path) == []


def test_removing_copes_with_folders_that_refuse_to_be_emptied(shelf: Shelf, tmp_path: Path) -> None:
    shelf.create("it", fill)
    (tmp_path / "it" / "tmp").mkdir()
    (tmp_path / "it" / "tmp" / "file").touch()
    (tmp_path / "it" / "tmp").chmod(0o500)

    shelf.remove("it")

    assert names(tmp_path) == []


def test_removing_may_be_killed_at_any_point_and_repeated_by_many(shelf: Shelf, tmp_path: Path) -> None:
    for milliseconds in range(0, 20, 2):
        shelf.create("it", fill)
        for number in range(50):
            (tmp_path / "it" / f"file-{number}").touch()
        killed_after(milliseconds / 1000, lambda: shelf.remove("it"))

        def repeat() -> None:
            shelf.remove("it")
            shelf.clear_leftovers()

        repeated = [in_another_process(repeat) for _ in range(3)]
        for process in repeated:
            process.join()

        assert [process.exitcode for process in repeated] == [0, 0, 0]
        assert names(tmp_path) == []
