"""What the engine is told of a container: the same security and limits for everything Airlock runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airlock.runtimes.base import recording
from airlock.runtimes.containers.layout import JOB_FOLDER, MODEL_FOLDER, PORT, READY, SCRATCH
from airlock.runtimes.containers.variables import host_variables
from airlock.runtimes.docker import labels as labelled
from airlock.spec import MiB

RUN_FOLDER = f"{JOB_FOLDER}/run"
"""A job's files. The volume's own folder belongs to root, and the engine gives it to nobody else."""

RUN_FILE = f"{RUN_FOLDER}/job.json"

SCRATCH_OF_JOBS = f"{RUN_FOLDER}/tmp"  # noqa: S108  inside a volume
"""On disk, because what a job fetches from object stores may be larger than its memory."""

GRACE_SECONDS = 10
"""Between asking a container to end and killing it."""

STARTS_UNTIL_FIRST_READY = 2
"""How often a server that was never ready is started."""

_DRAIN_SECONDS = 8
_PROCESSES = 2048
_LOG_FILES = 2
_LOG_FILE_SIZE = "8m"
_SECOND = 1_000_000_000  # the engine counts nanoseconds
_PORT = f"{PORT}/tcp"
_START_INTERVAL_SINCE = (1, 44)
_LEAST_SCRATCH = 64 * MiB


@dataclass(frozen=True)
class Shape:
    """What a container is made of, whatever it is for.

    :param cpu: cores.
    :param memory: in bytes.
    :param user: ``uid:gid``.
    :param network: its name.
    :param variables: that the runtime and its connection give.
    :param mounts: as the engine takes them.
    :param bound_log: the engine keeps logs in files and must be told how long they may get.
    """

    image: str
    labels: Mapping[str, str]
    cpu: float
    memory: int
    user: str
    network: str
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mapping[str, Any]] = ()
    bound_log: bool = True


def placeholder(image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A container that is never started: it holds the labels of a batch deployment, and its image."""
    return {
        "Image": image,
        "Cmd": ["--version"],
        "Labels": dict(labels),
        "HostConfig": {"NetworkMode": "none", "ReadonlyRootfs": True, "CapDrop": ["ALL"]},
    }


def server(
    shape: Shape,
    *,
    address: str | None,
    port: int | None,
    ready_within: float,
    api_version: tuple[int, ...],
    record_answers: int = 0,
) -> dict[str, Any]:
    """A container that answers requests.

    Until the server was ready once it is started only twice. After that the adapter has it started again
    whenever it ends: see :func:`airlock.runtimes.docker.readiness.is_proven`.

    :param address: of the engine's machine, to publish it at; ``None`` publishes nothing.
    :param ready_within: seconds until a server that does not answer counts as failed.
    :param record_answers: how many of its last answers it keeps to be compared.
    """
    config = _config(shape, scratch=SCRATCH)
    config["Cmd"] = [
        *("serve", "--model", MODEL_FOLDER, "--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104
        *("--drain-seconds", str(_DRAIN_SECONDS)),
        *recording(record_answers),
    ]
    config["Healthcheck"] = _health_check(ready_within, api_version)
    config["ExposedPorts"] = {_PORT: {}}
    config["HostConfig"]["RestartPolicy"] = {
        "Name": "on-failure",
        "MaximumRetryCount": STARTS_UNTIL_FIRST_READY - 1,
    }
    if address is not None:
        config["HostConfig"]["PortBindings"] = {_PORT: [{"HostIp": address, "HostPort": str(port)}]}
        config["Labels"][labelled.PORT] = str(port)
    return config


def job(shape: Shape, *, command: str, timeout_seconds: float) -> dict[str, Any]:
    """A container that runs the host once, on the job file that is put into its volume."""
    config = _config(shape, scratch=SCRATCH_OF_JOBS)
    deadline = ["--deadline", f"{timeout_seconds:g}"]
    config["Cmd"] = [command, "--job", RUN_FILE, *deadline]
    config["HostConfig"]["Mounts"].append({"Type": "volume", "Target": JOB_FOLDER})
    return config


def _config(shape: Shape, *, scratch: str) -> dict[str, Any]:
    variables = host_variables(
        labels=labelled.variables(shape.labels),
        cpu=shape.cpu,
        scratch=scratch,
        environment=shape.environment,
        secrets=shape.secrets,
    )
    limits = {
        "NanoCpus": round(shape.cpu * 1_000_000_000),
        "Memory": shape.memory,
        "MemorySwap": shape.memory,  # together with the memory: so there is no swap
        "PidsLimit": _PROCESSES,
    }
    security = {
        "ReadonlyRootfs": True,
        "Tmpfs": {SCRATCH: f"rw,nosuid,nodev,mode=1777,size={max(shape.memory // 4, _LEAST_SCRATCH)}"},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
    }
    log = {
        "Type": "json-file",
        "Config": {"max-size": _LOG_FILE_SIZE, "max-file": str(_LOG_FILES)},
    }
    return {
        "Image": shape.image,
        "User": shape.user,
        "Env": [f"{name}={value}" for name, value in sorted(variables.items())],
        "Labels": dict(shape.labels),
        "StopSignal": "SIGTERM",
        "StopTimeout": GRACE_SECONDS,
        "HostConfig": {
            **limits,
            **security,
            "Init": True,
            "NetworkMode": shape.network,
            "Mounts": [dict(mount) for mount in shape.mounts],
            **({"LogConfig": log} if shape.bound_log else {}),
        },
    }


def _health_check(ready_within: float, api_version: tuple[int, ...]) -> dict[str, Any]:
    """Failures count only after ``ready_within``, or once it was ready.

    Each question starts a process in the container and takes a tenth of a second of a processor. So a server
    that is ready is asked seldom; an engine that cannot tell the two apart asks it every 2 seconds.
    """
    knows_start = api_version >= _START_INTERVAL_SINCE
    check: dict[str, Any] = {
        "Test": ["CMD", *READY],
        "Interval": (15 if knows_start else 2) * _SECOND,
        "Timeout": 6 * _SECOND,
        "Retries": 3,
        "StartPeriod": round(ready_within * _SECOND),
    }
    return {**check, "StartInterval": 1 * _SECOND} if knows_start else check
