"""How a host in a container ended: its exit code as a cause, and in words."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from airlock.runtimes.job_cause import JobCause
from airlock.spec import MiB

_CAUSES: dict[int, JobCause] = {1: "error", 2: "invalid_data", 124: "timeout", 130: "cancelled"}
_LONGEST_SIGNAL = 64
_SIGNALLED = 128  # a shell, and whatever else stands for a process, adds the signal's number to this
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc")
_LAST_LINES = 3


@dataclass(frozen=True)
class Ending:
    """How the host ended.

    :param code: as in a job's status: below 0 it is the number of the signal that ended it.
    :param cause: ``None`` if it ended well.
    :param words: completes the sentence "It ended with …".
    """

    code: int
    cause: JobCause | None
    words: str


def ending(code: int, *, out_of_memory: bool = False, memory: int = 0, said: str = "") -> Ending:
    """Read a container's exit code.

    :param code: as the engine tells it: 128 and the number of a signal where one ended it.
    :param out_of_memory: the kernel killed one of its processes for going over the memory limit.
    :param memory: that limit in bytes, 0 if there is none.
    :param said: the end of its log.
    """
    number = code - _SIGNALLED
    is_signal = 0 < number <= _LONGEST_SIGNAL and code not in _CAUSES
    shown = -number if is_signal else code
    if code == 0:
        return Ending(0, None, "exit code 0")
    if out_of_memory or _speaks_of_memory(said):
        limit = f" than its {memory // MiB} MiB" if memory else " than there is"
        return Ending(shown, "memory", f"a need for more memory{limit}")
    if is_signal:
        return Ending(shown, "signal", signal_in_words(number))
    return Ending(shown, _CAUSES.get(code, "error"), f"exit code {code}")


def signal_in_words(number: int) -> str:
    """Name a signal: ``signal 9 (Killed)``."""
    try:
        name = signal.strsignal(number)
    except ValueError:
        name = None
    return f"signal {number} ({name})" if name else f"signal {number}"


def _speaks_of_memory(said: str) -> bool:
    """Whether a process was refused memory, which ends it without the kernel having killed it."""
    last = "\n".join(said.splitlines()[-_LAST_LINES:])
    return any(word in last for word in _OUT_OF_MEMORY)
