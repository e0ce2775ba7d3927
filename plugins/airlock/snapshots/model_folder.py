"""Finding the files of a model folder: which belong to the snapshot, and which may not be in one.

The answer depends on names and contents only: not on the order a file system lists names in, on times,
owners or permissions, nor on where the folder is. Symbolic links that stay inside the folder are followed,
and what they point to is kept as a plain file.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from airlock.exceptions import SnapshotError
from airlock.snapshots.paths import RESERVED_FOLDER, clashes, objection, require_utf8_names

IGNORE_FILE = ".airlockignore"
"""Lists, one a line, names or ``*`` patterns that do not belong to the snapshot."""

ALWAYS_IGNORED = (
    "__pycache__",
    "*.pyc",
    ".git",
    ".hg",
    ".svn",
    ".venv",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".DS_Store",
    IGNORE_FILE,
)
"""What tools and systems leave behind, wherever it is in the folder."""

MOST_ENTRIES = 10_000
MOST_BYTES = 64 * 1024**3


@dataclass(frozen=True)
class Stamp:
    """What changes when a file is written: enough to notice that, and never part of a snapshot."""

    size: int
    inode: int
    modified_ns: int
    changed_ns: int


def find_files(folder: Path) -> dict[str, Stamp]:
    """List the files of a model folder that belong to its snapshot.

    :param folder: the folder itself may be reached through a symbolic link.
    :returns: for each path, relative to the folder and sorted, the file's stamp at this moment.
    :raises SnapshotError: something in the folder cannot be in a snapshot; the message names every such
        thing, with the reason.
    """
    require_utf8_names()
    if not folder.is_dir():
        raise SnapshotError(f"{folder} is not a folder.", mend="Name the folder that holds the model.")
    root = folder.resolve()
    files: dict[str, Stamp] = {}
    problems: list[str] = []
    for path, found in _walk(root, _ignored_names(root)):
        if isinstance(found, str):
            problems.append(f"{_printable(path)}: {found}")
        else:
            files[path] = found
    for first, second in clashes(sorted(files)):
        problems.append(f"{first} and {second}: cannot both exist on every file system; rename one")
    if problems:
        raise SnapshotError(f"{folder} cannot become a snapshot: " + "; ".join(sorted(problems)) + ".")
    if (size := sum(stamp.size for stamp in files.values())) > MOST_BYTES:
        raise SnapshotError(
            f"{folder} has {size:,} bytes; a snapshot may have {MOST_BYTES:,}.",
            mend=f"Name what does not belong to the model in {IGNORE_FILE}.",
        )
    return dict(sorted(files.items()))


def _walk(root: Path, ignored: tuple[str, ...]) -> Iterator[tuple[str, Stamp | str]]:
    """Each file with its stamp, and each thing that cannot be in a snapshot with the reason."""
    waiting, count = [""], 0
    while waiting:
        inside = waiting.pop()
        try:
            names = os.listdir(root / inside)
        except OSError as error:
            yield inside or ".", f"cannot be read ({error.strerror})"
            continue
        for name in names:
            path = f"{inside}/{name}" if inside else name
            if path == RESERVED_FOLDER or _is_ignored(path, ignored):
                continue
            # Folders count as well: links to folders that hold links can multiply without any file.
            count += 1
            if count > MOST_ENTRIES:
                raise SnapshotError(
                    f"{root} has more than {MOST_ENTRIES:,} files and folders.",
                    mend=f"Name what does not belong to the model in {IGNORE_FILE}.",
                )
            found = _look_at(root, path)
            if found == "folder":
                waiting.append(path)
            else:
                yield path, found


def _look_at(root: Path, path: str) -> Stamp | str:
    """A file's stamp, ``"folder"``, or the reason why this cannot be in a snapshot."""
    if reason := objection(path):
        return f"the name cannot be in a snapshot: {reason}; rename it"
    try:
        if (root / path).is_symlink() and (reason := _objection_to_link(root, path)):
            return reason
        status = (root / path).stat()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    if not stat.S_ISREG(status.st_mode):
        return f"is {_kind(status.st_mode)}, and only files and folders can be kept"
    if not os.access(root / path, os.R_OK):
        return "cannot be read (Permission denied)"
    return Stamp(status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _objection_to_link(root: Path, path: str) -> str | None:
    """Why a symbolic link may not be followed.

    A link is judged by its text and by where it ends, so that a copy of the folder elsewhere, or under
    another name, is judged alike.
    """
    link = root / path
    text = os.readlink(link)
    # Relative to the folder that really holds the link, which other links may lead to.
    holder = link.parent.resolve().relative_to(root).as_posix()
    if posixpath.isabs(text) or posixpath.normpath(posixpath.join(holder, text)).split("/")[0] == "..":
        return f"is a symbolic link to {_printable(text)}, outside the folder; put a copy in its place"
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return f"is a symbolic link to {_printable(text)}, which does not exist; remove it"
    if not target.is_relative_to(root):
        end = _printable(str(target))
        return f"is a symbolic link that ends outside the folder, at {end}; put a copy in its place"
    if target.is_dir() and link.parent.resolve().is_relative_to(target):
        return "is a symbolic link to a folder that holds it, which never ends; remove it"
    return None


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def _ignored_names(root: Path) -> tuple[str, ...]:
    try:
        text = (root / IGNORE_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ALWAYS_IGNORED
    except (OSError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{root / IGNORE_FILE} cannot be read: {error}.") from error
    lines = (line.strip().rstrip("/") for line in text.splitlines())
    return ALWAYS_IGNORED + tuple(line for line in lines if line and not line.startswith("#"))


def _is_ignored(path: str, patterns: tuple[str, ...]) -> bool:
    """A pattern with ``/`` is about the whole path, one without is about any name in it."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in pattern else name, pattern.lstrip("/")) for pattern in patterns)


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
