"""What is sent to an engine to make an image of: a stream of files that is the same each time.

Owners, times and modes are fixed: two machines that send the same files send the same bytes, and an engine
that has had them before makes nothing anew.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from airlock.exceptions import AdapterError

_CHUNK = 1024 * 1024
_TIME = 946_684_800  # 2000-01-01: some tools dislike 1970
_MODE = 0o444
_MODE_OF_PROGRAMS = 0o555
_MODE_OF_FOLDERS = 0o755
ANYBODY_MAY_WRITE = 0o1777


@dataclass(frozen=True)
class Entry:
    """A file or folder in an image's context.

    :param path: in the context.
    :param content: bytes, or the file that has them; ``None`` for a folder.
    """

    path: str
    content: bytes | Path | None
    mode: int


def text_file(path: str, text: str) -> Entry:
    """A file that is written for the context."""
    return Entry(path, text.encode(), _MODE)


def open_folder(path: str) -> Entry:
    """An empty folder into which anybody may write."""
    return Entry(path, None, ANYBODY_MAY_WRITE)


def _all(name: str) -> bool:
    return True


def files_in(folder: Path, under: str, *, wanted: Callable[[str], bool] = _all) -> Iterator[Entry]:
    """The files of a folder, links followed, in the order of their names.

    :param under: the folder in the context.
    :param wanted: given the name of a file or folder, says whether it goes along.
    """
    yield Entry(under, None, _MODE_OF_FOLDERS)
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if wanted(name))
        inner = PurePosixPath(under, Path(path).relative_to(folder).as_posix())
        yield from (Entry(str(inner / name), None, _MODE_OF_FOLDERS) for name in folders)
        for name in sorted(name for name in files if wanted(name)):
            file = Path(path, name)
            is_program = file.stat().st_mode & stat.S_IXUSR
            yield Entry(str(inner / name), file, _MODE_OF_PROGRAMS if is_program else _MODE)


def in_memory(entry: Entry) -> Entry:
    """The same, with the bytes that its file has now."""
    return replace(entry, content=entry.content.read_bytes()) if isinstance(entry.content, Path) else entry


def digest_of(entries: Iterable[Entry]) -> str:
    """One digest over paths, modes and bytes."""
    whole = hashlib.sha256()
    for entry in entries:
        whole.update(f"{entry.path}\0{entry.mode}\0{_sha256(entry.content)}\0".encode())
    return f"sha256:{whole.hexdigest()}"


def stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The entries as a tar file, in pieces.

    :raises AdapterError: a file changes while it is read.
    """
    for entry in entries:
        head = tarfile.TarInfo(entry.path)
        head.mtime, head.mode = _TIME, entry.mode
        if entry.content is None:
            head.type = tarfile.DIRTYPE
            yield head.tobuf(tarfile.PAX_FORMAT)
        elif isinstance(entry.content, bytes):
            head.size = len(entry.content)
            yield head.tobuf(tarfile.PAX_FORMAT) + entry.content + _padding(head.size)
        else:
            yield from _file(entry.content, head)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _file(path: Path, head: tarfile.TarInfo) -> Iterator[bytes]:
    with path.open("rb") as source:
        head.size = os.fstat(source.fileno()).st_size
        yield head.tobuf(tarfile.PAX_FORMAT)
        left = head.size
        while chunk := source.read(min(_CHUNK, left)):
            left -= len(chunk)
            yield chunk
        if left:
            raise AdapterError(f"{path} became shorter while it was read.", mend="Do it again.")
    yield _padding(head.size)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _sha256(content: bytes | Path | None) -> str:
    if content is None:
        return ""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
