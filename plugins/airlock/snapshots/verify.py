"""Finding what has changed in the files of a snapshot since it was made."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airlock.snapshots.manifest import MANIFEST_PATH, FileEntry, Manifest

HASHING_THREADS = min(4, os.cpu_count() or 1)
"""Hashing releases Python's global lock, so files are read side by side."""


@dataclass(frozen=True, order=True)
class Problem:
    """One file that is not as the manifest says.

    :param path: relative to the snapshot's folder, or the digest of a blob in the store.
    """

    path: str
    kind: Literal["changed", "missing", "added", "unreadable"]
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def verify_folder(manifest: Manifest, folder: Path) -> list[Problem]:
    """Compare a materialised snapshot with its manifest, byte by byte.

    Finds changed bytes, missing files, added files (also compiled Python files, which Python would run
    instead of the source), and links or other things in the place of files. The folder's own copy of the
    manifest is compared as well. File modes, times and owners are not part of a snapshot.

    :returns: every problem, sorted by path; empty if the folder holds exactly the snapshot.
    """
    if not folder.is_dir():
        return [Problem(".", "missing", f"the folder {folder} does not exist")]
    there: dict[str, os.stat_result] = {}
    problems = []
    for path, status in _everything_in(folder):
        if isinstance(status, OSError):
            problems.append(Problem(path, "unreadable", f"cannot be read: {status.strerror}"))
        else:
            there[path] = status
    expected = {entry.path: entry for entry in manifest.files} | {MANIFEST_PATH: _own_entry(manifest)}
    for path in there.keys() - expected.keys():
        problems.append(Problem(_printable(path), "added", "is not part of the snapshot"))
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        found = pool.map(lambda path: _compare(expected[path], folder, there.get(path)), sorted(expected))
        problems.extend(problem for problem in found if problem is not None)
    return sorted(problems)


def _own_entry(manifest: Manifest) -> FileEntry:
    size, sha256 = len(manifest.canonical_json()), manifest.digest.removeprefix("sha256:")
    # Built without validation: the path is in the folder that manifests may not name.
    return FileEntry.model_construct(path=MANIFEST_PATH, size=size, sha256=sha256, unsafe_format=False)


def _compare(entry: FileEntry, folder: Path, status: os.stat_result | None) -> Problem | None:
    if status is None:
        return Problem(entry.path, "missing", "is missing")
    if not stat.S_ISREG(status.st_mode):
        return Problem(entry.path, "changed", "is no longer a plain file")
    if status.st_size != entry.size:
        return Problem(entry.path, "changed", f"has {status.st_size} bytes instead of {entry.size}")
    try:
        with open(os.open(folder / entry.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return Problem(entry.path, "unreadable", f"cannot be read: {error.strerror}")
    if found != entry.sha256:
        message = f"has the SHA-256 {found[:12]}… instead of {entry.sha256[:12]}…"
        return Problem(entry.path, "changed", message)
    return None


def _everything_in(folder: Path) -> Iterator[tuple[str, os.stat_result | OSError]]:
    """Every entry that is not a folder, and every folder that cannot be listed, links not followed."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    path = f"{inside}/{entry.name}" if inside else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    else:
                        yield path, entry.stat(follow_symlinks=False)
        except OSError as error:
            yield inside or ".", error


def _printable(path: str) -> str:
    """Names that are not UTF-8 are shown escaped, so that they can be printed and sent."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
