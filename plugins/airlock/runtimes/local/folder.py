"""What the local kind keeps on disk: one folder per deployment and per job.

    <workspace>/environments/<key>/                     a virtual environment, built once per lock
    <workspace>/runtimes/<runtime>/deployments/<name>/  plan.json state.json lock log model/ tmp/ jobs/<name>/
                                                        and of a stream: stream.json requirements.lock
    <workspace>/runtimes/<runtime>/jobs/<name>/         plan.json state.json lock log job.json result.json

The adapter writes ``plan.json`` before the folder gets its name, and again where a failed one is begun anew,
and ``stream.json`` whenever a stream is to read something else. All else is written by the supervisor, which
holds ``lock``, and by its host.

Standard library only: the supervisor runs without Airlock's dependencies. And little of it: every job starts
a supervisor, so what is imported here costs each of them (named tuples, because dataclasses take 14 ms).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from airlock.runtimes.job_cause import JobCause
from airlock.runtimes.local.process import Identity, identify

PLAN = "plan.json"
STATE = "state.json"
LOCK = "lock"
LOG = "log"
OLDER_LOG = "log.1"
MODEL = "model"
SCRATCH = "tmp"
JOBS = "jobs"
JOB = "job.json"
RESULT = "result.json"
PORT = "port"
STREAM = "stream.json"
"""What a worker of a stream reads and writes: for its user alone, since credentials are in it."""
STREAM_LOCK = "requirements.lock"
"""The snapshot's lock with the packages of a stream."""

LOG_BYTES = 8 * 1024 * 1024
"""A log file that is larger is put aside."""


class EnvironmentPlan(NamedTuple):
    """A virtual environment and what it is built from.

    :param folder: where it is or will be.
    :param lock: requirements file in which every package has hashes.
    :param interpreter: the Python it is made with.
    :param host: the folder of the package ``airlock_host``.
    """

    folder: str
    lock: str
    lock_digest: str
    interpreter: str
    host: str
    host_digest: str
    uv: str

    @property
    def python(self) -> Path:
        """The interpreter in the environment."""
        return Path(self.folder, "bin", "python")

    def is_built(self) -> bool:
        """Whether the environment is there, made with a Python that is still there."""
        return self.python.exists()


class Plan(NamedTuple):
    """What a supervisor is to do.

    :param purpose: ``server`` runs the host's server for good, ``environment`` only builds the environment
        (what a batch deployment needs), ``job`` runs the host once.
    :param digest: of the snapshot, empty for a job without one.
    :param owner: see :mod:`airlock.runtimes.local.process`.
    :param arguments: of the host; the supervisor adds the port.
    :param variables: set for the host.
    :param cpu: cores.
    :param memory: bytes.
    :param grace_seconds: between asking the host to end and killing it.
    :param timeout_seconds: of a job, from the start of the host.
    """

    name: str
    purpose: Literal["server", "environment", "job"]
    digest: str
    owner: str
    environment: EnvironmentPlan
    arguments: list[str]
    variables: dict[str, str]
    cpu: float
    memory: int
    grace_seconds: float
    timeout_seconds: float

    @property
    def token(self) -> str:
        """What the owner ends with, like that of no other."""
        return self.owner.rstrip("/").rpartition(".")[2]

    @property
    def is_stream(self) -> bool:
        """Whether the host reads topics instead of listening for requests."""
        return self.arguments[:1] == ["stream"]

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Read the plan of a folder.

        :raises FileNotFoundError: the folder is not there.
        """
        document = read_json(folder / PLAN)
        return cls(**{**document, "environment": EnvironmentPlan(**document["environment"])})

    def write(self, folder: Path) -> None:
        """Write the plan into a folder."""
        document = {**self._asdict(), "environment": self.environment._asdict()}
        write_atomically(folder / PLAN, document, is_kept=True)


class State(NamedTuple):
    """What a supervisor says of its work.

    :param attempt: counts the supervisors of this folder: number n only begins where number n-1 was the last.
    :param message: what it does now, or why it failed.
    :param port: where the server listens, kept over restarts.
    :param restarts: of the server, by this supervisor.
    :param groups: folders of the control groups that limit the host.
    """

    attempt: int = 0
    state: Literal["starting", "ready", "failed", "succeeded"] = "starting"
    message: str = ""
    cause: JobCause | None = None
    exit_code: int | None = None
    port: int | None = None
    restarts: int = 0
    groups: Sequence[str] = ()

    @classmethod
    def read(cls, folder: Path) -> State:
        """Read the state of a folder; before its first supervisor has begun, that is attempt 0."""
        try:
            return cls(**read_json(folder / STATE))
        except (FileNotFoundError, ValueError):  # a file can be empty after a power failure
            return cls()

    def write(self, folder: Path) -> None:
        """Write the state into a folder."""
        write_atomically(folder / STATE, self._asdict())

    def is_done(self, plan: Plan) -> bool:
        """Whether all that was planned has been done, so that no further supervisor is needed."""
        return self.state == "succeeded" or (self.state == "ready" and plan.purpose == "environment")

    def is_settled(self, plan: Plan) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state == "failed" or self.is_done(plan)


def read_json(path: Path) -> Any:
    """Read a JSON document.

    :raises FileNotFoundError: it is not there.
    """
    return json.loads(path.read_bytes())


def write_atomically(path: Path, document: Any, *, is_kept: bool = False, is_secret: bool = False) -> None:
    """Write JSON so that a reader finds the old or the new, never a part.

    :param is_kept: it must also survive a power failure.
    :param is_secret: nobody but this user may read it.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)  # of a process that was killed and had this number
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_secret else 0o666)
    with open(handle, "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1)
        if is_kept:
            stream.flush()
            os.fsync(stream.fileno())
    unfinished.replace(path)


def sign_lock(lock: int) -> None:
    """Write into the locked file which process holds it: this one."""
    itself = identify(os.getpid())
    os.ftruncate(lock, 0)
    os.pwrite(lock, " ".join(str(part) for part in itself or ()).encode("ascii"), 0)


def supervisor_of(folder: Path) -> Identity | None:
    """The supervisor that runs for a folder, or ``None``."""
    try:
        pid, started, boot = (folder / LOCK).read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        return None  # nobody began yet, or somebody is just about to
    identity = Identity(int(pid), int(started), boot)
    return identity if identity.is_running() else None


def log_size(folder: Path) -> int:
    """Size of a folder's newer log file in bytes."""
    try:
        return (folder / LOG).stat().st_size
    except FileNotFoundError:
        return 0


def bound_log(folder: Path) -> None:
    """Make the log file the older one when it has grown; so at most two of this size are kept."""
    if log_size(folder) > LOG_BYTES:
        import shutil  # rarely needed, and slow to import

        # Whoever writes keeps the file open and appends: it is copied and emptied, not renamed.
        shutil.copyfile(folder / LOG, folder / OLDER_LOG)
        os.truncate(folder / LOG, 0)


def last_lines(folder: Path, lines: int, *, since: int = 0) -> str:
    """The last lines of a folder's log.

    :param since: do not go further back than this size of the newer log file.
    """
    wanted = 400 * lines
    text = b""
    for name in (LOG,) if since else (LOG, OLDER_LOG):
        try:
            with (folder / name).open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                begin = since if name == LOG and since <= size else 0  # it may have been put aside since
                stream.seek(max(size - wanted, begin))
                text = stream.read() + text
        except FileNotFoundError:
            continue
        if text.count(b"\n") > lines:
            break
    return "\n".join(text.decode("utf-8", "replace").splitlines()[-lines:])


def lines_since(folder: Path, offset: int) -> tuple[list[str], int]:
    """The whole lines of a folder's newer log file from a byte on, and where they end.

    A file that is shorter than that has been emptied since: it is read from its beginning.
    """
    try:
        with (folder / LOG).open("rb") as stream:
            begin = offset if offset <= stream.seek(0, os.SEEK_END) else 0
            stream.seek(begin)
            text = stream.read()
    except FileNotFoundError:
        return [], offset
    whole = text[: text.rfind(b"\n") + 1]
    return whole.decode("utf-8", "replace").splitlines(), begin + len(whole)
