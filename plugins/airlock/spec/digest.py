"""Digests: the same meaning gives the same bytes, and the same bytes the same name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import rfc8785

_CHUNK = 1024 * 1024


def canonical_json(obj: Any) -> bytes:
    """Write plain JSON data the one way RFC 8785 allows: keys sorted, no spaces, numbers as JavaScript does.

    :raises ValueError: the data holds something JSON cannot say exactly (NaN, an integer beyond 2**53).
    """
    return rfc8785.dumps(obj)


def digest(obj: Any) -> str:
    """Name plain JSON data by its content: ``sha256:`` and 64 hexadecimal digits of its canonical form."""
    return "sha256:" + hashlib.sha256(canonical_json(obj)).hexdigest()


def file_digest(path: Path) -> str:
    """Name a file by its bytes: ``sha256:`` and 64 hexadecimal digits. Reads in pieces, whatever its size."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
    return "sha256:" + hasher.hexdigest()


def short(digest: str) -> str:
    """The first 12 hexadecimal digits of a digest: enough for people, not for decisions."""
    return digest.removeprefix("sha256:")[:12]
