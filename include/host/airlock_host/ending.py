"""The end of a job before its time: because a signal asks for it, or because its time is over.

A thread waits for both, since the main thread may be in a model's code for minutes, where Python acts on no
signal and no exception raised there would be sure to come out. It ends the process from where it stands: what
a job leaves behind is the same as after a kill, at whatever line, but for the result, which says why.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread, local
from types import FrameType
from typing import Any

from airlock_host.exceptions import DeadlineExceeded, HostError, Interrupted

log = logging.getLogger(__name__)

# Exit codes: what the shell reports of a process that the signal killed, and of one ended by ``timeout``.
OF_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}
OF_DEADLINE = 124

# A model whose native code never lets Python's threads run is ended so much after its deadline.
_SECONDS_OF_GRACE = 15.0

_taken_along: list[Callable[[], None]] = []


@contextmanager
def taken_along(act: Callable[[], None]) -> Iterator[None]:
    """Do ``act`` at the end of the block, also where the process is ended in the middle of it."""
    _taken_along.append(act)
    try:
        yield
    finally:
        _taken_along.remove(act)
        act()


class Watch:
    """From now on, SIGINT, SIGTERM and the deadline end this process. To be made in its main thread.

    :param deadline: seconds.
    :param tell: writes down why; what it raises does not keep the process from ending.
    """

    def __init__(self, deadline: float | None, tell: Callable[[HostError], None]) -> None:
        self._deadline = deadline
        self._tell = tell
        self._ends = time.monotonic() + deadline if deadline is not None else None
        self._decided = Lock()
        self._told, tells = os.pipe()
        os.set_blocking(tells, False)
        self._wakeup = (tells, signal.set_wakeup_fd(tells, warn_on_full_buffer=False))
        self._handlers = {number: signal.signal(number, _leave_it_to_the_watch) for number in OF_SIGNAL}
        if deadline is not None:
            faulthandler.dump_traceback_later(deadline + _SECONDS_OF_GRACE, exit=True)
        _forget_in_children(self)
        self._thread = Thread(target=self._wait, name="watch", daemon=True)
        self._thread.start()

    def over(self) -> None:
        """The job has ended by itself. Does not return where the process is being ended at this moment."""
        # A signal to a whole group may have ended the job's workers first: it was sent to this process too.
        while select.select([self._told], [], [], 0)[0]:
            time.sleep(0.005)
        if not self._decided.acquire(blocking=False):
            Event().wait()

    def close(self) -> None:
        """Leave signals as they were before."""
        if self._deadline is not None:
            faulthandler.cancel_dump_traceback_later()
        _forget_in_children(None)
        self.let_go()
        os.close(self._wakeup[0])  # which ends the thread
        self._thread.join()
        os.close(self._told)

    def let_go(self) -> None:
        """Give signals back to whoever had them before."""
        signal.set_wakeup_fd(self._wakeup[1])
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _wait(self) -> None:
        while True:
            left = None if self._ends is None else max(0.0, self._ends - time.monotonic())
            readable, _, _ = select.select([self._told], [], [], left)
            if not readable:
                limit = f"{self._deadline:g}"
                self._end(DeadlineExceeded(f"the job took longer than its {limit} seconds"), OF_DEADLINE)
                return
            numbers = os.read(self._told, 1)
            if not numbers:
                return
            code = OF_SIGNAL.get(signal.Signals(numbers[0]))
            if code is not None:
                name = signal.Signals(numbers[0]).name
                self._end(Interrupted(f"the job was ended by {name} from outside"), code)
                return

    def _end(self, why: HostError, code: int) -> None:
        if not self._decided.acquire(blocking=False):
            return
        try:
            faulthandler.dump_traceback_later(_SECONDS_OF_GRACE, exit=True)
            try:
                self._tell(why)
            except Exception:
                log.exception("it could not be told why the job ended")
            for act in reversed(_taken_along):
                act()
        finally:
            os._exit(code)


def _leave_it_to_the_watch(number: int, frame: FrameType | None) -> Any:
    """Python calls this late, in the main thread; the watch has been told already."""


_of_this_process: Watch | None = None
_forking = local()


def _forget_in_children(watch: Watch | None) -> None:
    """A process that a model forks is none of the watch's: signals to it mean it alone."""
    global _of_this_process
    _of_this_process = watch


def _before_fork() -> None:
    """Hold signals back: one that comes before the child has let go would be taken for this process's."""
    if _of_this_process is not None:
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, OF_SIGNAL)


def _in_parent() -> None:
    if _of_this_process is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _in_child() -> None:
    if _of_this_process is not None:
        _of_this_process.let_go()
        _taken_along.clear()
        signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)
        _forget_in_children(None)


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
