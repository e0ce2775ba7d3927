"""Which records belong to a share of the keys, and which share is in force."""

from __future__ import annotations

import logging
import os
from hashlib import blake2b
from pathlib import Path

from airlock_host.exceptions import InputUnusable
from airlock_host.stream.settings import Share, StreamSettings, read_settings

log = logging.getLogger(__name__)


def place(key: bytes) -> float:
    """Where a key stands, from 0 to 100: a share of P percent holds the keys below P.

    So a share that grows keeps the keys it has. The place is the first 8 bytes of the key's BLAKE2b digest
    (``digest_size=8``, ``person=b"airlock-share"``), as a big-endian number, in hundredths of 2**64: it has
    nothing to do with the partition, which producers choose by other hashes of the key.
    """
    digest = blake2b(key, digest_size=8, person=b"airlock-share").digest()
    return int.from_bytes(digest, "big") * 100 / 2**64


def holds(share: Share, key: bytes | None, topic: str, partition: int, offset: int) -> bool:
    """Whether a share holds a record; one without a key stands where topic, partition and offset say."""
    if share.percent <= 0:
        return False
    if key is None:
        key = f"{topic}/{partition}/{offset}".encode()
    return share.percent >= 100 or place(key) < share.percent


class ShareFile:
    """The share in the stream file, read again when the file changes.

    A file, since who may change it is known on every kind of runtime, while a port is open to the network.
    Nothing but the share may change; what else does is told and counts from the next start.
    """

    def __init__(self, path: Path, settings: StreamSettings) -> None:
        self._path = path
        self._settings = settings
        self._seen = self._state()
        self.right = True

    def changed(self) -> bool:
        """Whether the file is another than when it was looked at last."""
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        return True

    def read(self, in_force: Share | None) -> Share | None:
        """The share the file names, or the one in force where the file is not right."""
        try:
            settings = read_settings(self._path)
        except InputUnusable as error:
            self.right = False
            log.error("the share stays as it is: %s", error)
            return in_force
        self.right = True
        ours = self._settings
        others = [
            name
            for name in StreamSettings.__annotations__
            if name != "share" and getattr(settings, name) != getattr(ours, name)
        ]
        if others:
            log.warning("%s: %s changed too; that counts from the next start", self._path, ", ".join(others))
        return settings.share

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
