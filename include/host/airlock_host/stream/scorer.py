"""The process that scores, seen from the worker that started it.

The model has a process of its own, because Python runs one thing at a time in each: while the worker writes
and commits one micro-batch, the model has the next. Nothing else waits for it, however long it takes.
"""

from __future__ import annotations

import fcntl
import pickle
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Self

from airlock_host.exceptions import WorkerDied
from airlock_host.scoring_processes import error_heard, how_it_ended
from airlock_host.stream.outcomes import Outcome
from airlock_host.stream.settings import StreamSettings

_PIPE_BYTES = 2**20


class Scorer:
    """Has one micro-batch at a time; what is begun is done before the next begins.

    :ivar busy: whether the outcome of what was begun was not taken yet.
    """

    def __init__(self, folder: Path, settings: StreamSettings) -> None:
        """:param folder: of the snapshot, whose model begins to load."""
        self.busy = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "airlock_host.stream.scoring_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A signal to a whole group asks the worker to end, which still needs this process then.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        _make_roomy(self._process.stdin)
        self._answers = select.poll()
        self._answers.register(self._process.stdout, select.POLLIN)
        # Credentials of the brokers are nothing for a model.
        self._tell((folder, replace(settings, client={})))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.communicate()

    def loaded(self) -> None:
        """Wait until the model is loaded.

        :raises HostError: it cannot be, or the format does not fit it.
        """
        self._hear("before it had loaded the model")

    def begin(self, values: Sequence[bytes | None]) -> None:
        """Begin to score values."""
        assert not self.busy
        self._tell(values)
        self.busy = True

    def done(self, seconds: float) -> bool:
        """Whether the outcome of what was begun is there within so many seconds."""
        return bool(self._answers.poll(seconds * 1000))

    def outcome(self) -> Outcome:
        """Wait for the outcome of what was begun.

        :raises WorkerDied: the process ended.
        """
        outcome: Outcome = self._hear("while it scored a micro-batch")
        self.busy = False
        return outcome

    def kill(self) -> None:
        """End the process, wherever it is."""
        self._process.kill()

    def _tell(self, what: Any) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(what, self._process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # It ended; hearing its answer says how.

    def _hear(self, when: str) -> Any:
        assert self._process.stdout is not None
        try:
            heard = pickle.load(self._process.stdout)  # noqa: S301 - from a process of the host's
        except (EOFError, pickle.UnpicklingError):
            raise WorkerDied(f"the process of the model {how_it_ended(self._process)}, {when}") from None
        if isinstance(heard, dict):
            raise error_heard(heard)
        return heard


def _make_roomy(pipe: IO[bytes]) -> None:
    """Let a pipe take a micro-batch without waiting for its reader, on systems that can."""
    # Not to everyone is so much allowed, and nothing depends on it.
    with suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
