"""Where caches go in a container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airlock_host.caches import find_room_for_caches


def test_without_a_home_the_temporary_folder_is_home(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    find_room_for_caches(environment)
    assert environment == {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}


def test_a_home_that_is_not_there_is_none(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path), "HOME": "/nonexistent"}
    find_room_for_caches(environment)
    assert environment["HOME"] == str(tmp_path)


@pytest.mark.parametrize("temporary", [{}, {"TMPDIR": ""}, {"TMPDIR": "/tmp"}])
def test_a_home_with_room_is_left_alone(tmp_path: Path, temporary: dict[str, str]) -> None:
    environment = {**temporary, "HOME": str(tmp_path)}
    find_room_for_caches(environment)
    assert environment == {**temporary, "HOME": str(tmp_path)}


def test_a_read_only_home_stays_home_but_keeps_no_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != ("/usr", os.W_OK))
    environment = {"TMPDIR": str(tmp_path), "HOME": "/usr", "XDG_CACHE_HOME": "/elsewhere"}
    find_room_for_caches(environment)
    assert environment == {
        "TMPDIR": str(tmp_path),
        "HOME": "/usr",
        "XDG_CACHE_HOME": "/elsewhere",
        "MPLCONFIGDIR": f"{tmp_path}/matplotlib",
        "NUMBA_CACHE_DIR": f"{tmp_path}/numba",
    }
