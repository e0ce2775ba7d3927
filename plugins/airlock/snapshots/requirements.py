"""Reading what a model requires: names and versions of packages, and nothing that ties it to one machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from airlock.exceptions import SnapshotError

_INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]+(?P<path>\S+)")
_HASHES = re.compile(r"\s--hash[=\s].*$")
_COMMENT = re.compile(r"(^|\s)#.*$")


def read_requirements(folder: Path, path: str) -> list[str]:
    """Read a requirements file of a model folder, and the files it includes with ``-r``.

    :param path: a file in the format of pip, or MLflow's ``python_env.yaml``; relative to the folder.
    :returns: the requirements without comments, in the order they are written.
    :raises SnapshotError: the file is missing, or a line cannot be locked; the message names file and line.
    """
    return list(_requirements_in(folder, path, included_from=()))


def normalised(requirements: Iterable[str], *, source: str) -> list[str]:
    """Remove comments and blank lines from requirements that do not come from a model folder.

    :param source: what to call them in messages.
    :raises SnapshotError: a line cannot be locked.
    """
    lines = list(requirements)
    return [_checked(line, f"{source}, line {number}") for number, line in _logical_lines(lines)]


def _requirements_in(folder: Path, path: str, included_from: tuple[str, ...]) -> Iterator[str]:
    if path in included_from:
        raise SnapshotError(f"{' includes '.join([*included_from, path])}: this never ends.")
    for number, line in _logical_lines(_lines(folder, path)):
        place = f"{path}, line {number}"
        if include := _INCLUDE.fullmatch(line):
            inner = (PurePosixPath(path).parent / include["path"]).as_posix()
            if ".." in inner.split("/") or inner.startswith("/"):
                raise SnapshotError(
                    f"{place}: '{line}' is outside the model's folder.", mend="Copy the file into the folder."
                )
            yield from _requirements_in(folder, inner, (*included_from, path))
        else:
            yield _checked(line, place)


def _lines(folder: Path, path: str) -> list[str]:
    try:
        text = (folder / path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SnapshotError(
            f"{folder} has no {path}.",
            mend="Write one that lists the packages the model needs, one a line, like 'scikit-learn>=1.6'; "
            "leave it empty if it needs none.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{folder / path} cannot be read: {error}.") from error
    if not path.endswith((".yaml", ".yml")):
        return text.splitlines()
    try:
        environment = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SnapshotError(f"{path} is not valid YAML: {error}.") from error
    listed = environment.get("dependencies") if isinstance(environment, dict) else None
    if not isinstance(listed, list) or not all(isinstance(line, str) for line in listed):
        raise SnapshotError(
            f"{path} has no list of 'dependencies'.", mend="Write a requirements.txt beside it."
        )
    return listed


def _logical_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines that say something, without comments and extra spaces; a backslash joins one to the next."""
    joined, begun = "", 0
    for number, line in enumerate(lines, start=1):
        begun = begun if joined else number
        joined += _COMMENT.sub("", line)
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if joined.strip():
            yield begun, " ".join(joined.split())
        joined = ""
    if joined.strip():
        yield begun, " ".join(joined.split())


def _checked(line: str, place: str) -> str:
    if re.match(r"(-i|-f|--(index-url|extra-index-url|find-links|no-index|trusted-host))\b", line):
        raise SnapshotError(
            f"{place}: '{line.split()[0]}' ties the model to one machine's package index.",
            mend="Remove the line and configure the index where snapshots are made, "
            "with UV_DEFAULT_INDEX or uv.toml.",
        )
    if re.match(r"-e\b|--editable\b|[./~]|file:|\S*\.(whl|tar\.gz|zip)$", line):
        raise SnapshotError(
            f"{place}: '{line}' is a path, which other machines do not have.",
            mend="Publish the package to an index, or put its code into the model's folder.",
        )
    if line.startswith("-"):
        raise SnapshotError(
            f"{place}: the option '{line.split()[0]}' cannot be locked.",
            mend="Write only packages, one a line, or '-r other.txt'.",
        )
    requirement = _HASHES.sub("", line)
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement as error:
        raise SnapshotError(
            f"{place}: '{requirement}' is not a requirement: {str(error).splitlines()[0]}.",
            mend="Write it like 'scikit-learn>=1.6'.",
        ) from error
    if parsed.url is not None and not re.fullmatch(r"https://[^@$]+", parsed.url):
        raise SnapshotError(
            f"{place}: the address of {parsed.name} cannot be locked.",
            mend="Name a version from an index, or the https address of a wheel, without user and password.",
        )
    return requirement
