"""The images that can be pulled: a JSON file each, which says what folders an image is made of."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


class Image(NamedTuple):
    """What a container gets from its image.

    :param folders: where the container sees which folder of this machine.
    :param user: number of the user, 0 for root.
    """

    folders: dict[str, str]
    environment: dict[str, str]
    entrypoint: list[str]
    command: list[str]
    user: int
    group: int


class Images:
    """The registry and the node's own images in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, reference: str, image: Image) -> None:
        """Make an image available under a name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{quote(reference, safe='')}.json"
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(image._asdict()), encoding="utf-8")
        unfinished.replace(path)

    def find(self, reference: str) -> Image | None:
        """An image by its name."""
        try:
            document: dict[str, Any] = json.loads(
                (self._folder / f"{quote(reference, safe='')}.json").read_text(encoding="utf-8")
            )
        except FileNotFoundError:
            return None
        return Image(**document)


def is_reference(text: str) -> bool:
    """Whether an image may be called so."""
    return _REFERENCE.fullmatch(text) is not None


def full_reference(reference: str) -> str:
    """As containerd names it: with the registry and the tag."""
    first, slash, _ = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif not ("." in first or ":" in first or first == "localhost"):
        reference = f"docker.io/{reference}"
    if "@" not in reference and ":" not in reference.rpartition("/")[2]:
        reference += ":latest"
    return reference


def python_image(*, user: int = 0, folders: dict[str, str] | None = None, python: str | None = None) -> Image:
    """An image with this machine's own Python, like ``python:3``.

    :param folders: what else is in it.
    :param python: folder of an environment whose ``bin`` comes first.
    """
    seen = dict(folders or {})
    seen.setdefault(sys.base_prefix, sys.base_prefix)
    first = [f"{python}/bin"] if python else []
    path = [*first, f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    return Image(seen, {"PATH": ":".join(path), "LANG": "C.UTF-8"}, [], ["python3"], user, user)
