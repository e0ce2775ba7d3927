"""What a stream is told to read: a file in a volume of its container, put there in an archive.

It holds credentials, so it is in no label, no variable and no command line, and its user alone may read it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.containers.layout import STREAM_FOLDER
from airlock.runtimes.docker import archive
from airlock.runtimes.docker.container import OWN_STREAM_FOLDER, STREAM_FILE
from airlock.runtimes.docker.engine import Contradiction, Document, Engine

# Each image has Python, and not each has mv.
_RENAME = ("python", "-S", "-E", "-c", "import os, sys; os.replace(sys.argv[1], sys.argv[2])")


class StreamFiles:
    """The stream files of containers on an engine.

    :param user: number and group that the containers run as.
    """

    def __init__(self, engine: Engine, user: tuple[int, int]) -> None:
        self._engine = engine
        self._user = user

    def put(self, container: str, content: Mapping[str, Any]) -> None:
        """Write the file of a container that does not run.

        :raises Missing: the container is gone.
        """
        self._put(container, STREAM_FILE, content)

    def change(self, found: Document, content: Mapping[str, Any]) -> None:
        """Write the file of a container anew, whole or not at all where its worker could see it.

        :raises Missing: the container is gone.
        :raises AdapterError: it cannot be written.
        """
        container = found["Id"]
        unfinished = f"{OWN_STREAM_FOLDER}/.{secrets.token_hex(4)}"
        self._put(container, unfinished, content)
        try:
            code, said = self._engine.run_inside(container, [*_RENAME, unfinished, STREAM_FILE])
        except Contradiction:  # nobody looks at it now
            self._put(container, STREAM_FILE, content)
            return
        if code != 0:
            raise AdapterError(f"The container {container[:12]} cannot be told what to read: {said}.")

    def _put(self, container: str, path: str, content: Mapping[str, Any]) -> None:
        uid, gid = self._user
        files = {_inside(path): json.dumps(content).encode()}
        packed = archive.pack(uid=uid, gid=gid, folders=[_inside(OWN_STREAM_FOLDER)], files=files)
        self._engine.put(container, STREAM_FOLDER, packed)


def _inside(path: str) -> str:
    """A path in the volume, seen from there."""
    return path.removeprefix(f"{STREAM_FOLDER}/")
