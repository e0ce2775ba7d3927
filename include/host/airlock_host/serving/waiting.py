"""Requests to score that wait for their answer, and those that have waited in vain.

A model that hangs answers nothing, so that its answers alone would tell nothing of it. Nothing runs for this
beside the requests: who waits is looked through when the numbers are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# As long as Airlock's own gateway lets a request take.
PATIENCE_SECONDS = 60.0

# Where a connection notes in a request's scope that it was closed before the answer.
LEFT = "airlock.left"


class Waiter:
    """A request to ``endpoint`` that has been whole since ``since``."""

    __slots__ = ("endpoint", "scope", "since")

    def __init__(self, endpoint: str, scope: Any, since: float) -> None:
        self.endpoint = endpoint
        self.scope = scope
        self.since = since


class WaitingRequests:
    """Who waits.

    :param unanswered: is told the endpoint of each request, once, whose caller left or waits for too long.
    """

    def __init__(self, unanswered: Callable[[str], None]) -> None:
        self._unanswered = unanswered
        self._waiting: set[Waiter] = set()

    def begin(self, waiter: Waiter) -> None:
        """Let a request wait."""
        self._waiting.add(waiter)

    def end(self, waiter: Waiter) -> bool:
        """Take its answer. Whether somebody still wants it: otherwise it counts as none."""
        if waiter not in self._waiting:
            return False
        self._waiting.remove(waiter)
        if LEFT in waiter.scope:
            self._unanswered(waiter.endpoint)
            return False
        return True

    def look(self, now: float) -> None:
        """Give up those that nobody waits for any more, or for too long."""
        for waiter in list(self._waiting):
            if LEFT in waiter.scope or now - waiter.since > PATIENCE_SECONDS:
                self._waiting.remove(waiter)
                self._unanswered(waiter.endpoint)
