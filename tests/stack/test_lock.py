"""The packages of the stack's image: all locked, and the same versions that the tests run with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).parents[2]


def locked(path: str) -> dict[str, set[str]]:
    """Versions by name: some packages have another one for another Python."""
    found: dict[str, set[str]] = {}
    for line in (PROJECT / path).read_text().splitlines():
        if entry := re.match(r"([a-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", line):
            found.setdefault(entry[1], set()).add(entry[2])
    return found


IMAGE, TESTED = locked("deploy/requirements.lock"), locked("requirements.lock")


def test_versions_are_those_that_the_tests_run_with() -> None:
    shared = IMAGE.keys() & TESTED.keys()
    assert {"apache-airflow-core", "sqlalchemy", "docker", "kubernetes", "s3fs", "uv"} <= shared
    assert {name: IMAGE[name] for name in shared} == {name: TESTED[name] for name in shared}


def test_everything_that_the_image_needs_is_in_it() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    own = (PROJECT / "deploy" / "requirements.in").read_text().splitlines()
    wanted = [
        *project["dependencies"],
        *(line for extra in ("postgres", "docker", "kubernetes", "s3") for line in extras[extra]),
        *(line for line in own if line and not line.startswith("#")),
    ]
    for requirement in map(Requirement, wanted):
        for version in IMAGE[canonicalize_name(requirement.name)]:
            assert Version(version) in requirement.specifier, requirement


def test_every_package_has_hashes_and_no_index_is_named() -> None:
    text = (PROJECT / "deploy" / "requirements.lock").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) == sum(map(len, IMAGE.values()))
    assert not [entry for entry in entries if "--hash=sha256:" not in entry]
    assert "index-url" not in text
    assert "://" not in text
