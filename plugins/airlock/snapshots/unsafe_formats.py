"""Finding files that can run code when they are opened with their usual library.

A pickle is a small program. Files are looked at by name and by their first bytes; nothing is unpickled.

What is found: the usual names of pickles; pickles of protocol 2 and later under any name, also within a
zip archive (as PyTorch writes them), behind one layer of gzip, zlib, bz2 or xz (as joblib writes them), and
NumPy arrays of Python objects.

What is not found: pickles of protocol 0 and 1 under another name, pickles further inside a file (in tar
archives, in HDF5, after a header of its own), and formats with other means to run code, such as Keras
models with lambda layers. A file without the mark is therefore not proven safe.
"""

from __future__ import annotations

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any

_PICKLE_NAMES = {".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth"}
_COMPRESSED_NAMES = {".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4", ".zst"}
_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_ZIP_START = b"PK\x03\x04"
_NUMPY_START = b"\x93NUMPY"
_HEAD = 4096
_LONGEST_SEARCH = 1024 * 1024
"""How much of a compressed file is decompressed at most (bz2 gives nothing before a whole block)."""

_DECOMPRESSORS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)),
    (b"\x78", zlib.decompressobj),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    (b"\x5d\x00\x00", lzma.LZMADecompressor),
)


def is_unsafe_format(path: Path) -> bool:
    """Say whether opening a file with its usual library can run code, as far as this module can tell.

    :raises OSError: the file cannot be read.
    """
    if _has_pickle_name(path.name):
        return True
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        if head.startswith(_ZIP_START):
            return _zip_holds_pickle(stream)
        for start, decompressor in _DECOMPRESSORS:
            if head.startswith(start) and _begins_pickle(_first_decompressed(head, stream, decompressor())):
                return True
    return _begins_pickle(head)


def _has_pickle_name(name: str) -> bool:
    path = PurePosixPath(name.lower())
    if path.suffix in _COMPRESSED_NAMES:
        path = path.with_suffix("")
    return path.suffix in _PICKLE_NAMES


def _begins_pickle(head: bytes) -> bool:
    if head.startswith(_NUMPY_START):
        # The first line names the type of the elements: |O is a Python object, kept as a pickle.
        return b"|O" in head[10:].split(b"\n", 1)[0]
    return head.startswith(_PICKLE_STARTS)


def _first_decompressed(head: bytes, stream: IO[bytes], decompressor: Any) -> bytes:
    stream.seek(len(head))
    try:
        found: bytes = decompressor.decompress(head, _HEAD)
        while not found and stream.tell() < _LONGEST_SEARCH and (more := stream.read(_HEAD)):
            found = decompressor.decompress(more, _HEAD)
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return b""
    return found


def _zip_holds_pickle(stream: IO[bytes]) -> bool:
    try:
        with zipfile.ZipFile(stream) as archive:
            return any(_member_is_pickle(archive, member) for member in archive.infolist())
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError):
        return False


def _member_is_pickle(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    if _has_pickle_name(member.filename):
        return True
    try:
        with archive.open(member) as content:
            return _begins_pickle(content.read(_HEAD))
    except (NotImplementedError, RuntimeError):
        # Encrypted, or compressed in a way that Python does not know: it cannot be ruled out.
        return True
