"""What a job sees of Airflow's files: the folders that it names, and no others.

A folder in a declared volume is seen through that volume. Every other one is the folder of the same path on
the engine's machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Job
from airlock.runtimes.containers.job_files import job_files, needed_volumes
from airlock.spec.runtime_options import Volume

_READ_AND_ENTER = 0o5
_ALL = 0o7


def mounts_of_job(job: Job, volumes: list[Volume], user: tuple[int, int]) -> list[dict[str, Any]]:
    """The mounts of a job. Its output folders are made where they are missing.

    :param user: number and group that the container runs as.
    :raises AdapterError: a folder cannot be made, or that user may not read or write it.
    """
    files = job_files(job)
    needed = needed_volumes(files, volumes, job)
    for folder in files.writes:
        _prepare_output(Path(folder), user, make=not _is_hidden(folder, needed))
    for folder in files.reads:
        _require_readable(Path(folder), user)
    outside = files.outside(volumes)
    binds = [
        {"Type": "bind", "Source": str(folder), "Target": str(folder), "ReadOnly": folder in outside.reads}
        for folder in outside.folders
    ]
    return [*mounts_of_volumes(needed), *binds]


def mounts_of_volumes(volumes: Iterable[Volume]) -> list[dict[str, Any]]:
    """The mounts of volumes."""
    return [
        {
            "Type": "volume",
            "Source": volume.volume,
            "Target": volume.folder,
            "ReadOnly": volume.read_only,
        }
        for volume in volumes
    ]


def _is_hidden(folder: PurePosixPath, volumes: Iterable[Volume]) -> bool:
    """Whether a folder lies in a volume that Airflow itself does not see."""
    return any(
        folder.is_relative_to(volume.folder) and not Path(volume.folder).is_dir() for volume in volumes
    )


def _prepare_output(folder: Path, user: tuple[int, int], *, make: bool) -> None:
    """Make a folder that the container's user can write to.

    Where Airflow is root the container is not. Then the folder's group becomes the container's, and may
    write: its owner stays, and nobody else gets a right.
    """
    if not make:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _may(folder, _ALL, user):
            return
        if os.geteuid() == 0:
            os.chown(folder, -1, user[1])
            folder.chmod(folder.stat().st_mode & 0o7777 | _ALL << 3)
            return
    except OSError as error:
        raise AdapterError(f"The output folder {folder} cannot be made: {error.strerror}.") from error
    raise AdapterError(
        f"The container's user {user[0]}:{user[1]} may not write to the output folder {folder}.",
        mend="Give it the right, or name another user in the runtime's options.",
    )


def _require_readable(folder: Path, user: tuple[int, int]) -> None:
    try:
        if not folder.is_dir() or _may(folder, _READ_AND_ENTER, user):
            return  # one that Airflow does not see may be there for the engine
    except PermissionError:
        return
    raise AdapterError(
        f"The container's user {user[0]}:{user[1]} may not read the folder {folder}.",
        mend="Give it the right, or name another user in the runtime's options.",
    )


def _may(folder: Path, wanted: int, user: tuple[int, int]) -> bool:
    uid, gid = user
    about = folder.stat()
    shift = 6 if about.st_uid == uid else 3 if about.st_gid == gid else 0
    return uid == 0 or about.st_mode >> shift & wanted == wanted
