"""Folders that appear whole and go whole, with every process that belongs to them.

A caller may be killed at any line: whatever it had begun then lies under a name that says who began it, and
the next caller clears it away.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from airlock.exceptions import AdapterError
from airlock.runtimes.local.folder import JOBS, Plan, State
from airlock.runtimes.local.limits import remove_groups
from airlock.runtimes.local.process import Identity, StillRunning, boot, end_all, identify

_SECONDS_FOR_SUPERVISOR = 5.0  # what it gets on top of the grace time, to end its child


class Shelf:
    """The folders of a runtime's deployments, or of a set of jobs.

    :param path: where they are; it need not exist.
    :param grace_seconds: between asking processes to end and killing them.
    """

    def __init__(self, path: Path, grace_seconds: float) -> None:
        self.path = path
        self._grace_seconds = grace_seconds

    def __iter__(self) -> Iterator[Path]:
        """The folders that are there, by name."""
        if self.path.is_dir():
            yield from sorted(folder for folder in self.path.iterdir() if not folder.name.startswith("."))

    def create(self, name: str, fill: Callable[[Path], None]) -> bool:
        """Make a folder appear with all that is in it, unless it is there; whether it was made here.

        :param fill: is given an empty folder, to be filled.
        :raises FileNotFoundError: the shelf itself is not there.
        """
        if (self.path / name).exists():
            return False
        unfinished = self.path / f".new-{_signature()}-{name}"
        unfinished.mkdir()
        try:
            fill(unfinished)
            unfinished.rename(self.path / name)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False  # another caller was faster
        finally:
            if unfinished.exists():
                _remove_tree(unfinished)
        return True

    def remove(self, name: str) -> None:
        """End a folder's processes and remove it; one that is not there is well.

        :raises AdapterError: a process could not be killed, or the folder not be removed.
        """
        try:
            end(Plan.read(self.path / name).owner, self._grace_seconds)
        except FileNotFoundError:
            return
        self._take_away(self.path / name, name)

    def clear_leftovers(self) -> None:
        """Finish what callers began that were killed: folders half made or half removed."""
        for folder in [*self.path.glob(".new-*"), *self.path.glob(".old-*")]:
            _, pid, started, _, name = folder.name.split("-", 4)
            if not Identity(int(pid), int(started), boot()).is_running():
                self._take_away(folder, name)

    def _take_away(self, folder: Path, name: str) -> None:
        mine = self.path / f".old-{_signature()}-{name}"
        try:
            folder.rename(mine)
        except FileNotFoundError:
            return  # another caller was faster
        with suppress(FileNotFoundError):  # no plan yet: then nothing was started
            end(Plan.read(mine).owner, self._grace_seconds)
        self._discard(mine)

    def _discard(self, folder: Path) -> None:
        """Remove a folder from which nothing runs any more."""
        for part in (folder, *folder.glob(f"{JOBS}/*")):
            remove_groups(Path(group) for group in State.read(part).groups)
        _remove_tree(folder)


def end(owner: str, grace_seconds: float) -> None:
    """End every process whose owner begins with this; returns once none is left.

    :raises AdapterError: a process could not be killed.
    """
    try:
        end_all(owner, grace_seconds=grace_seconds + _SECONDS_FOR_SUPERVISOR)
    except StillRunning as error:
        raise AdapterError(
            f"This could not be ended: {error}.", mend="The kernel's log may say why."
        ) from error


def _signature() -> str:
    """Who makes or removes a folder, and which of its attempts it is."""
    itself = identify(os.getpid())
    started = itself.started if itself else 0
    return f"{os.getpid()}-{started}-{secrets.token_hex(4)}"


def _remove_tree(folder: Path) -> None:
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)  # models may leave folders that refuse to be emptied
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise AdapterError(
            f"{folder} cannot be removed: {error.strerror}.", mend="Remove it by hand: nothing runs from it."
        ) from error
