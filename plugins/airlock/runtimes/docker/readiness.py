"""What the state of a deployment's container means: pure reading of what the engine says of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airlock.runtimes.base import Status
from airlock.runtimes.containers.ending import ending
from airlock.runtimes.docker.engine import ALWAYS
from airlock.runtimes.docker.labels import MODE

QUICK_CRASHES = 5
"""A server that was ready, and then ended so often, counts as failed while it is down."""

QUICK_CRASH_SECONDS = 30.0

Document = dict[str, Any]


def look(found: Document) -> Status:
    """The state of a deployment, without the lines of its log.

    :param found: the container as the engine describes it.
    """
    state = found["State"]
    if state["Status"] == "removing":
        return Status("gone")
    if found["Config"]["Labels"].get(MODE) == "batch":
        return Status("ready")
    if state["Status"] == "created":
        return _not_started(state)
    if state.get("Paused"):
        return Status("failed", f"It was paused by hand: 'docker unpause {name_of(found)}' lets it go on.")
    if state["Status"] == "running":
        return _running(found)
    if state["Status"] == "restarting":
        return _restarting(found)
    return _ended(found)


def is_proven(found: Document) -> bool:
    """Whether a server was seen ready once. From then on the engine starts it again whenever it ends.

    This is kept in the container's restart policy, as the engine keeps nothing else that can be changed.
    """
    return bool(found["HostConfig"]["RestartPolicy"]["Name"] == ALWAYS)


def name_of(found: Document) -> str:
    """The container's name."""
    return str(found["Name"]).lstrip("/")


def seconds_between(first: str, second: str) -> float:
    """Seconds from one time to another, as the engine writes times."""
    return (read_time(second) - read_time(first)).total_seconds()


def read_time(text: str) -> datetime:
    """A time as the engine writes it, without fractions of a second."""
    return datetime.fromisoformat(f"{text[:19]}+00:00")


def _not_started(state: Document) -> Status:
    if state.get("Error"):
        return Status("failed", f"It could not be started: {state['Error']}.")
    return Status("failed", "It was never started: whoever began it was killed. Deploy it again.")


def _running(found: Document) -> Status:
    health = found["State"].get("Health") or {}
    again = f"It was started again {_times(found['RestartCount'])}. " if found["RestartCount"] else ""
    if health.get("Status") == "healthy":
        return Status("ready", again.strip())
    said = _last_answer(health)
    if health.get("Status") == "unhealthy":
        since = "It no longer says" if is_proven(found) else "It did not say in time"
        return Status("failed", f"{again}{since} that it is ready{said}.")
    return Status("starting", f"{again}It runs and does not say yet that it is ready{said}.")


def _restarting(found: Document) -> Status:
    state, count = found["State"], found["RestartCount"]
    words = _ending_words(found)
    lasted = seconds_between(state["StartedAt"], state["FinishedAt"])
    if is_proven(found) and count >= QUICK_CRASHES and lasted < QUICK_CRASH_SECONDS:
        return Status(
            "failed", f"It ended {_times(count)}, at last with {words}. The engine goes on starting it."
        )
    return Status("starting", f"It ended with {words}; the engine starts it again.")


def _ended(found: Document) -> Status:
    error = f" The engine says: {found['State']['Error']}." if found["State"].get("Error") else ""
    words = _ending_words(found)
    if is_proven(found):
        return Status("failed", f"It was stopped, and ended with {words}.{error} Deploy it again.")
    count = f" {_times(found['RestartCount'] + 1)}" if found["RestartCount"] else ""
    return Status("failed", f"It ended{count} before it was ready, at last with {words}.{error}")


def _ending_words(found: Document) -> str:
    state = found["State"]
    return ending(
        state["ExitCode"], out_of_memory=state["OOMKilled"], memory=found["HostConfig"]["Memory"]
    ).words


def _last_answer(health: Document) -> str:
    answers = health.get("Log") or []
    said = str(answers[-1].get("Output", "")).strip() if answers else ""
    return f" ({said})" if said else ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
