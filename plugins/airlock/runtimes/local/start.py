"""Gives a folder its supervisor: exactly one, however many ask for it, which outlives whoever asked.

:func:`start` runs this file as a program. The program takes the folder's lock, leaves the session and the
parentage of its caller, and only then answers: from there on the folder has a supervisor, and before there
is nothing that a killed caller could leave behind.

Standard library only: it runs without Airlock's dependencies, and without Airflow's memory.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__":
    # Last, so that nothing beside the package can stand in for a module of Python's own.
    sys.path.append(str(Path(__file__).resolve().parents[3]))

from airlock.runtimes.local.child import TO_END
from airlock.runtimes.local.folder import LOCK, LOG, Plan, State, sign_lock

_SECONDS_TO_START = 60


class NotStarted(Exception):
    """The supervisor did not come up; the message holds what it said."""


def start(folder: Path, attempt: int, variables: Mapping[str, str]) -> None:
    """See that a folder's supervisor number ``attempt`` has begun; returns once it holds the lock.

    Where that number has begun already, by another caller, nothing is done.

    :param variables: the whole environment of the supervisor.
    :raises NotStarted: it did not come up.
    :raises FileNotFoundError: the folder is gone.
    """
    with (folder / LOG).open("ab") as log:
        before = log.tell()
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-S", __file__, str(folder), str(attempt)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(variables),
                cwd="/",
                start_new_session=True,
                check=False,
            )
        except OSError as error:
            raise NotStarted(str(error)) from error
    if ended.returncode != 0:
        with (folder / LOG).open("rb") as log:
            log.seek(before)
            said = log.read().decode("utf-8", "replace").strip()
        raise NotStarted(f"exit code {ended.returncode}: {said or 'no output'}")


def main(folder: str, attempt: int) -> int:
    """Become the supervisor of a folder, unless it has or had this one."""
    # Ends this program, not the supervisor that it forks. (A timeout of its caller would wait in steps.)
    signal.alarm(_SECONDS_TO_START)
    # Held back until the supervisor can act on it: see Child.
    signal.pthread_sigmask(signal.SIG_BLOCK, TO_END)
    try:
        # Everything below is relative, so that a folder that is renamed to be removed is never written again.
        os.chdir(folder)
    except FileNotFoundError:
        return 0
    lock = _take_lock(attempt)
    if lock is None:
        return 0
    plan = Plan.read(Path())
    if State.read(Path()).is_done(plan):
        return 0
    begun, says_begun = os.pipe()
    if os.fork() != 0:
        os.close(says_begun)
        return 0 if os.read(begun, 1) else 1
    os.close(begun)
    sign_lock(lock)
    before = State.read(Path())
    State(attempt=attempt, port=before.port).write(Path())
    os.write(says_begun, b"1")
    os.close(says_begun)

    from airlock.runtimes.local.supervisor import Supervisor

    Supervisor(plan).run()
    return 0


def _take_lock(attempt: int) -> int | None:
    """Take the folder's lock for the life of this process; ``None`` if this supervisor has begun before."""
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    while True:
        taken = _try_lock(lock)
        if State.read(Path()).attempt >= attempt:
            os.close(lock)
            return None
        if taken:
            return lock
        time.sleep(0.002)  # this number is just beginning elsewhere, or the one before it is just ending


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
