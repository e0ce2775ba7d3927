"""Packages for an image that is of another kind than this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.images.packages import fetch
from airlock.runtimes.images.python_in_image import PythonInImage

FOREIGN = PythonInImage(
    version="3.12.4",
    machine="aarch64",
    libc="glibc 2.41",
    packages_folder="/p",
    library_folder="/l",
    packages={},
    markers={},
)

IDNA = "idna==3.10 --hash=sha256:946d195a0d259cbba61165e88e65941f16e9b36ea6ddb97f00452bae8b1287d3\n"
PYYAML = "pyyaml==6.0.2 --hash=sha256:1f71ea527786de97d1a0cc0eacd1defc0985dcf6b3f17bb77dcfc8c34bec4dc5\n"
WITHOUT_WHEEL = (
    "sgmllib3k==1.0.0 --hash=sha256:7868fb1c8bfa764c1ac563d3cf369c381d1325d36124933a726f29fcdaa812e9\n"
)


def fetched(tmp_path: Path, lock: str, python: PythonInImage) -> Path:
    (tmp_path / "requirements.lock").write_text(lock)
    folder = tmp_path / "packages"
    folder.mkdir()
    fetch(tmp_path / "requirements.lock", folder, python)
    return folder


@pytest.mark.package_index
def test_wheels_are_those_of_the_image(tmp_path: Path) -> None:
    folder = fetched(tmp_path, IDNA + PYYAML, FOREIGN)

    assert (folder / "idna/__init__.py").exists()
    assert [file.name for file in folder.glob("yaml/*.so")] == ["_yaml.cpython-312-aarch64-linux-gnu.so"]


@pytest.mark.package_index
def test_a_package_without_a_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"no wheel of sgmllib3k for Python 3\.12 on aarch64") as caught:
        fetched(tmp_path, WITHOUT_WHEEL, FOREIGN)
    assert "an image of its own" in str(caught.value)


@pytest.mark.package_index
def test_other_bytes_than_were_locked_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="serves other bytes than were locked"):
        fetched(tmp_path, f"idna==3.10 --hash=sha256:{'0' * 64}\n", FOREIGN)


def test_a_lock_without_packages_is_none_either(tmp_path: Path) -> None:
    assert list(fetched(tmp_path, "# nothing\n", FOREIGN).iterdir()) == []


@pytest.mark.parametrize(
    ("python", "complaint"),
    [
        (replace(FOREIGN, libc=""), "an unknown C library"),
        (replace(FOREIGN, libc="glibc 2.12"), r"glibc 2\.12"),
        (replace(FOREIGN, machine="s390x"), "the processor s390x"),
    ],
)
def test_what_no_wheels_are_made_for_is_refused(
    tmp_path: Path, python: PythonInImage, complaint: str
) -> None:
    with pytest.raises(AdapterError, match=complaint):
        fetched(tmp_path, "", python)
