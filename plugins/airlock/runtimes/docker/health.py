"""Whether a Docker engine can take work, and what it can and cannot do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Health
from airlock.runtimes.docker.engine import Engine
from airlock.runtimes.docker.network import problem_with_network
from airlock.spec import GiB, MiB
from airlock.spec.runtime_options import DockerOptions

LEAST_API = (1, 41)
"""The interface of Docker 20.10."""

LEAST_FREE_BYTES = GiB

_LIMITS = {"MemoryLimit": "memory", "CpuCfsQuota": "CPU", "PidsLimit": "the number of processes"}


def check(engine: Engine, options: DockerOptions) -> Health:
    """Look at all that a deployment needs."""
    try:
        info, version = engine.info(), engine.version()
        problem = _problem(engine, options, info)
        base = options.images.base
        where = "is there" if engine.has_image(base) else "is pulled when it is first needed"
        engine.secrets()
    except AdapterError as error:
        return Health(False, str(error))
    if problem is not None:
        return Health(False, problem)
    unlimited = [what for key, what in _LIMITS.items() if info.get(key) is False]
    limits = f" It cannot limit {' and '.join(unlimited)}." if unlimited else ""
    free = _free_bytes(options, info)
    space = "" if free is None else f", {free / GiB:.0f} GiB free"
    said = f"Docker {version.get('Version', '?')}{space}; the base image {base} {where}.{limits}"
    return Health(True, f"{said}{_hint(options)}")


def _hint(options: DockerOptions) -> str:
    if options.publish is None or options.engine.startswith("unix://"):
        return ""
    if not options.publish.address.startswith("127."):
        return ""
    return (
        f" Servers are published on {options.publish.address} of its own machine: name an address under "
        "publish.address that applications can reach."
    )


def _problem(engine: Engine, options: DockerOptions, info: dict[str, Any]) -> str | None:
    if engine.api_version < LEAST_API:
        return (
            f"The Docker engine at {engine.url} is too old: it speaks version "
            f"{'.'.join(map(str, engine.api_version))} of the interface, and {'.'.join(map(str, LEAST_API))} "
            "(Docker 20.10) is needed."
        )
    if info.get("OSType", "linux") != "linux":
        return f"The Docker engine at {engine.url} runs containers of {info['OSType']}; Linux is needed."
    free = _free_bytes(options, info)
    if free is not None and free < LEAST_FREE_BYTES:
        return (
            f"The disk of the Docker engine at {engine.url} has only {free // MiB} MiB of space left. "
            "'docker system df' says what takes it."
        )
    return problem_with_network(engine, options)


def _free_bytes(options: DockerOptions, info: dict[str, Any]) -> int | None:
    """Space on the engine's disk, where Airflow sees it."""
    root = Path(str(info.get("DockerRootDir", "")))
    if not options.engine.startswith("unix://") or not root.is_absolute():
        return None
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None
