"""The Python that an environment of the local kind is made with."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from uv import find_uv_bin

from airlock.exceptions import AdapterError

_SECONDS_TO_SEARCH = 60.0
_REPORT = "import json, platform, sys; print(json.dumps([sys.base_prefix, platform.python_version()]))"


class Interpreter(NamedTuple):
    """An interpreter of this machine, not one inside a virtual environment."""

    path: Path
    version: str


@cache
def find_interpreter(versions: str) -> Interpreter:
    """An interpreter of this machine for a range of versions; Airlock's own where it fits.

    :param versions: such as ``>=3.11,<3.14``.
    :raises AdapterError: the machine has none.
    """
    try:
        own_fits = SpecifierSet(versions).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier as error:
        raise AdapterError(
            f"{versions!r} is not a range of Python versions such as '>=3.11,<3.14'."
        ) from error
    if own_fits:
        own = _executable(sys.base_prefix, platform.python_version())
        if own.exists():
            return Interpreter(own, platform.python_version())
    return _search(versions)


def find_uv() -> str:
    """The program uv, which comes with Airlock.

    :raises AdapterError: it is missing.
    """
    try:
        return str(find_uv_bin())
    except FileNotFoundError as error:
        raise AdapterError(f"uv is missing: {error}", mend="Install it with 'pip install uv'.") from error


def _search(versions: str) -> Interpreter:
    found = subprocess.run(
        [
            find_uv(),
            "python",
            "find",
            "--system",
            "--no-python-downloads",
            "--no-project",
            versions,
        ],
        capture_output=True,
        text=True,
        timeout=_SECONDS_TO_SEARCH,
        check=False,
    )
    if found.returncode != 0:
        raise AdapterError(
            f"This machine has no Python {versions}, and Airlock itself runs on {platform.python_version()}.",
            mend="Install one that fits, or widen 'python' in model.yaml and make a new snapshot.",
        )
    report = subprocess.run(
        [found.stdout.strip(), "-I", "-c", _REPORT],
        capture_output=True,
        text=True,
        timeout=_SECONDS_TO_SEARCH,
        check=True,
    )
    prefix, version = json.loads(report.stdout)
    return Interpreter(_executable(prefix, version), version)


def _executable(prefix: str, version: str) -> Path:
    major, minor, _ = version.split(".", 2)
    return Path(prefix) / "bin" / f"python{major}.{minor}"
