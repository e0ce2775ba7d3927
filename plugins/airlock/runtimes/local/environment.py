"""Virtual environments of the local kind: one for each lock, built once, whoever needs it first.

Standard library only: the supervisor builds them, without Airlock's dependencies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from airlock.runtimes.local.folder import EnvironmentPlan

Run = Callable[[Sequence[str]], None]
"""Runs a command to its end; raises :class:`BuildFailed` if it fails."""

_NOT_OF_THE_SOURCE = ("__pycache__", ".*")  # what Python, editors and checkers keep beside it


class BuildFailed(Exception):
    """An environment could not be built; the message holds the last lines of the tool that failed."""


def source_digest(package: Path) -> str:
    """Digest over the source files of a package: their paths and bytes.

    :raises FileNotFoundError: there is no such folder.
    """
    if not package.is_dir():
        raise FileNotFoundError(package)
    whole = hashlib.sha256()
    for folder, folders, files in os.walk(package):
        folders[:] = sorted(name for name in folders if not _is_no_source(name))
        for name in sorted(name for name in files if not _is_no_source(name)):
            path = Path(folder, name)
            whole.update(f"{path.relative_to(package).as_posix()}\0{_sha256(path)}\0".encode())
    return f"sha256:{whole.hexdigest()}"


def build(
    plan: EnvironmentPlan, *, run: Run, say: Callable[[str], None], pause: Callable[[float], object]
) -> None:
    """Build an environment unless it is there.

    It gets its name only when it is complete, so that a killed build leaves nothing that could be taken for
    one; of several builders one builds and the others wait for it.

    :param say: told what is being done.
    :param pause: waits so many seconds; may raise to give up.
    :raises BuildFailed: with the reason.
    """
    if plan.is_built():
        return
    target = Path(plan.folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(target.with_name(f"{target.name}.lock"), say=say, pause=pause):
        if plan.is_built():
            return
        for leftover in target.parent.glob(f".{target.name}.*"):  # of builders that were killed
            shutil.rmtree(leftover)
        if target.exists():  # its interpreter was removed from the machine
            shutil.rmtree(target)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        _fill(plan, unfinished, run=run, say=say)
        unfinished.rename(target)


def _fill(plan: EnvironmentPlan, folder: Path, *, run: Run, say: Callable[[str], None]) -> None:
    lock = Path(plan.lock)
    if f"sha256:{_sha256(lock)}" != plan.lock_digest:
        raise BuildFailed(f"{lock} is not the lock that was recorded ({plan.lock_digest}).")
    packages = len(re.findall(r"^[A-Za-z0-9].*==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    say(f"Building the environment {Path(plan.folder).name} of {packages} packages.")
    python = str(plan._replace(folder=str(folder)).python)
    own_python = ["--no-python-downloads", "--python"]
    run(
        [
            plan.uv,
            "venv",
            "--quiet",
            "--relocatable",
            "--no-project",
            *own_python,
            plan.interpreter,
            str(folder),
        ]
    )
    run([plan.uv, "pip", "sync", "--require-hashes", "--compile-bytecode", *own_python, python, str(lock)])
    package = next(folder.glob("lib/python*/site-packages")) / Path(plan.host).name
    shutil.copytree(plan.host, package, ignore=shutil.ignore_patterns(*_NOT_OF_THE_SOURCE))
    if source_digest(package) != plan.host_digest:
        raise BuildFailed(f"{plan.host} was changed while the environment was being built. Deploy again.")
    run([python, "-I", "-m", "compileall", "-q", str(package)])
    run([python, "-I", "-c", f"import {package.name}"])


@contextmanager
def _only_builder(
    lock: Path, *, say: Callable[[str], None], pause: Callable[[float], object]
) -> Iterator[None]:
    with lock.open("w") as stream:
        waiting = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    say(f"Waiting for the environment {lock.stem}, which another deployment builds.")
                waiting = True
                pause(0.05)
        yield


def _is_no_source(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _NOT_OF_THE_SOURCE)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
