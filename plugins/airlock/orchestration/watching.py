"""How a task waits for what it begins on a runtime: it begins it once, and shows its log as it comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airlock.exceptions import AdapterError

if TYPE_CHECKING:
    from airlock.runtimes.base import Adapter, DeploymentPlan, Handle, Job, JobHandle, JobStatus, Status

log = logging.getLogger(__name__)

MOST_LINES = 200
"""Of one look at a log so many lines are shown, the first and the last ones."""

MOST_CHARACTERS = 2000
"""So much of each line is shown."""

SECONDS_BETWEEN_LOOKS_AT_A_LOG = 1.0


class Begun:
    """What one try of a task has begun on runtimes, and how much of each log it has shown.

    It goes with the task through its deferrals. Without it a task that comes back would begin anew what
    failed while it was away, as a further try does, and would so never learn of the failure.

    :param entries: plain JSON, by the name of the deployment or job.
    """

    def __init__(self, entries: dict[str, dict[str, Any]] | None = None) -> None:
        self.entries = entries or {}


class Watch:
    """Begins things on one runtime, and looks at them for a while.

    :param seconds: how long to look at something that is not settled yet.
    """

    def __init__(self, adapter: Adapter, begun: Begun, seconds: float) -> None:
        self.adapter = adapter
        self._begun = begun
        self._seconds = seconds

    def deploy(self, plan: DeploymentPlan) -> Handle:
        """Begin a deployment, unless this try has begun it before."""
        return self._begin(plan.name, lambda: self.adapter.deploy(plan))

    def deployment(self, handle: Handle, label: str) -> Status:
        """How a deployment is, once it no longer starts or the time is over; its log goes under ``label``."""
        return self._settled(handle, label, self.adapter.status, "starting")

    def submit(self, job: Job) -> JobHandle:
        """Begin a job, unless this try has begun it before."""
        return self._begin(job.name, lambda: self.adapter.submit(job))

    def job(self, handle: JobHandle, label: str) -> JobStatus:
        """How a job is, once it has ended or the time is over; its log goes under ``label``."""
        return self._settled(handle, label, self.adapter.job_status, "running")

    def _begin(self, name: str, begin: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if name not in self._begun.entries:
            self._begun.entries[name] = {"handle": begin(), "position": None}
        handle: dict[str, Any] = self._begun.entries[name]["handle"]
        return handle

    def _settled(
        self, handle: dict[str, Any], label: str, look: Callable[[dict[str, Any]], Looked], unsettled: str
    ) -> Looked:
        shown = _ShownLog(self.adapter, self._begun.entries[handle["name"]], label)
        status = settle(lambda: look(handle), unsettled, self._seconds, meanwhile=shown.now_and_then)
        shown.show()
        return status


class _ShownLog:
    """A log on a runtime, as far as the task's log shows it.

    :param entry: holds handle and position; the position moves on.
    """

    def __init__(self, adapter: Adapter, entry: dict[str, Any], label: str) -> None:
        self._adapter = adapter
        self._entry = entry
        self._label = label
        self._looked = 0.0
        self._is_readable = True

    def now_and_then(self) -> None:
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS_AT_A_LOG:
            self.show()

    def show(self) -> None:
        """Show what came since the last look. A log that cannot be read is no reason to give up the work."""
        if not self._is_readable:
            return
        try:
            found = self._adapter.follow(self._entry["handle"], self._entry["position"])
        except AdapterError as error:
            log.warning("%s | The log cannot be read: %s", self._label, error)
            self._is_readable = False
            return
        self._looked = time.monotonic()
        self._entry["position"] = found.position
        for line in excerpt(found.lines):
            log.info("%s | %s", self._label, line)


def excerpt(lines: Sequence[str]) -> Iterator[str]:
    """The first and the last lines of many, and how many were left out between them."""
    half = MOST_LINES // 2
    left_out = len(lines) - 2 * half
    for number, line in enumerate(lines):
        if left_out > 0 and half <= number < half + left_out:
            if number == half:
                yield f"({left_out:,} lines left out)"
            continue
        yield (
            line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}… ({len(line):,} characters)"
        )


class HasState(Protocol):
    @property
    def state(self) -> str: ...


Looked = TypeVar("Looked", bound=HasState)


def settle(
    look: Callable[[], Looked],
    unsettled: str,
    seconds: float,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> Looked:
    """Look until the state is not ``unsettled`` any more, for so many seconds at most.

    :param meanwhile: called after each look that finds it unsettled.
    """
    deadline = time.monotonic() + seconds
    pause = 0.02
    while True:
        status = look()
        if status.state != unsettled or time.monotonic() >= deadline:
            return status
        meanwhile()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
