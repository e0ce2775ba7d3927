"""Locking a model's environment: every package with its version and hashes, for every platform."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uv
from packaging.specifiers import SpecifierSet

from airlock.exceptions import SnapshotError
from airlock.snapshots.requirements import normalised, read_requirements
from airlock.spec.digest import digest

LOCK_PATH = "requirements.lock"

_INPUTS = re.compile(r"^# inputs: (sha256:[0-9a-f]{64})$", re.MULTILINE)
_SUPPORTED_MINOR_VERSIONS = (11, 12, 13)
_OPTIONS = (
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-index-annotation",
    "--no-emit-build-options",
    "--no-python-downloads",
)
_UNREACHABLE = ("error sending request", "Failed to fetch", "network was disabled", "dns error", "timed out")


def lock(
    folder: Path,
    host_requirements: Sequence[str],
    *,
    requirements: str = "requirements.txt",
    python: str = ">=3.11,<3.14",
) -> Path:
    """Lock what a model requires, together with what the host requires, into ``requirements.lock``.

    The lock's header holds the digest of all that it was made from. A lock that is up to date is left as it
    is, byte for byte, and then no package index is asked. A stale one is renewed, keeping the versions that
    still fit.

    The lock holds for all platforms and names neither an index nor a path: where packages are fetched from
    is each machine's own affair, the hashes say that they are the same.

    :param host_requirements: what the host needs in the same environment, in the format of pip.
    :param requirements: the file that lists what the model needs, relative to the folder.
    :param python: the versions of Python that the model runs on.
    :returns: the path of the lock.
    :raises SnapshotError: the requirements cannot be read or contradict each other, or the package index
        cannot be reached; the message holds the resolver's reason.
    """
    model_requirements = read_requirements(folder, requirements)
    host_requirements = normalised(host_requirements, source="The host's requirements")
    inputs = digest(
        {
            "python": python.replace(" ", ""),
            "model": sorted(set(model_requirements)),
            "host": sorted(set(host_requirements)),
        }
    )
    path = folder / LOCK_PATH
    previous = _read(path)
    if (made_from := _INPUTS.search(previous)) and made_from[1] == inputs:
        if problem := _objection(previous):
            raise SnapshotError(f"{path}: {problem}.", mend="Remove the file, and it is made afresh.")
        return path
    body = _resolve(folder, model_requirements, host_requirements, python, previous)
    if problem := _objection(body):
        raise SnapshotError(f"The packages of {folder / requirements} cannot be locked: {problem}.")
    header = (
        "# The environment of the model and its host, locked by Airlock: change the requirements, not this.\n"
        f"# python: {python.replace(' ', '')}\n"
        f"# inputs: {inputs}\n"
    )
    _replace(path, header + body)
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{path} cannot be read: {error}.", mend="Remove it.") from error


def _objection(body: str) -> str | None:
    """Why a lock cannot be used on another machine or does not say which bytes are meant, if so."""
    for entry in re.sub(r"\\\n\s*", " ", body).splitlines():
        if not entry.strip() or entry.startswith("#"):
            continue
        if entry.startswith("-"):
            return f"the option '{entry.split()[0]}' does not belong in a lock"
        if re.match(r"[./~]|file:", entry) or " file:" in entry:
            return f"'{entry.split(' --hash')[0]}' is a path on this machine"
        if " --hash=sha256:" not in entry:
            return f"'{entry.split(' --hash')[0]}' has no hash"
    return None


def _resolve(folder: Path, model: list[str], host: list[str], python: str, previous: str) -> str:
    with tempfile.TemporaryDirectory(prefix="airlock-lock-") as scratch:
        output = Path(scratch) / LOCK_PATH
        if previous and _objection(previous) is None:
            # uv keeps the versions it finds in its output file where they still fit.
            output.write_text(previous, encoding="utf-8")
        command = [_uv(), "pip", "compile", *_OPTIONS, "--python", sys.executable]
        command += ["--python-version", _oldest_python(python), "--output-file", str(output), "-"]
        finished = subprocess.run(
            command,
            input="\n".join([*model, *host]),
            # uv looks for its configuration (such as a company's index) from here upwards.
            cwd=folder,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode == 0:
            return output.read_text(encoding="utf-8")
    raise _explained(folder, host, finished.stderr.strip())


def _uv() -> str:
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise SnapshotError("uv, which locks environments, is not there.", mend="Install it: uv.") from error


def _oldest_python(python: str) -> str:
    """The oldest minor version in a range; packages are chosen for it and all newer ones."""
    versions = SpecifierSet(python)
    for minor in _SUPPORTED_MINOR_VERSIONS:
        if any(versions.contains(f"3.{minor}.{patch}") for patch in range(50)):
            return f"3.{minor}"
    supported = ", ".join(f"3.{minor}" for minor in _SUPPORTED_MINOR_VERSIONS)
    raise SnapshotError(
        f"No Python that Airlock supports ({supported}) is in the range {python!r}.",
        mend="Widen 'python' in model.yaml.",
    )


def _explained(folder: Path, host: list[str], reason: str) -> SnapshotError:
    message = f"The environment of {folder} cannot be locked. uv says: {reason.removeprefix('error: ')}"
    if any(sign in reason for sign in _UNREACHABLE):
        return SnapshotError(
            f"{message}\nThe package index could not be asked.",
            mend="Check the network, or name your index with UV_DEFAULT_INDEX. A folder with an up-to-date "
            f"{LOCK_PATH} needs no index.",
        )
    if host:
        message += f"\nThe host's own requirements count as well: {', '.join(host)}."
    return SnapshotError(message, mend="Change the model's requirements to fit.")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
