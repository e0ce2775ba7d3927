"""What the stream file says while the worker runs."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from airlock_host.exceptions import InputUnusable
from airlock_host.stream.settings import StreamSettings, read_settings

log = logging.getLogger(__name__)

CHANGEABLE = ("reads", "share", "shadow")
"""What may change while a worker runs."""


class StreamFile:
    """The stream file, read again when it changes.

    A file, since who may change it is known on every kind of runtime, while a port is open to the network.
    What else changes than :data:`CHANGEABLE` is told and counts from the next start.

    :ivar right: whether the file was right when it was read last.
    """

    def __init__(self, path: Path, settings: StreamSettings) -> None:
        self._path = path
        self._seen = self._state()
        self._begun = settings
        self.right = True

    def changed(self) -> bool:
        """Whether the file is another than when it was looked at last."""
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        return True

    def read(self) -> StreamSettings | None:
        """The settings with what changed; nothing where the file is not right."""
        try:
            settings = read_settings(self._path)
        except InputUnusable as error:
            self.right = False
            log.error("what is in force stays so: %s", error)
            return None
        self.right = True
        others = [
            name
            for name in StreamSettings.__annotations__
            if name not in CHANGEABLE and getattr(settings, name) != getattr(self._begun, name)
        ]
        if others:
            log.warning("%s: %s changed too; that counts from the next start", self._path, ", ".join(others))
        return replace(self._begun, reads=settings.reads, share=settings.share, shadow=settings.shadow)

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
