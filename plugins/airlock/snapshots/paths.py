"""Which file names a snapshot may hold: the same name must mean the same file on every machine.

The rules are applied twice: to a model folder when it is packed, and to a manifest when it is read,
because a manifest is data from outside and its paths decide where files are written.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from airlock.exceptions import SnapshotError

RESERVED_FOLDER = ".airlock"
"""Where a materialised snapshot holds its own manifest; never part of a snapshot."""

_LONGEST_NAME = 255
_LONGEST_PATH = 1024


def objection(path: str) -> str | None:
    """Say why a path may not be in a snapshot, or ``None`` if it may.

    :param path: relative to the model folder, with ``/`` between names.
    """
    if not path:
        return "it is empty"
    if path.startswith("/"):
        return "it is absolute"
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid UTF-8"
    if len(encoded) > _LONGEST_PATH:
        return f"it is longer than {_LONGEST_PATH} bytes"
    names = path.split("/")
    if names[0].casefold() == RESERVED_FOLDER:
        return f"{RESERVED_FOLDER} is reserved for Airlock"
    return next((reason for name in names if (reason := _objection_to_name(name))), None)


def _objection_to_name(name: str) -> str | None:
    if name in {"", "."}:
        return "it has an empty or '.' part"
    if name == "..":
        return "it has a '..' part"
    if "\\" in name:
        return "it has a backslash, which some systems read as a folder separator"
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in name):
        return "it has a control character or line break"
    if len(name.encode("utf-8")) > _LONGEST_NAME:
        return f"it has a name longer than {_LONGEST_NAME} bytes"
    if not unicodedata.is_normalized("NFC", name):
        return "it is not in Unicode normal form C, so other systems would change it"
    return None


def require_utf8_names() -> None:
    """Refuse to work where Python reads file names in another encoding: they would mean other files.

    :raises SnapshotError: the process runs in such a locale.
    """
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise SnapshotError(
            f"Python reads file names as {encoding} here, so the same folder would give another snapshot.",
            mend="Set PYTHONUTF8=1, or a UTF-8 locale.",
        )


def clashes(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of names that cannot stand side by side on every file system.

    Two clash when they, or folders above them, differ only by case or Unicode normalisation, or when one
    is a file where the other is a folder (folders are given with a ``/`` at the end).
    """
    first_spelling: dict[str, str] = {}
    for path in paths:
        for spelling in (path, *(f"{folder}/" for folder in PurePosixPath(path).parents[:-1])):
            other = first_spelling.setdefault(_folded(spelling.rstrip("/")), spelling)
            if other != spelling:
                yield other, spelling


def _folded(path: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
