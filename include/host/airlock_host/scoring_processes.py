"""What processes that run a model and the one that started them have in common.

The one that started them talks with each over a channel of their own, and each ends when that does.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import traceback
from typing import Any

from airlock_host import exceptions
from airlock_host.exceptions import HostError, InputUnusable

log = logging.getLogger(__name__)


def spare_the_collector() -> None:
    """Let Python's garbage collector leave alone what is there now, and look less often.

    What the libraries and the model hold stays: it need not walk that again and again, nor look after every
    few hundred of the thousands of objects that each micro-batch brings and drops.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


def private_output() -> int:
    """Standard output for our words alone: what the model prints goes to standard error."""
    private = os.dup(1)
    os.dup2(2, 1)
    # As soon as a line is whole: what waits in memory would be lost when this process is killed.
    sys.stdout = sys.stderr
    return private


def error_told(error: Exception) -> dict[str, Any]:
    """An error as JSON; one that is no word of ours is logged as well."""
    if not isinstance(error, HostError) or error.__cause__ is not None:
        log.error("%s", "".join(traceback.format_exception(error)))
    if not isinstance(error, HostError):
        return {"type": "HostError", "message": f"{type(error).__name__}: {error}"}
    field = error.field if isinstance(error, InputUnusable) else None
    return {"type": type(error).__name__, "message": str(error), "field": field}


def error_heard(told: dict[str, Any]) -> HostError:
    """What :func:`error_told` told."""
    kind = getattr(exceptions, told["type"])
    if issubclass(kind, InputUnusable):
        return InputUnusable(told["message"], field=told.get("field"))
    heard: HostError = kind(told["message"])
    return heard


def how_it_ended(process: subprocess.Popen[Any]) -> str:
    """The end of a process that went silent, as a part of a sentence."""
    code = process.wait()
    if code >= 0:
        return f"ended with code {code}"
    hint = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-code).name}{hint}"
