"""Files that are put into containers and taken out of them: the engine takes and gives them in archives."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any


def pack(*, uid: int, gid: int, folders: Iterable[str] = (), files: Mapping[str, bytes]) -> bytes:
    """An archive of folders and files that belong to a user, and that nobody else may read."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder in folders:
            entry = _owned(tarfile.TarInfo(folder), uid, gid)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(entry)
        for name, content in files.items():
            entry = _owned(tarfile.TarInfo(name), uid, gid)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def read_json(packed: bytes | None) -> dict[str, Any] | None:
    """The JSON object in the one file of an archive; ``None`` if it holds no such thing."""
    if packed is None:
        return None
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            entry = archive.next()
            stream = archive.extractfile(entry) if entry is not None and entry.isfile() else None
            content = None if stream is None else json.loads(stream.read())
    except (tarfile.TarError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _owned(entry: tarfile.TarInfo, uid: int, gid: int) -> tarfile.TarInfo:
    entry.uid, entry.gid = uid, gid
    return entry
