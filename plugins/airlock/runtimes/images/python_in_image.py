"""Which Python an image has, and what it can run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from airlock.exceptions import AdapterError
from airlock.runtimes.images.engine import ImageEngine
from airlock.runtimes.images.refusals import Refused

_REPORT = "airlock-python "
_PROGRAM = f"""
import json, os, platform, sys, sysconfig
from importlib import metadata
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (OSError, ValueError):
    libc = ""
if not libc and "musl" in (sysconfig.get_config_var("SOABI") or ""):
    libc = "musl"
print({_REPORT!r} + json.dumps({{
    "version": platform.python_version(),
    "machine": platform.machine().lower(),
    "libc": libc,
    "packages_folder": sysconfig.get_path("purelib"),
    "library_folder": sysconfig.get_path("stdlib"),
    "packages": {{found.metadata["Name"]: found.version for found in metadata.distributions()}},
    "markers": {{
        "implementation_name": sys.implementation.name,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_system": platform.system(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }},
}}))
"""


@dataclass(frozen=True)
class PythonInImage:
    """A Python and where it keeps things.

    :param machine: the processor, such as ``x86_64``.
    :param libc: ``glibc 2.36``, ``musl``, or empty for another one.
    :param packages_folder: where installed packages are.
    :param library_folder: where the standard library is.
    :param packages: what is installed, by normalised name, with versions.
    :param markers: what conditions of requirements may ask about.
    """

    version: str
    machine: str
    libc: str
    packages_folder: str
    library_folder: str
    packages: Mapping[str, str]
    markers: Mapping[str, str]

    @property
    def minor(self) -> str:
        """Such as ``3.12``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def glibc(self) -> tuple[int, int] | None:
        """The version of glibc, where there is one."""
        found = re.fullmatch(r"glibc (\d+)\.(\d+).*", self.libc)
        return (int(found[1]), int(found[2])) if found else None


def inspect_python(engine: ImageEngine, image: str, *, called: str) -> PythonInImage:
    """Run an image's Python to see what it is.

    :param called: how people know the image.
    :raises AdapterError: the image has no Python, or cannot be run by this engine.
    """
    try:
        output = engine.run(image, _PROGRAM)
    except Refused as error:
        if re.search(r"executable file not found|no such file or directory", error.said, re.IGNORECASE):
            raise AdapterError(
                f"The image {called} has no program 'python'.",
                mend="Use one that has, such as python:3.12-slim.",
            ) from error
        raise
    lines = [line for line in output.splitlines() if line.startswith(_REPORT)]
    if not lines:
        raise AdapterError(f"The Python of the image {called} does not say what it is: {output[-500:]!r}.")
    report: dict[str, Any] = json.loads(lines[-1].removeprefix(_REPORT))
    report["packages"] = {canonicalize_name(name): version for name, version in report["packages"].items()}
    return PythonInImage(**report)


def require_version(version: str, versions: str, *, called: str, needed_by: str, mend: str) -> None:
    """Refuse an image whose Python is not in a range.

    :raises AdapterError: it is not.
    """
    try:
        fits = SpecifierSet(versions).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise AdapterError(f"{versions!r} is not a range of Python versions such as '>=3.11'.") from error
    if not fits:
        raise AdapterError(
            f"The image {called} has Python {version}, but {needed_by} needs {versions}.", mend=mend
        )
