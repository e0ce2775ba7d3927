"""One process of this machine at a time."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airlock.exceptions import AdapterError

log = logging.getLogger(__name__)


@contextmanager
def alone(work: str, *, on: str) -> Iterator[None]:
    """Wait until no other process of this user and machine does the same work, and do it.

    The kernel ends the claim of a process that is killed.

    :param work: what is made, in a word or two.
    :param on: where.
    :raises AdapterError: the folder for temporary files cannot be used.
    """
    folder = Path(tempfile.gettempdir(), f"airlock-{os.geteuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            raise PermissionError(f"{folder} is somebody else's")
        name = hashlib.sha256(f"{work} on {on}".encode()).hexdigest()
        stream = (folder / f"{name}.lock").open("w")
    except OSError as error:
        raise AdapterError(f"{folder} cannot be used: {error}.", mend="Remove it, or set TMPDIR.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("Waiting for %s, which another task makes", work)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
