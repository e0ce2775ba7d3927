"""The contract between Airlock and a place where models run.

An adapter drives one runtime. Every call is safe to repeat, handles are plain JSON, and names are
derived from ids in the registry, so that a task which was killed at any line finds again what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from airlock.exceptions import AdapterError
from airlock.runtimes.job_cause import JobCause
from airlock.snapshots.manifest import Manifest
from airlock.snapshots.store import ArtifactStore
from airlock.spec import Mode, Resources

Handle = dict[str, Any]
"""What an adapter needs to find a deployment again: plain JSON, always with its ``name``; with its ``image``
where the kind runs images."""

JobHandle = dict[str, Any]
"""What an adapter needs to find a job again: plain JSON, always with its ``name``."""

DeploymentState = Literal["starting", "ready", "failed", "gone"]
JobState = Literal["running", "succeeded", "failed", "gone"]


@dataclass(frozen=True)
class RuntimeSettings:
    """What adapters need from Airlock's configuration.

    :param store: where the files of snapshots are.
    :param workspace: a folder of this machine for kinds that run on it.
    :param host_source: the folder of the ``airlock-host`` project.
    """

    store: ArtifactStore
    workspace: Path
    host_source: Path


@dataclass(frozen=True)
class Health:
    """Whether a runtime can take work now, and if not, why."""

    ok: bool
    message: str = ""


@dataclass(frozen=True)
class Endpoint:
    """Where something connects.

    ``rest`` is where applications send requests. A stream has two others: ``kafka`` names the topic that
    applications write to, as ``kafka://<topic>``, and ``metrics`` is where its worker says how it is.

    :param url: the base address for applications.
    :param inside: the base address for jobs of the same runtime, where it is another one.
    """

    kind: Literal["rest", "kafka", "metrics"]
    url: str
    inside: str | None = None


@dataclass(frozen=True)
class DeploymentPlan:
    """One snapshot to be put on one runtime.

    :param name: the deployment's id in the registry; deploying the same name and digest again adopts it.
    :param labels: service, stage, snapshot and passage, stamped on whatever is created.
    :param image: the image, with its digest, that this snapshot ran in before; a kind that runs images takes
        this very one, so that what was tested is what runs.
    :param stream: the host's stream file (:func:`airlock.runtimes.streams.stream_file`): an ``online``
        deployment then reads topics instead of listening for requests. It holds credentials.
    :param record_answers: how many of its last answers an ``online`` deployment keeps to be compared.
    """

    name: str
    digest: str
    manifest: Manifest
    mode: Mode
    resources: Resources
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    stream: Mapping[str, Any] | None = field(default=None, repr=False)
    record_answers: int = 0


def recording(answers: int) -> tuple[str, ...]:
    """The options by which a host keeps its last answers."""
    return ("--record-answers", str(answers)) if answers else ()


@dataclass(frozen=True)
class Status:
    """A deployment's state.

    :param message: what is being done while it starts, or why it failed, with the last lines of its log.
    """

    state: DeploymentState
    message: str = ""


@dataclass(frozen=True)
class Job:
    """One run of the host inside a runtime.

    :param name: deterministic; submitting the same name again finds the first one, running or succeeded. One
        that failed runs again.
    :param command: ``batch`` or ``check``: the host's sub-command.
    :param arguments: the host's job file, without ``model`` and ``result``, which the adapter fills in.
    :param is_secret: credentials are among the arguments: nobody but the job may read its file.
    :param deployment: handle of the deployment whose snapshot and environment run the job; ``None``
        runs it in the checks environment, where no code of a model is present.
    """

    name: str
    command: Literal["batch", "check"]
    arguments: Mapping[str, Any]
    deployment: Handle | None = None
    resources: Resources = field(default_factory=Resources)
    timeout_seconds: float = 3600.0
    is_secret: bool = False


@dataclass(frozen=True)
class JobStatus:
    """A job's state; ``result`` is the host's result file once it succeeded.

    :param message: what it waits for, or why it failed.
    :param exit_code: of the host; below 0 it is the number of the signal that ended it.
    :param cause: why it failed, in one word to decide on.
    """

    state: JobState
    message: str = ""
    exit_code: int | None = None
    result: dict[str, Any] | None = None
    cause: JobCause | None = None


@dataclass(frozen=True)
class LogLines:
    """A piece of a log.

    :param lines: what was logged since.
    :param position: where to go on, for the next call.
    """

    lines: Sequence[str]
    position: str


def stream_endpoints(topic: str, url: str, inside: str | None = None) -> list[Endpoint]:
    """The endpoints of a stream: the topic that it reads, and where its worker says how it is."""
    return [Endpoint("kafka", f"kafka://{topic}"), Endpoint("metrics", url, inside)]


def no_stream(name: str, runtime: str) -> AdapterError:
    """What is raised where there is no worker of a stream to be told what to read."""
    return AdapterError(
        f"There is no stream {name} on {runtime} that could be told what to read.",
        mend="Clear the task that deploys it.",
    )


@dataclass(frozen=True)
class Split:
    """How the requests for a service at a stage are divided between deployments of one runtime.

    :param number: grows with each change: what was asked for later is never replaced by what was before.
    :param shares: percents by the name of the deployment, 100 in all; empty where none of them come here.
    :param mirror: the deployment that gets copies, and of how many of a hundred requests.
    :param sticky: the header whose value keeps a caller on one deployment.
    """

    service: str
    stage: str
    number: int
    shares: Mapping[str, int]
    mirror: tuple[str, int] | None = None
    sticky: str | None = None


@dataclass(frozen=True)
class Routed:
    """Whether a runtime's router divides requests as it was asked to.

    :param message: what it still waits for.
    """

    done: bool
    message: str = ""


class Adapter(Protocol):
    """What every kind of runtime can do. One contract test suite runs against all of them."""

    def check(self) -> Health:
        """Say whether the runtime can take work now."""

    def deploy(self, plan: DeploymentPlan) -> Handle:
        """Begin to put a snapshot on the runtime and return at once.

        The same name and digest again is adopted; where it failed, it is begun again.

        :raises Conflict: the name is taken by another digest.
        :raises IntegrityError: the snapshot's files are not the recorded bytes.
        :raises AdapterError: the runtime cannot be reached or refuses.
        """

    def status(self, handle: Handle) -> Status:
        """Look at a deployment."""

    def endpoints(self, handle: Handle) -> Sequence[Endpoint]:
        """Where a ready ``online`` deployment listens, or reads; empty for ``batch``."""

    def stream(self, handle: Handle, content: Mapping[str, Any]) -> None:
        """Write the stream file of a deployment that is there anew; its worker looks at it all the time.

        A worker that is started again finds the last one. So does a deployment that is adopted: only one
        that failed begins again with the file of its plan.

        :raises AdapterError: the deployment is not there or is no stream, or the runtime cannot be reached.
        """

    def address(self, service: str, stage: str) -> str | None:
        """Where applications reach a service at a stage, whatever versions are behind it.

        ``None`` where the runtime has no router of its own: then Airlock's gateway divides requests.
        """

    def route(self, split: Split) -> Routed:
        """Let the runtime's own router divide requests, and look whether it does by now.

        Asked again it goes on. A kind or runtime without a router has nothing to do.

        :raises AdapterError: the router cannot divide them so, or the runtime cannot be reached or refuses.
        """

    def undeploy(self, handle: Handle) -> None:
        """Take a deployment away, with its jobs; what is gone already is well."""

    def submit(self, job: Job) -> JobHandle:
        """Begin a job and return at once.

        :raises AdapterError: its deployment is not there, or the runtime cannot be reached or refuses.
        """

    def job_status(self, handle: JobHandle) -> JobStatus:
        """Look at a job."""

    def cancel(self, handle: JobHandle) -> None:
        """End a job; one that has ended already is well."""

    def logs(self, handle: Handle | JobHandle, *, lines: int = 50) -> str:
        """The last lines of a deployment's or a job's log."""

    def follow(self, handle: Handle | JobHandle, position: str | None = None) -> LogLines:
        """What a deployment or job logged since ``position``; from its beginning without one."""

    def remove_job(self, handle: JobHandle) -> None:
        """Take a job away with its log, once its result is recorded; what is gone already is well."""

    def list(self) -> Sequence[Handle]:
        """Every deployment that Airlock put on this runtime and of which anything is still there."""

    def list_jobs(self) -> Sequence[JobHandle]:
        """Every job without a deployment, running or ended, that was not removed."""


class WithoutRouter:
    """What kinds have in common whose requests Airlock's gateway divides: it follows the registry."""

    def address(self, service: str, stage: str) -> str | None:
        """``None``."""
        return None

    def route(self, split: Split) -> Routed:
        """Nothing is to be done."""
        return Routed(True)
