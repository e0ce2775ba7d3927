"""Locked packages for an image, fetched by this machine, so that the engine needs no package index."""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from airlock.exceptions import AdapterError
from airlock.runtimes.images.python_in_image import PythonInImage
from airlock.runtimes.local.interpreter import find_interpreter, find_uv

log = logging.getLogger(__name__)

_GLIBC_PLATFORMS = (17, 28, *range(31, 41))
"""The minor versions of glibc 2 that uv knows as platforms."""

_LINES_TO_SHOW = 20

# Airflow's own environment holds passwords and tokens, and building a package runs code of strangers.
_PASSED_ON = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "NETRC", "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS",
})  # fmt: skip
_PASSED_ON_PREFIXES = ("LC_", "UV_", "XDG_")


def fetch(lock: Path, folder: Path, python: PythonInImage) -> None:
    """Put every package of a lock into a folder, as that Python wants it.

    Packages without a wheel are built where this machine is of the same kind as the image.

    :param lock: requirements in which each package has hashes.
    :param folder: an empty one.
    :raises AdapterError: a package is not there for that Python, or not the recorded one.
    """
    command = [find_uv(), "pip", "sync", "--no-progress", "--require-hashes", "--allow-empty-requirements"]
    # Links into uv's cache: the files are read once and sent.
    command += ["--link-mode", "symlink", "--no-python-downloads", "--target", str(folder)]
    command += [*_target(python), str(lock)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_variables(),
    ) as process:
        assert process.stdout is not None
        last: deque[str] = deque(maxlen=_LINES_TO_SHOW)
        for line in process.stdout:
            log.info("%s", line.rstrip())
            last.append(line.rstrip())
    if process.returncode != 0:
        raise _explained(python, "\n".join(line for line in last if line))
    (folder / ".lock").unlink(missing_ok=True)
    shutil.rmtree(folder / "bin", ignore_errors=True)  # its programs name an interpreter of this machine


def _target(python: PythonInImage) -> Sequence[str]:
    own = _own_interpreter(python)
    if own is not None:
        return ["--python", own]
    versions = ["--python", sys.executable, "--python-version", python.version, "--only-binary", ":all:"]
    glibc = python.glibc
    if python.libc == "musl":
        return [*versions, "--python-platform", f"{_architecture(python)}-unknown-linux-musl"]
    if glibc is None or glibc < (2, _GLIBC_PLATFORMS[0]):
        raise AdapterError(
            f"No packages can be chosen for an image with {python.libc or 'an unknown C library'}.",
            mend="Use a base image of a Linux with glibc 2.17 or newer, or with musl.",
        )
    minor = max(known for known in _GLIBC_PLATFORMS if (2, known) <= glibc)
    return [*versions, "--python-platform", f"{_architecture(python)}-manylinux_2_{minor}"]


def _own_interpreter(python: PythonInImage) -> str | None:
    """An interpreter of this machine for which packages are what they are for the image, if there is one."""
    is_linux = sys.platform == "linux" and platform.machine().lower() == python.machine
    name, version = platform.libc_ver()
    if not is_linux or name != "glibc" or python.glibc is None:
        return None
    own = tuple(int(part) for part in version.split(".")[:2])
    if own > python.glibc:  # what is built here would not start there
        return None
    try:
        return str(find_interpreter(f"=={python.minor}.*").path)
    except AdapterError:
        return None


def _architecture(python: PythonInImage) -> str:
    known = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
    try:
        return known[python.machine]
    except KeyError:
        raise AdapterError(
            f"Packages for the processor {python.machine} can only be fetched on a machine with such a one.",
            mend="Let an Airflow worker of that kind deploy, or give the model an image of its own.",
        ) from None


def _explained(python: PythonInImage, said: str) -> AdapterError:
    kind = f"Python {python.minor} on {python.machine} ({python.libc})"
    message = f"The packages for {kind} cannot be put together. uv says:\n{said}"
    if missing := re.search(r"(?:Because |^)(\S+?)(?:==\S+)? has no (?:usable )?wheels", said, re.MULTILINE):
        name = missing[1]
        return AdapterError(
            f"{message}\nThere is no wheel of {name} for {kind}, and this machine cannot build one.",
            mend=f"Require a version of {name} that has one, or give the model an image of its own with it "
            "('image' in model.yaml).",
        )
    if "Hash mismatch" in said:
        return AdapterError(
            message,
            mend="The package index serves other bytes than were locked: find out why before anything else.",
        )
    if "No space left on device" in said:
        return AdapterError(message, mend="The disk of this machine is full: free some of it.")
    return AdapterError(message, mend="Check that this machine reaches the package index (UV_DEFAULT_INDEX).")


def _variables() -> dict[str, str]:
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return passed_on | {"NO_COLOR": "1"}
