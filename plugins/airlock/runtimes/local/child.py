"""The one child process that a supervisor has at a time: started, waited for, ended with all it started.

Standard library only: the supervisor runs without Airlock's dependencies.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from airlock.runtimes.local.folder import LOG, bound_log
from airlock.runtimes.local.process import OWNER, die_with_parent, end_all

TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that tell a supervisor to end."""

LOG_CHECK_SECONDS = 2.0


class ToldToEnd(Exception):
    """This process was asked to end (SIGTERM)."""


class Child:
    """A child process of this process, which must have a single thread and the folder of its work.

    The kernel kills the child when this process dies. What the child prints goes to the folder's log.

    :param owner: recognises the child and all it starts, see :mod:`airlock.runtimes.local.process`.
    :param grace_seconds: between asking the child to end and killing it.
    """

    def __init__(self, owner: str, grace_seconds: float) -> None:
        self._owner = owner
        self._grace_seconds = grace_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._told_to_end = False
        self._next_log_check = 0.0
        # Each signal writes into a pipe, so that one wait is for the child and for being told to end.
        self._woken, wakes = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        for number in TO_END:
            signal.signal(number, self._on_told_to_end)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_END)

    def start(
        self,
        command: Sequence[str],
        *,
        variables: Mapping[str, str],
        folder: str,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Start it.

        :param variables: its whole environment.
        :param folder: its working folder.
        :param before: called in the child before the command takes its place.
        """
        itself = os.getpid()

        def prepare() -> None:
            die_with_parent(itself)
            before()

        with open(LOG, "ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**variables, OWNER: self._owner},
                cwd=folder,
                start_new_session=True,
                preexec_fn=prepare,  # known to be unsafe beside threads, of which there are none
            )

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it ends, at most so many seconds; whether it has. Without a child, just wait.

        :raises ToldToEnd: this process was asked to end.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            if self._told_to_end:
                raise ToldToEnd
            if self._process is not None and self._process.poll() is not None:
                return True
            self._bound_log()
            left = LOG_CHECK_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            select.select([self._woken], [], [], min(left, LOG_CHECK_SECONDS))
            self._drain()

    def end(self) -> None:
        """Ask its process group to end, and kill what is left of it after the grace time."""
        self._signal_group(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(self._grace_seconds)
            except subprocess.TimeoutExpired:
                self._signal_group(signal.SIGKILL)
        self.end_leftovers()

    def end_leftovers(self) -> None:
        """Kill what it started, wherever that went, and what a killed predecessor of this process left."""
        if self._process is not None:
            self._process.wait()
        end_all(self._owner, grace_seconds=0)

    def collect(self) -> int:
        """The exit code of the child, which has ended, with all it started; below 0 a signal's number."""
        if self._process is None:
            raise RuntimeError("there is no child")
        self.end_leftovers()
        code = self._process.wait()
        self._process = None
        return code

    def _signal_group(self, number: signal.Signals) -> None:
        # The id cannot have been reused: a child that has not been waited for keeps it.
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _bound_log(self) -> None:
        if time.monotonic() >= self._next_log_check:
            self._next_log_check = time.monotonic() + LOG_CHECK_SECONDS
            bound_log(Path())

    def _on_told_to_end(self, number: int, frame: object) -> None:
        self._told_to_end = True

    def _drain(self) -> None:
        try:
            while os.read(self._woken, 512):
                continue
        except BlockingIOError:
            return
