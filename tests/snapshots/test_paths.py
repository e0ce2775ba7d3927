"""Which file names a snapshot may hold."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.snapshots.paths import clashes, objection


@pytest.mark.parametrize(
    "path", ["model.py", "weights/layer-1.bin", "naïve/Ünï.txt", ".hidden", "a b/c+d=e.txt", "..."]
)
def test_ordinary_paths_are_accepted(path: str) -> None:
    assert objection(path) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("../outside", "'..'"),
        ("weights/../../outside", "'..'"),
        ("weights/..", "'..'"),
        ("./model.py", "'.'"),
        ("weights//layer", "empty"),
        ("weights/", "empty"),
        ("weights\\layer", "backslash"),
        ("two\nlines", "control character"),
        ("nul\0", "control character"),
        ("\udcff.bin", "not valid UTF-8"),
        (unicodedata.normalize("NFD", "é.txt"), "normal form C"),
        ("x" * 256, "longer than 255 bytes"),
        ("/".join(["x" * 200] * 6), "longer than 1024 bytes"),
        (".airlock/manifest.json", "reserved"),
        (".AIRLOCK/manifest.json", "reserved"),
    ],
)
def test_paths_that_lead_elsewhere_or_mean_different_things_are_refused(path: str, reason: str) -> None:
    assert reason in (objection(path) or "")


@given(st.text())
def test_an_accepted_path_stays_below_the_folder(path: str) -> None:
    if objection(path) is None:
        names = path.split("/")
        assert not path.startswith("/")
        assert all(name not in {"", ".", ".."} for name in names)
        assert path.encode("utf-8").decode("utf-8") == path


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Model.py", "model.py"),
        ("Data/a", "data/b"),
        ("straße", "STRASSE"),
        ("é", unicodedata.normalize("NFD", "é")),
        ("weights", "weights/layer"),
        ("Weights/layer", "weights"),
    ],
)
def test_names_that_some_file_systems_take_for_one_clash(first: str, second: str) -> None:
    assert list(clashes([first, second]))
    assert list(clashes([second, first]))


def test_different_names_do_not_clash() -> None:
    assert not list(clashes(["a/b", "a/c", "a/d/e", "ab", "b", "c/a"]))
