"""Jobs: containers that run the host once, each with a volume of its own for the job and its result.

A job's container gets its name when it is complete, so whoever finds one under its name can start it. When
it has ended it stays, with log and result, until it is removed.
"""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import JobStatus
from airlock.runtimes.containers.ending import Ending, ending
from airlock.runtimes.containers.layout import JOB_FOLDER
from airlock.runtimes.docker import archive, labels
from airlock.runtimes.docker.container import GRACE_SECONDS, RUN_FILE, RUN_FOLDER, SCRATCH_OF_JOBS
from airlock.runtimes.docker.engine import Contradiction, Document, Engine, Missing
from airlock.runtimes.docker.logs import without_times
from airlock.runtimes.docker.readiness import seconds_between
from airlock.runtimes.job_cause import JobCause

SECONDS_OVER_TIME = 30.0
"""The host ends itself when its time is over. One that did not is killed so much later."""

LINES_IN_MESSAGE = 20

_RESULT_FILE = f"{RUN_FOLDER}/result.json"
_CANCELLED_FILE = f"{RUN_FOLDER}/cancelled"
_ENGINE_LOST_IT = 255
_TRIES = 20


class Jobs:
    """The jobs on an engine, by the names of their containers.

    :param owner: labels that all of them have.
    :param user: number and group that they run as.
    """

    def __init__(self, engine: Engine, owner: Mapping[str, str], user: tuple[int, int]) -> None:
        self._engine = engine
        self._owner = owner
        self._user = user

    def begin(self, name: str, document: Mapping[str, Any], config: Callable[[], Document]) -> None:
        """See that a job runs or has succeeded; one that failed runs again.

        :param document: the job file, without its result.
        :param config: makes what the engine is told of the container.
        :raises AdapterError: the engine refuses.
        """
        for _ in range(_TRIES):
            found = self._engine.inspect(name)
            if found is None:
                self._make(name, document, config())
                continue
            if found["State"]["Status"] == "created" and not found["State"].get("Error"):
                if self._start(found["Id"]):
                    return
                continue
            if found["State"]["Status"] != "removing" and self.read(found).state in ("running", "succeeded"):
                return
            self._engine.remove(found["Id"])
        raise AdapterError(f"The job's container {name} is removed as often as it is made.")

    def status(self, name: str) -> JobStatus:
        """Look at a job."""
        found = self._engine.inspect(name)
        return JobStatus("gone") if found is None else self.read(found)

    def cancel(self, name: str) -> None:
        """End a job: asked first, killed after a time. One that does not run is well."""
        found = self._engine.inspect(name)
        if found is None or not found["State"]["Running"]:
            return
        uid, gid = self._user
        note = archive.pack(uid=uid, gid=gid, files={_inside(_CANCELLED_FILE): b""})
        try:
            self._engine.put(found["Id"], JOB_FOLDER, note)
        except Missing:
            return
        self._engine.signal(found["Id"], signal.SIGINT)
        if not self._engine.wait(found["Id"], GRACE_SECONDS):
            self._engine.signal(found["Id"], signal.SIGKILL)
            self._engine.wait(found["Id"], GRACE_SECONDS)

    def read(self, found: Document) -> JobStatus:
        """What the state of a job's container means."""
        state = found["State"]
        if state["Status"] == "removing":
            return JobStatus("gone")
        if state["Status"] == "created":
            said = state.get("Error")
            why = f"It could not be started: {said}." if said else "It was never started."
            return JobStatus("failed", f"{why} Submit it again.", cause="lost")
        if state["Running"]:
            return self._running(found)
        return self._ended(found)

    def _make(self, name: str, document: Mapping[str, Any], config: Document) -> None:
        """Make the container under a name of its own, fill it, and give it the job's name.

        Another caller may have been faster, or have removed it meanwhile: the next look tells.
        """
        uid, gid = self._user
        files = archive.pack(
            uid=uid,
            gid=gid,
            folders=[_inside(RUN_FOLDER), _inside(SCRATCH_OF_JOBS)],
            files={_inside(RUN_FILE): json.dumps({**document, "result": _RESULT_FILE}).encode()},
        )
        try:
            made = self._engine.create(config, f"{name}-{secrets.token_hex(4)}")
        except Missing as error:
            raise AdapterError(
                f"The job's image is gone from the engine: {error}", mend="Deploy again."
            ) from error
        try:
            self._engine.put(made, JOB_FOLDER, files)
            self._engine.rename(made, name)
        except Missing:
            return
        except Contradiction:
            self._engine.remove(made)
        except Exception:
            self._engine.remove(made)
            raise
        self._remove_unfinished(name, config["Labels"])

    def _remove_unfinished(self, name: str, wanted: Mapping[str, str]) -> None:
        """Remove containers that other callers began for the same job: those still at work find this one."""
        same = {key: wanted[key] for key in (*self._owner, labels.JOB)}
        for found in self._engine.containers(same):
            is_same = found["Labels"].get(labels.DEPLOYMENT) == wanted.get(labels.DEPLOYMENT)
            if is_same and f"/{name}" not in found["Names"]:
                self._engine.remove(found["Id"])

    def _start(self, container: str) -> bool:
        """Whether it was started; if not, it is gone now."""
        try:
            self._engine.start(container)
        except Missing:  # it is, or its network
            self._engine.remove(container)
            return False
        except Contradiction:  # it is being removed
            return False
        except AdapterError:
            self._engine.remove(container)
            raise
        return True

    def _running(self, found: Document) -> JobStatus:
        timeout = _timeout(found)
        if not self._is_over_time(found["State"]["StartedAt"], timeout + SECONDS_OVER_TIME):
            return JobStatus("running", "It is paused." if found["State"]["Paused"] else "")
        self._engine.signal(found["Id"], signal.SIGKILL)
        return JobStatus("failed", _over_time(timeout), cause="timeout")

    def _is_over_time(self, started: str, seconds: float) -> bool:
        # The engine's clock decides, and is asked when this machine's says that it could be so.
        about_now = datetime.now(UTC).isoformat()
        if seconds_between(started, about_now) <= seconds / 2:
            return False
        return seconds_between(started, self._engine.now()) > seconds

    def _ended(self, found: Document) -> JobStatus:
        name, state = found["Id"], found["State"]
        said = "\n".join(without_times(self._engine.log(name, lines=LINES_IN_MESSAGE)))
        result = archive.read_json(self._engine.file(name, _RESULT_FILE))
        end = ending(
            state["ExitCode"],
            out_of_memory=state["OOMKilled"],
            memory=found["HostConfig"]["Memory"],
            said=said,
        )
        error = None if result is None else result.get("error")
        if end.cause is None and result is not None and not isinstance(error, dict):
            return JobStatus("succeeded", exit_code=0, result=result)
        cause, message = self._why(found, end, has_result=result is not None)
        if cause in ("error", "invalid_data") and isinstance(error, dict):
            message = f"{error.get('type', 'Error')}: {error.get('message', '')}"
        elif said:
            message = f"{message}\n{said}"
        return JobStatus("failed", message, exit_code=end.code, cause=cause)

    def _why(self, found: Document, end: Ending, *, has_result: bool) -> tuple[JobCause, str]:
        state, timeout = found["State"], _timeout(found)
        if self._was_cancelled(found):
            return "cancelled", "It was cancelled."
        lasted = seconds_between(state["StartedAt"], state["FinishedAt"])
        if end.cause == "timeout" or (end.cause == "signal" and lasted > timeout + SECONDS_OVER_TIME / 2):
            return "timeout", _over_time(timeout)
        if not has_result and (state["ExitCode"] in (0, _ENGINE_LOST_IT) or state.get("Error")):
            return "lost", "It ended without a result: the Docker engine was stopped or restarted meanwhile."
        return end.cause or "error", f"It ended with {end.words}."

    def _was_cancelled(self, found: Document) -> bool:
        return self._engine.file(found["Id"], _CANCELLED_FILE) is not None


def _inside(path: str) -> str:
    """A path in the job's volume, seen from there."""
    return path.removeprefix(f"{JOB_FOLDER}/")


def _timeout(found: Document) -> float:
    return float(found["Config"]["Labels"].get(labels.TIMEOUT, "inf"))


def _over_time(timeout: float) -> str:
    return f"It was ended after its {timeout:g} s."
