"""Looks after one deployment or job, from the building of its environment to its end.

It runs as a process of its own that outlives the Airflow task (see :mod:`airlock.runtimes.local.start`), in
the folder of the deployment or job. Its child dies with it, so nothing is orphaned even when it is killed.
It ends when there is nothing left to look after, or when it is told to (SIGTERM).

Standard library only: it runs without Airlock's dependencies. What only some need is imported where it is
used, because every job starts a supervisor.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from airlock.runtimes.job_cause import JobCause
from airlock.runtimes.local.child import Child, ToldToEnd
from airlock.runtimes.local.folder import (
    LOG,
    PLAN,
    PORT,
    RESULT,
    SCRATCH,
    Plan,
    State,
    last_lines,
    log_size,
    read_json,
)
from airlock.runtimes.local.limits import Limits

LINES_IN_MESSAGE = 20
BUILD_SECONDS = 1800.0
READY_SECONDS = 600.0

STARTS_UNTIL_FIRST_READY = 2
"""How often a server that was never ready is started."""

QUICK_CRASHES = 5
"""After so many crashes in a row, each soon after the server was ready, it is given up."""

QUICK_CRASH_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_POLL_SECONDS = 0.1

_SIGNALLED = 128

_ONLY_FOR_BUILDING = ("UV_", "XDG_", "NETRC", "CC", "CXX", "CFLAGS", "LDFLAGS")


class Failed(Exception):
    """The work cannot be done; the message says why."""

    def __init__(self, message: str, cause: JobCause = "error", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.exit_code = exit_code


class Ending(NamedTuple):
    """How the host ended.

    :param reason: completes the sentence "it ended with …".
    """

    code: int
    cause: JobCause
    reason: str


class Supervisor:
    """Does what a plan says, in the current folder."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._state = State.read(Path())
        self._child = Child(f"{plan.owner}!host", plan.grace_seconds)
        self._limits: Limits | None = None

    def run(self) -> None:
        """Do it to the end."""
        try:
            if self._state.attempt > 1:
                self._child.end_leftovers()  # of a predecessor that was killed
            self._build_environment()
            if self._plan.purpose == "environment":
                self._set(state="ready", message="")
            elif self._plan.purpose == "server":
                self._keep_server()
            else:
                self._run_job()
        except ToldToEnd:
            self._stop(Failed("It was stopped.", "cancelled"))
        except Failed as failure:
            self._stop(failure)
        except Exception as error:
            if Path(PLAN).exists():  # else the folder was removed meanwhile, and nobody will read its state
                self._stop(Failed(f"The supervisor failed: {error!r}"))
                raise
            self._child.end()

    def _stop(self, failure: Failed) -> None:
        self._child.end()
        self._clean_up()
        self._set(
            state="failed", cause=failure.cause, exit_code=failure.exit_code, groups=(), message=str(failure)
        )

    # --- environment

    def _build_environment(self) -> None:
        if self._plan.environment.is_built():
            return
        from airlock.runtimes.local.environment import BuildFailed, build

        try:
            build(
                self._plan.environment,
                run=self._run_tool,
                say=lambda text: self._set(message=text),
                pause=self._child.wait,
            )
        except BuildFailed as failure:
            raise Failed(f"The environment could not be built. {failure}") from failure

    def _run_tool(self, command: Sequence[str]) -> None:
        begin = log_size(Path())
        tool = Path(command[0]).name
        self._child.start(command, variables=_variables(for_building=True), folder="/")
        if not self._child.wait(BUILD_SECONDS):
            raise Failed(f"The environment could not be built: {tool} took over {BUILD_SECONDS:.0f} s.")
        if code := self._child.collect():
            said = last_lines(Path(), LINES_IN_MESSAGE, since=begin)
            raise Failed(f"The environment could not be built: {tool} ended with {_in_words(code)}:\n{said}")

    # --- server

    def _keep_server(self) -> None:
        """Keep a server up for good.

        :raises Failed: it does not come up, or crashes again and again.
        """
        crashes, was_ready, pause = 0, False, FIRST_PAUSE_SECONDS
        while True:
            self._start_server()
            ready_at = self._wait_until_ready()
            if ready_at is not None:
                was_ready = True
                self._child.wait()
            ending = self._collect_host()
            if ready_at is not None and time.monotonic() - ready_at >= QUICK_CRASH_SECONDS:
                crashes, pause = 0, FIRST_PAUSE_SECONDS
            crashes += 1
            if crashes >= (QUICK_CRASHES if was_ready else STARTS_UNTIL_FIRST_READY):
                when = f"{crashes} times in a row" if was_ready else "before it was ready"
                said = last_lines(Path(), LINES_IN_MESSAGE)
                raise Failed(
                    f"The server ended {when}, at last with {ending.reason}. Its log:\n{said}",
                    ending.cause,
                    ending.code,
                )
            self._say(f"the server ended with {ending.reason}; it is started again in {pause:g} s")
            again = self._state.restarts + 1
            self._set(state="starting", restarts=again, message=f"Starting again after {ending.reason}.")
            self._child.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _start_server(self) -> None:
        """Start the server at the port it had before; at a new one if that is taken."""
        from airlock.runtimes.local.port import is_free

        port = self._state.port or 0
        if port and not is_free(port):
            self._set(message=f"Port {port} was taken by another process: the server got a new one.")
            self._say(self._state.message)
            port = 0
        elif not self._state.restarts:
            self._set(message="The server starts.")
        port_file = Path(PORT).absolute()
        port_file.unlink(missing_ok=True)
        self._start_host([*self._plan.arguments, "--port", str(port), "--port-file", str(port_file)])

    def _wait_until_ready(self) -> float | None:
        """Wait for the server to say it is ready: the time when it did, ``None`` if it ended first.

        :raises Failed: it takes too long.
        """
        from airlock.runtimes.local.port import read_port, says_ready

        deadline = time.monotonic() + READY_SECONDS
        pause = 0.01
        while not self._child.wait(pause):
            port = read_port(Path(PORT))
            if port is not None and says_ready(port):
                has_moved = self._state.port not in (None, port)
                self._set(state="ready", port=port, message=self._state.message if has_moved else "")
                self._say(f"the server is ready at 127.0.0.1:{port}")
                return time.monotonic()
            if time.monotonic() > deadline:
                said = last_lines(Path(), LINES_IN_MESSAGE)
                raise Failed(f"The server was not ready after {READY_SECONDS:.0f} s. Its log:\n{said}")
            pause = min(pause * 1.2, LONGEST_POLL_SECONDS)
        return None

    # --- job

    def _run_job(self) -> None:
        """Run the host once.

        :raises Failed: it ended badly, or took too long.
        """
        Path(RESULT).unlink(missing_ok=True)
        self._set(message="It runs.")
        begin = log_size(Path())
        self._start_host(self._plan.arguments)
        if not self._child.wait(self._plan.timeout_seconds):
            raise Failed(f"It was ended after its {self._plan.timeout_seconds:g} s.", "timeout")
        ending = self._collect_host()
        said = last_lines(Path(), LINES_IN_MESSAGE, since=begin)
        result = _read_result()
        error = None if result is None else result.get("error")
        if isinstance(error, dict) and ending.cause != "memory":
            message = f"{error.get('type', 'Error')}: {error.get('message', '')}"
            raise Failed(message, ending.cause, ending.code)
        if ending.code != 0:
            raise Failed(f"It ended with {ending.reason}.\n{said}", ending.cause, ending.code)
        if result is None:
            raise Failed(f"The host ended well but wrote no result.\n{said}", exit_code=0)
        self._set(state="succeeded", exit_code=0, message="")

    # --- host

    def _start_host(self, arguments: Sequence[str]) -> None:
        limits = Limits(self._plan.token, cpu=self._plan.cpu, memory=self._plan.memory)
        self._limits = limits
        self._set(groups=[str(group) for group in limits.groups])
        scratch = Path(SCRATCH).absolute()
        scratch.mkdir(exist_ok=True)
        python = self._plan.environment.python
        inherited = _variables(for_building=False)
        own = {
            "PATH": f"{python.parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
            "PYTHONNOUSERSITE": "1",
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(scratch),
            "VIRTUAL_ENV": self._plan.environment.folder,
        }
        self._child.start(
            [str(python), "-m", "airlock_host", *arguments],
            variables={**inherited, **self._plan.variables, **limits.variables(), **own},
            folder=str(scratch),
            before=limits.apply,
        )

    def _collect_host(self) -> Ending:
        code = self._child.collect()
        if code > _SIGNALLED:
            code = _SIGNALLED - code  # the host tells of a signal that it was given as a shell does
        ran_out = self._limits is not None and self._limits.memory_ran_out()
        self._clean_up()
        said = last_lines(Path(), 3)
        if ran_out or (code != 0 and ("MemoryError" in said or "bad_alloc" in said)):
            memory = f"{self._plan.memory / 1024**2:.0f} MiB"
            return Ending(code, "memory", f"a need for more memory than its {memory}")
        if code < 0:
            return Ending(code, "signal", _in_words(code))
        return Ending(code, "invalid_data" if code == 2 else "error", _in_words(code))

    def _clean_up(self) -> None:
        """Take away what the host had for itself; it has ended."""
        if self._limits is not None:
            self._limits.close()
            self._limits = None
        try:
            os.rmdir(SCRATCH)
        except FileNotFoundError:
            return
        except OSError:  # the host has left something there
            import shutil

            shutil.rmtree(SCRATCH, ignore_errors=True)

    # --- state and log

    def _set(self, **changes: Any) -> None:
        self._state = self._state._replace(**changes)
        self._state.write(Path())

    def _say(self, text: str) -> None:
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(f"airlock: {text}\n")


def _variables(*, for_building: bool) -> dict[str, str]:
    """This process's environment, which was chosen by the adapter; a host gets no settings of builders."""
    return {
        name: value
        for name, value in os.environ.items()
        if for_building or not name.startswith(_ONLY_FOR_BUILDING)
    }


def _read_result() -> dict[str, Any] | None:
    try:
        result = read_json(Path(RESULT))
    except (FileNotFoundError, ValueError):
        return None
    return result if isinstance(result, dict) else None


def _in_words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"
