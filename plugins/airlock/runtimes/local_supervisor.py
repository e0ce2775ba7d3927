"""Looks after one deployment or job, from the building of its environment to its end.

It runs as a process of its own that outlives the Airflow task (see :mod:`airlock.runtimes.local_start`), with
the folder of the deployment or job as its working folder. Its children die with it, so nothing is orphaned
even when it is killed. It ends when there is nothing left to look after, or when it is told to (SIGTERM).

Standard library only: it runs without Airlock's dependencies.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airlock.runtimes import local_environment
from airlock.runtimes.job_cause import JobCause
from airlock.runtimes.local_folder import (
    LOG,
    OLDER_LOG,
    PLAN,
    PORT,
    RESULT,
    SCRATCH,
    Plan,
    State,
    last_lines,
)
from airlock.runtimes.local_limits import Limits
from airlock.runtimes.local_process import OWNER, die_with_parent, end_all

LOG_BYTES = 8 * 1024 * 1024
LOG_CHECK_SECONDS = 2.0
LINES_IN_MESSAGE = 20
BUILD_SECONDS = 1800.0
READY_SECONDS = 600.0

STARTS_UNTIL_FIRST_READY = 2
"""How often a server that was never ready is started."""

QUICK_CRASHES = 5
"""After so many crashes in a row, each soon after the server was ready, it is given up."""

QUICK_CRASH_SECONDS = 30.0
FIRST_RESTART_PAUSE_SECONDS = 0.2
LONGEST_RESTART_PAUSE_SECONDS = 30.0

_FOR_BUILDING = ("UV_", "XDG_", "NETRC", "CC", "CXX", "CFLAGS", "LDFLAGS")


class Ended(Exception):
    """The supervisor was told to end."""


class Supervisor:
    """Does what a plan says, in the current folder."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = State.read(Path())
        self._told_to_end = False
        self._child: subprocess.Popen[bytes] | None = None
        self._next_log_check = 0.0
        self._woken, wakes = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wakes, False)
        # A signal writes into this pipe, so that waiting for a child and for being told to end is one wait.
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_told_to_end)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def run(self) -> None:
        """Do it to the end."""
        try:
            # What a killed predecessor could not end: worker processes of the host.
            end_all(self._descendants, grace_seconds=0)
            self._build_environment()
            if self.plan.purpose == "environment":
                self._set(state="ready", message="")
            elif self.plan.purpose == "server":
                self._serve()
            else:
                self._run_job()
        except local_environment.BuildFailed as failure:
            self._set(state="failed", cause="error", message=f"The environment could not be built. {failure}")
        except Ended:
            self._end_child()
            self._set(state="failed", cause="cancelled", message="It was told to end.")
        except Exception as error:
            self._end_child()
            if not Path(PLAN).exists():
                return  # the folder was removed meanwhile: nobody will read the state
            self._set(state="failed", cause="error", message=f"The supervisor failed: {error!r}")
            raise

    # --- environment

    def _build_environment(self) -> None:
        local_environment.build(
            self.plan.environment,
            run=self._run_tool,
            say=lambda text: self._set(message=text),
            pause=self._pause,
        )

    def _run_tool(self, command: list[str]) -> None:
        begin = _size_of_log()
        self._start(command, variables=_variables(for_building=True), before_exec=lambda: None, folder="/")
        if not self._wait(BUILD_SECONDS):
            self._end_child()
            raise local_environment.BuildFailed(f"{Path(command[0]).name} took over {BUILD_SECONDS:.0f} s.")
        if code := self._collect():
            said = last_lines(Path(), LINES_IN_MESSAGE, since=begin)
            tool = Path(command[0]).name
            raise local_environment.BuildFailed(f"{tool} ended with {_ending(code)}:\n{said}")

    # --- server

    def _serve(self) -> None:
        crashes = 0
        was_ready = False
        pause = FIRST_RESTART_PAUSE_SECONDS
        while True:
            with_limits = self._limits()
            self._start_server(with_limits)
            ready_at = self._wait_until_ready()
            if ready_at is not None:
                was_ready = True
                self._wait(None)
            code = self._collect()
            end_all(self._descendants, grace_seconds=0)
            cause, reason = self._cause_of(code, with_limits), self._why_it_ended(code, with_limits)
            with_limits.close()
            if ready_at is not None and time.monotonic() - ready_at >= QUICK_CRASH_SECONDS:
                crashes, pause = 0, FIRST_RESTART_PAUSE_SECONDS
            crashes += 1
            if crashes >= (QUICK_CRASHES if was_ready else STARTS_UNTIL_FIRST_READY):
                said = last_lines(Path(), LINES_IN_MESSAGE)
                times = f"{crashes} times in a row" if was_ready else "before it was ready"
                self._set(
                    state="failed",
                    cause=cause,
                    exit_code=code,
                    child=None,
                    message=f"The server ended {times}, at last with {reason}. Its log:\n{said}",
                )
                return
            self._say(f"the server ended with {reason}; it is started again in {pause:g} s")
            self._set(
                state="starting",
                child=None,
                restarts=self.state.restarts + 1,
                message=f"Starting again after {reason}.",
            )
            self._pause(pause)
            pause = min(pause * 2, LONGEST_RESTART_PAUSE_SECONDS)

    def _start_server(self, limits: Limits) -> None:
        port, message = self.state.port or 0, self.state.message
        if port and not _is_free(port):
            message = f"Port {port} was taken by another process: the server listens on a new one."
            self._say(message)
            port = 0
        Path(PORT).unlink(missing_ok=True)
        self._set(message=message or "The server starts.")
        port_file = Path(PORT).absolute()
        self._start_host([*self.plan.arguments, "--port", str(port), "--port-file", str(port_file)], limits)

    def _wait_until_ready(self) -> float | None:
        """Wait for the server to say it is ready: when that was, or ``None`` if it ended first."""
        deadline = time.monotonic() + READY_SECONDS
        pause = 0.01
        while not self._wait(pause):
            port = _read_port()
            if port is not None and _says_ready(port):
                new_port = self.state.port not in (None, port)
                self._set(state="ready", port=port, message=self.state.message if new_port else "")
                self._say(f"the server is ready at 127.0.0.1:{port}")
                return time.monotonic()
            if time.monotonic() > deadline:
                self._say(f"the server was not ready after {READY_SECONDS:.0f} s")
                self._end_child(collect=False)
                return None
            pause = min(pause * 1.2, 0.25)
        return None

    # --- job

    def _run_job(self) -> None:
        limits = self._limits()
        Path(RESULT).unlink(missing_ok=True)
        self._set(message="It runs.")
        begin = _size_of_log()
        self._start_host(self.plan.arguments, limits)
        in_time = self._wait(self.plan.timeout_seconds)
        if not in_time:
            self._end_child(collect=False)
        code = self._collect()
        end_all(self._descendants, grace_seconds=0)
        cause, message = self._verdict(code, limits, in_time, begin)
        limits.close()
        shutil.rmtree(SCRATCH, ignore_errors=True)
        state = "succeeded" if cause is None else "failed"
        self._set(state=state, cause=cause, exit_code=code, child=None, message=message)

    def _verdict(self, code: int, limits: Limits, in_time: bool, begin: int) -> tuple[JobCause | None, str]:
        """Why the job failed, and what to tell people; no cause if it succeeded."""
        if not in_time:
            return "timeout", f"It was ended after its {self.plan.timeout_seconds:g} s."
        result = _read_result()
        error = result.get("error") if result is not None else None
        if code == 0 and result is not None and error is None:
            return None, ""
        said = last_lines(Path(), LINES_IN_MESSAGE, since=begin)
        cause = self._cause_of(code, limits)
        if cause == "memory":
            return cause, f"It needed more than its {_size(self.plan.memory)} of memory.\n{said}"
        if isinstance(error, dict):
            return cause, f"{error.get('type', 'Error')}: {error.get('message', '')}"
        if code == 0:
            return "error", f"The host ended well but wrote no result.\n{said}"
        return cause, f"It ended with {self._why_it_ended(code, limits)}.\n{said}"

    # --- children

    def _limits(self) -> Limits:
        name = hashlib.sha256(self.plan.owner.encode()).hexdigest()[:16]
        return Limits(name, cpu=self.plan.cpu, memory=self.plan.memory)

    def _start_host(self, arguments: list[str], limits: Limits) -> None:
        scratch = Path(SCRATCH).absolute()
        scratch.mkdir(exist_ok=True)
        environment = Path(self.plan.environment.folder)
        python = local_environment.python_of(environment)
        variables = _variables(for_building=False) | self.plan.variables | limits.variables()
        variables |= {
            "PATH": f"{python.parent}{os.pathsep}{variables.get('PATH', os.defpath)}",
            "PYTHONNOUSERSITE": "1",
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(scratch),
            "VIRTUAL_ENV": str(environment),
        }
        self._start(
            [str(python), "-m", "airlock_host", *arguments],
            variables=variables,
            before_exec=limits.apply,
            folder=str(scratch),
        )

    def _start(
        self, command: list[str], *, variables: dict[str, str], before_exec: Callable[[], None], folder: str
    ) -> None:
        itself = os.getpid()

        def prepare() -> None:
            die_with_parent(itself)
            before_exec()

        with open(LOG, "ab") as log:
            # The usual warning about preexec_fn is for programs with threads: this one has none.
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables | {OWNER: self._descendants},
                cwd=folder,
                start_new_session=True,
                preexec_fn=prepare,
            )
        self._set(child=self._child.pid)

    def _wait(self, seconds: float | None) -> bool:
        """Wait for the child to end, so many seconds or for good; whether it has ended.

        :raises Ended: the supervisor was told to end.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            if self._told_to_end:
                raise Ended
            if self._child is not None and self._child.poll() is not None:
                return True
            self._bound_log()
            left = LOG_CHECK_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            select.select([self._woken], [], [], min(left, LOG_CHECK_SECONDS))
            self._drain()

    def _pause(self, seconds: float) -> None:
        child, self._child = self._child, None
        self._wait(seconds)
        self._child = child

    def _collect(self) -> int:
        """The exit code of the child that has ended; below 0 it is a signal's number."""
        if self._child is None:
            raise RuntimeError("there is no child")
        code = self._child.wait()
        self._child = None
        return code

    def _end_child(self, *, collect: bool = True) -> None:
        """Ask the child's process group to end, kill what is left after the grace time."""
        child = self._child
        if child is not None:
            _signal_group(child, signal.SIGTERM)
            try:
                child.wait(self.plan.grace_seconds)
            except subprocess.TimeoutExpired:
                _signal_group(child, signal.SIGKILL)
                child.wait()
            if collect:
                self._child = None
        end_all(self._descendants, grace_seconds=0)

    def _cause_of(self, code: int, limits: Limits) -> JobCause:
        said = last_lines(Path(), 3)
        if limits.memory_ran_out() or (code != 0 and ("MemoryError" in said or "bad_alloc" in said)):
            return "memory"
        if code < 0:
            return "signal"
        return "invalid_data" if code == 2 else "error"

    def _why_it_ended(self, code: int, limits: Limits) -> str:
        if self._cause_of(code, limits) == "memory":
            return f"more memory than its {_size(self.plan.memory)}"
        return _ending(code)

    @property
    def _descendants(self) -> str:
        """Owner of the processes started here, which this supervisor itself is not."""
        return f"{self.plan.owner}!host"

    # --- state, log and signals

    def _set(self, **changes: Any) -> None:
        self.state = self.state.but(**changes)
        self.state.write(Path())

    def _say(self, text: str) -> None:
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(f"airlock: {text}\n")

    def _bound_log(self) -> None:
        if time.monotonic() < self._next_log_check:
            return
        self._next_log_check = time.monotonic() + LOG_CHECK_SECONDS
        if _size_of_log() > LOG_BYTES:
            # The host keeps the file open and appends: it is copied and emptied, not renamed.
            shutil.copyfile(LOG, OLDER_LOG)
            os.truncate(LOG, 0)

    def _on_told_to_end(self, number: int, frame: object) -> None:
        self._told_to_end = True

    def _drain(self) -> None:
        try:
            while os.read(self._woken, 512):
                continue
        except BlockingIOError:
            return


def _variables(*, for_building: bool) -> dict[str, str]:
    """This process's environment, which is chosen already; a host gets none of the builder's settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if for_building or not name.startswith(_FOR_BUILDING)
    }


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the child's process group; its id cannot have been reused, because it is not collected yet."""
    if child.poll() is None:
        os.killpg(child.pid, number)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _read_port() -> int | None:
    try:
        return int(Path(PORT).read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _says_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET /v2/health/ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


def _read_result() -> dict[str, Any] | None:
    try:
        result = json.loads(Path(RESULT).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return result if isinstance(result, dict) else None


def _size_of_log() -> int:
    try:
        return os.stat(LOG).st_size
    except FileNotFoundError:
        return 0


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"


def _size(memory: int) -> str:
    return f"{memory / 1024**2:.0f} MiB"
