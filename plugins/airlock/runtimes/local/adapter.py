"""Kind ``local``: servers and jobs as supervised processes on this machine's loopback address.

Every deployment and job is a folder (:mod:`airlock.runtimes.local.folder`) with a supervisor of its own
(:mod:`airlock.runtimes.local.supervisor`), which outlives the Airflow task that asked for it. The adapter
holds nothing in memory: it makes folders, starts supervisors and reads what they write.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from airlock.exceptions import AdapterError, Conflict, IntegrityError
from airlock.runtimes.base import (
    DeploymentPlan,
    Endpoint,
    Handle,
    Health,
    Job,
    JobHandle,
    JobStatus,
    LogLines,
    RuntimeSettings,
    Status,
    WithoutRouter,
    no_stream,
    recording,
    stream_endpoints,
)
from airlock.runtimes.local import limits
from airlock.runtimes.local.environment import source_digest
from airlock.runtimes.local.folder import (
    JOB,
    JOBS,
    MODEL,
    RESULT,
    STREAM,
    STREAM_LOCK,
    EnvironmentPlan,
    Plan,
    State,
    last_lines,
    lines_since,
    read_json,
    supervisor_of,
    write_atomically,
)
from airlock.runtimes.local.interpreter import find_interpreter, find_uv
from airlock.runtimes.local.process import OWNER
from airlock.runtimes.local.shelf import Shelf, end
from airlock.runtimes.local.start import NotStarted, start
from airlock.runtimes.local.variables import variables_of
from airlock.runtimes.stream_packages import with_stream_packages
from airlock.snapshots.manifest import Manifest
from airlock.spec import GiB, MiB, Resources, RuntimeSpec, digest, file_digest

GRACE_SECONDS = 10.0
"""Between asking a model's process to end and killing it."""

DAYS_TO_KEEP_JOBS = 7
LEAST_FREE_BYTES = GiB

_CHECKS_LOCK = "checks.lock"
_PYTHON_OF_CHECKS = ">=3.11,<3.14"
_HOST_PACKAGE = "airlock_host"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+=~-]{0,149}")
_TRIES = 5


def stop_all(workspace: Path, *, grace_seconds: float = GRACE_SECONDS) -> None:
    """End every process of the local kind under a workspace; returns once none is left.

    The folders stay: a deployment that was stopped can be deployed again, and then has the same port.

    :raises AdapterError: a process could not be killed.
    """
    end(_owner_of(workspace), grace_seconds)


class LocalAdapter(WithoutRouter):
    """Drives one runtime of kind ``local``.

    :param grace_seconds: between asking a model's process to end and killing it.
    """

    def __init__(
        self, spec: RuntimeSpec, settings: RuntimeSettings, *, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._spec = spec
        self._store = settings.store
        self._host_source = settings.host_source.resolve()
        self._workspace = settings.workspace.resolve()
        self._grace_seconds = grace_seconds
        folder = self._workspace / "runtimes" / spec.runtime
        self._deployments = Shelf(folder / "deployments", grace_seconds)
        self._jobs = Shelf(folder / JOBS, grace_seconds)

    def check(self) -> Health:
        """Say whether this machine can take work, and which limits it can set."""
        if sys.platform != "linux":
            return Health(False, f"The kind local needs Linux; this is {sys.platform}.")
        try:
            self._workspace.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._workspace):
                free = shutil.disk_usage(self._workspace).free
        except OSError as error:
            return Health(False, f"The workspace {self._workspace} cannot be written: {error.strerror}.")
        if free < LEAST_FREE_BYTES:
            return Health(False, f"The workspace {self._workspace} has only {free // MiB} MiB of space left.")
        if not (self._host_source / _HOST_PACKAGE).is_dir():
            return Health(False, f"There is no {_HOST_PACKAGE} in {self._host_source}.")
        try:
            find_uv()
            interpreter = find_interpreter(_PYTHON_OF_CHECKS)
        except AdapterError as error:
            return Health(False, str(error))
        free_text = f"{free / GiB:.0f} GiB free"
        return Health(True, f"Python {interpreter.version}, {free_text}. {limits.describe()}")

    # --- deployments

    def deploy(self, plan: DeploymentPlan) -> Handle:
        """Begin to put a snapshot on this machine and return at once; its supervisor does the rest.

        A deployment that failed, or whose process is gone, is started again, at the same port if possible.

        :raises Conflict: the name is taken by another digest or mode.
        :raises IntegrityError: the snapshot's files are not the recorded bytes.
        :raises AdapterError: this machine cannot run it.
        """
        if plan.manifest.digest != plan.digest:
            raise IntegrityError(
                f"The manifest of {plan.name} has the digest {plan.manifest.digest}, not {plan.digest}."
            )
        lock = None if plan.stream is None else self._lock_of_stream(plan.manifest)
        wanted = self._plan_deployment(plan, lock)

        def write(folder: Path, chosen: Plan) -> None:
            if lock is not None:
                write_atomically(folder / STREAM, plan.stream, is_kept=True, is_secret=True)
                (folder / STREAM_LOCK).write_bytes(lock)
            chosen.write(folder)

        def fill(folder: Path) -> None:
            self._store.materialise(plan.manifest, folder / MODEL)
            (folder / JOBS).mkdir()
            write(folder, wanted)

        def adopt(folder: Path, found: Plan) -> None:
            _refuse_other(found, wanted)
            self._store.materialise(plan.manifest, folder / MODEL)  # compares what is there

        def renew(folder: Path, found: Plan) -> None:
            same = found.environment if found.environment.is_built() else wanted.environment
            write(folder, wanted._replace(owner=found.owner, environment=same))

        self._make(self._deployments)
        self._begin(self._deployments, wanted, fill=fill, adopt=adopt, renew=renew)
        return self._handle(wanted)

    def status(self, handle: Handle) -> Status:
        """Look at a deployment."""
        return self._look_at_deployment(handle)[0]

    def endpoints(self, handle: Handle) -> Sequence[Endpoint]:
        """Where a ready ``online`` deployment listens, or reads; empty for ``batch``."""
        status, port = self._look_at_deployment(handle)
        if status.state != "ready" or port is None:
            return []
        own = f"http://127.0.0.1:{port}"
        try:
            return stream_endpoints(read_json(self._folder_of(handle) / STREAM)["input"], own)
        except FileNotFoundError:
            return [Endpoint("rest", own)]

    def stream(self, handle: Handle, content: Mapping[str, Any]) -> None:
        """Write the stream file of a deployment anew.

        :raises AdapterError: the deployment is not there, or is no stream.
        """
        folder = self._folder_of(handle)
        try:
            if Plan.read(folder).is_stream:
                write_atomically(folder / STREAM, content, is_kept=True, is_secret=True)
                return
        except FileNotFoundError:
            pass
        raise no_stream(handle["name"], self._spec.runtime)

    def undeploy(self, handle: Handle) -> None:
        """Take a deployment away with its jobs: its processes to the last one, then its folder.

        :raises AdapterError: a process could not be killed, or the folder not be removed.
        """
        self._deployments.remove(_checked(handle["name"]))
        self._deployments.clear_leftovers()

    def list(self) -> Sequence[Handle]:
        """Every deployment of this runtime that is on disk, running or not."""
        handles: list[Handle] = []
        for folder in self._deployments:
            try:
                handles.append(self._handle(Plan.read(folder)))
            except FileNotFoundError:
                continue  # undeployed at this very moment
        return handles

    # --- jobs

    def submit(self, job: Job) -> JobHandle:
        """Begin a job and return at once.

        :raises AdapterError: its deployment is gone, or this machine cannot run it.
        """
        deployment = job.deployment["name"] if job.deployment else None
        shelf = self._jobs_of(deployment)
        plan = self._plan_job(job, shelf)
        document = {**job.arguments, "result": str(shelf.path / job.name / RESULT)}
        if deployment is not None:
            document["model"] = str(self._deployments.path / deployment / MODEL)

        def fill(folder: Path) -> None:
            plan.write(folder)
            write_atomically(folder / JOB, document, is_secret=job.is_secret)

        def renew(folder: Path, found: Plan) -> None:
            plan._replace(owner=found.owner).write(folder)
            write_atomically(folder / JOB, document, is_secret=job.is_secret)

        if deployment is None:
            self._make(self._jobs)
            self._clear_old_jobs()
        self._begin(shelf, plan, fill=fill, adopt=lambda folder, found: None, renew=renew)
        return self._handle(plan) | {"deployment": deployment}

    def job_status(self, handle: JobHandle) -> JobStatus:
        """Look at a job."""
        folder = self._folder_of(handle)
        try:
            state, is_lost = _look(folder, Plan.read(folder))
            if is_lost:
                return JobStatus("failed", _why_lost(state), cause="lost")
            if state.state == "succeeded":
                result = read_json(folder / RESULT)
                return JobStatus("succeeded", exit_code=state.exit_code, result=result)
        except FileNotFoundError:
            return JobStatus("gone")
        if state.state == "failed":
            return JobStatus("failed", state.message, exit_code=state.exit_code, cause=state.cause)
        return JobStatus("running", state.message)

    def cancel(self, handle: JobHandle) -> None:
        """End a job and all its processes; one that has ended already is well.

        :raises AdapterError: a process could not be killed.
        """
        try:
            plan = Plan.read(self._folder_of(handle))
        except FileNotFoundError:
            return
        end(plan.owner, self._grace_seconds)

    def logs(self, handle: Handle | JobHandle, *, lines: int = 50) -> str:
        """The last lines of a deployment's or a job's log: its own, and what its supervisor did."""
        return last_lines(self._folder_of(handle), lines)

    def follow(self, handle: Handle | JobHandle, position: str | None = None) -> LogLines:
        """What was logged since ``position``, which counts bytes of the newer log file."""
        lines, reached = lines_since(self._folder_of(handle), int(position or 0))
        return LogLines(lines, str(reached))

    def remove_job(self, handle: JobHandle) -> None:
        """Take a job's folder away, after its processes.

        :raises AdapterError: a process could not be killed, or the folder not be removed.
        """
        self._jobs_of(handle.get("deployment")).remove(_checked(handle["name"]))

    def list_jobs(self) -> Sequence[JobHandle]:
        """Every job without a deployment that is on disk."""
        handles: list[JobHandle] = []
        for folder in self._jobs:
            with suppress(FileNotFoundError):  # removed at this very moment
                handles.append(self._handle(Plan.read(folder)) | {"deployment": None})
        return handles

    # --- plans

    def _lock_of_stream(self, manifest: Manifest) -> bytes:
        """The snapshot's lock with the packages of a stream."""
        entry = manifest.file(manifest.environment.lock_path)
        with self._store.open(entry.sha256) as blob:
            content = blob.read()
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise IntegrityError(f"The artifact store does not hold the recorded lock of {manifest.model}.")
        return with_stream_packages(content.decode(), self._host_source).encode()

    def _plan_deployment(self, plan: DeploymentPlan, lock_of_stream: bytes | None) -> Plan:
        folder = self._deployments.path / _checked(plan.name)
        model = folder / MODEL
        lock, lock_digest = model / plan.manifest.environment.lock_path, plan.manifest.environment.lock_digest
        command = ["serve"]
        if lock_of_stream is not None:
            lock, lock_digest = folder / STREAM_LOCK, f"sha256:{hashlib.sha256(lock_of_stream).hexdigest()}"
            command = ["stream", "--stream", str(folder / STREAM)]
        return Plan(
            name=plan.name,
            purpose="server" if plan.mode == "online" else "environment",
            digest=plan.digest,
            owner=f"{_owner_of(self._workspace)}{_unique(plan.name)}/",
            environment=self._environment(lock, lock_digest, plan.manifest.python),
            arguments=[
                *(*command, "--model", str(model), "--host", "127.0.0.1"),
                *("--drain-seconds", str(max(1, int(0.8 * self._grace_seconds)))),
                *recording(plan.record_answers),
            ],
            variables=_labels({**plan.labels, "deployment": plan.name, "digest": plan.digest}),
            cpu=self._cpu(plan.resources),
            memory=self._memory(plan.resources),
            grace_seconds=self._grace_seconds,
            timeout_seconds=0.0,
        )

    def _plan_job(self, job: Job, shelf: Shelf) -> Plan:
        plan = self._plan_without_snapshot(job) if job.deployment is None else self._plan_in_deployment(job)
        return plan._replace(
            name=job.name,
            purpose="job",
            owner=f"{plan.owner}{_unique(_checked(job.name))}/",
            arguments=[job.command, "--job", str(shelf.path / job.name / JOB)],
            timeout_seconds=job.timeout_seconds,
            cpu=self._cpu(job.resources),
            memory=self._memory(job.resources),
        )

    def _plan_without_snapshot(self, job: Job) -> Plan:
        lock = self._host_source / _CHECKS_LOCK
        try:
            lock_digest = file_digest(lock)
        except FileNotFoundError as error:
            raise AdapterError(f"The lock of the checks environment is missing: {lock}.") from error
        return Plan(
            name=job.name,
            purpose="job",
            digest="",
            owner=_owner_of(self._workspace),
            environment=self._environment(lock, lock_digest, _PYTHON_OF_CHECKS),
            arguments=[],
            variables={},
            cpu=self._cpu(job.resources),
            memory=self._memory(job.resources),
            grace_seconds=self._grace_seconds,
            timeout_seconds=job.timeout_seconds,
        )

    def _plan_in_deployment(self, job: Job) -> Plan:
        name = _checked((job.deployment or {})["name"])
        try:
            return Plan.read(self._deployments.path / name)
        except FileNotFoundError as error:
            raise AdapterError(
                f"The job {job.name} cannot run: there is no deployment {name} on {self._spec.runtime}.",
                mend="Clear the task that deploys it.",
            ) from error

    def _cpu(self, resources: Resources) -> float:
        return self._spec.options.cpu or resources.cpu

    def _memory(self, resources: Resources) -> int:
        return self._spec.options.memory or resources.memory

    def _environment(self, lock: Path, lock_digest: str, versions: str) -> EnvironmentPlan:
        interpreter = find_interpreter(versions)
        host = self._host_source / _HOST_PACKAGE
        try:
            host_digest = source_digest(host)
        except FileNotFoundError as error:
            raise AdapterError(f"There is no {_HOST_PACKAGE} in {self._host_source}.") from error
        key = digest(
            {
                "lock": lock_digest,
                "python": interpreter.version,
                "interpreter": str(interpreter.path),
                "host": host_digest,
            }
        )
        return EnvironmentPlan(
            folder=str(self._workspace / "environments" / key.removeprefix("sha256:")[:20]),
            lock=str(lock),
            lock_digest=lock_digest,
            interpreter=str(interpreter.path),
            host=str(host),
            host_digest=host_digest,
            uv=find_uv(),
        )

    # --- folders

    def _begin(
        self,
        shelf: Shelf,
        plan: Plan,
        *,
        fill: Callable[[Path], None],
        adopt: Callable[[Path, Plan], None],
        renew: Callable[[Path, Plan], None],
    ) -> None:
        """See that the work in a folder is done, being done, or begun again where it failed.

        :param fill: fills a new folder.
        :param adopt: objects to a folder that is there and is not what is wanted.
        :param renew: writes the plan again before a new beginning, as the world may have changed.
        :raises AdapterError: its supervisor does not start.
        """
        folder = shelf.path / plan.name
        for _ in range(_TRIES):
            try:
                is_new = shelf.create(plan.name, fill)
                found = Plan.read(folder)
                if not is_new:
                    adopt(folder, found)
                state, is_lost = _look(folder, found)
                if is_lost or state.state == "failed":
                    if state.attempt:
                        renew(folder, found)
                    start(folder, state.attempt + 1, {**variables_of(self._spec), OWNER: found.owner})
            except FileNotFoundError:
                continue  # it is being removed at this very moment, by another caller
            except NotStarted as error:
                raise AdapterError(f"The supervisor of {plan.name} did not start: {error}.") from error
            return
        raise AdapterError(f"{plan.name} is removed as often as it is begun.", mend="Find out by whom.")

    def _make(self, shelf: Shelf) -> None:
        try:
            shelf.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdapterError(f"{shelf.path} cannot be made: {error.strerror}.") from error
        shelf.clear_leftovers()

    def _clear_old_jobs(self) -> None:
        """Remove jobs outside of deployments that ended some days ago: nobody comes back for them."""
        oldest = time.time() - DAYS_TO_KEEP_JOBS * 86400
        for folder in self._jobs:
            with suppress(FileNotFoundError):  # another caller was faster
                if folder.stat().st_mtime < oldest and supervisor_of(folder) is None:
                    self._jobs.remove(folder.name)

    def _jobs_of(self, deployment: str | None) -> Shelf:
        if deployment is None:
            return self._jobs
        return Shelf(self._deployments.path / _checked(deployment) / JOBS, self._grace_seconds)

    def _folder_of(self, handle: Mapping[str, Any]) -> Path:
        shelf = self._jobs_of(handle["deployment"]) if "deployment" in handle else self._deployments
        return shelf.path / _checked(handle["name"])

    def _look_at_deployment(self, handle: Handle) -> tuple[Status, int | None]:
        folder = self._deployments.path / _checked(handle["name"])
        try:
            state, is_lost = _look(folder, Plan.read(folder))
        except FileNotFoundError:
            return Status("gone"), None
        if is_lost:
            return Status("failed", f"{_why_lost(state)} Deploy it again."), None
        said = "ready" if state.state == "succeeded" else state.state  # only jobs succeed
        return Status(said, state.message), state.port

    def _handle(self, plan: Plan) -> Handle:
        return {
            "kind": "local",
            "runtime": self._spec.runtime,
            "name": plan.name,
            "digest": plan.digest,
        }


def _look(folder: Path, plan: Plan) -> tuple[State, bool]:
    """The state of a folder, and whether its supervisor vanished before its work was done."""
    state = State.read(folder)
    if not state.is_settled(plan) and supervisor_of(folder) is None:
        state = State.read(folder)  # it may have ended well between the two looks
        return state, not state.is_settled(plan)
    return state, False


def _why_lost(state: State) -> str:
    if state.attempt == 0:
        return "It was never started: whoever began it was killed."
    return "Its process is gone: it was killed, or the machine was restarted."


def _refuse_other(found: Plan, wanted: Plan) -> None:
    there, here = _what(found), _what(wanted)
    if there != here:
        raise Conflict(
            f"{wanted.name} is there already with another snapshot or mode: {there} instead of {here}.",
            mend="Undeploy it first, or deploy under another name.",
        )


def _what(plan: Plan) -> str:
    return f"{plan.digest} ({'stream' if plan.is_stream else plan.purpose})"


def _checked(name: str) -> str:
    """A name that is safe as a file name."""
    if not _NAME.fullmatch(name):
        raise AdapterError(
            f"{name!r} cannot be the name of a deployment or job.",
            mend="Use at most 150 letters, digits and . _ - + = @ ~, beginning with a letter or digit.",
        )
    return name


def _unique(name: str) -> str:
    """The name with something that tells this folder from a later one of the same name."""
    return f"{name}.{secrets.token_hex(8)}"


def _owner_of(workspace: Path) -> str:
    return f"{workspace.resolve()}//"


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as the variables that the host reads."""
    return {f"AIRLOCK_{key.upper().replace('-', '_')}": value for key, value in labels.items()}
