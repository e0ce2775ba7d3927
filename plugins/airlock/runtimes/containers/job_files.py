"""Which files a job names: what a container must see of Airflow's file system, and nothing else.

A path is the same in a container as in Airflow. Files at URLs are not in here: the host fetches and puts them
itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Job
from airlock.runtimes.containers.layout import SCRATCH
from airlock.spec.runtime_options import Volume

_ONE_FILE = (".parquet", ".pq", ".csv", ".csv.gz", ".json", ".jsonl")
"""Endings of files; the host goes by them too."""

_PROGRAMS = ("/bin", "/lib", "/local/bin", "/local/lib")
_NEVER_EXACTLY = {"/", "/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/usr/local", "/var", SCRATCH}
_NEVER_BENEATH = ("/airlock", "/dev", "/proc", "/sys", *(f"/usr{own}" for own in _PROGRAMS))
"""A container has something of its own there."""


@dataclass(frozen=True)
class JobFiles:
    """The folders a job needs, without those that lie in others of them.

    :param reads: it only reads there; each is there already, or the job will say that it is not.
    :param writes: it also writes there; they need not be there yet.
    """

    reads: tuple[PurePosixPath, ...]
    writes: tuple[PurePosixPath, ...]

    @property
    def folders(self) -> tuple[PurePosixPath, ...]:
        """All of them."""
        return (*self.writes, *self.reads)

    def outside(self, volumes: Iterable[Volume]) -> JobFiles:
        """Without what lies in a volume."""
        known = list(volumes)
        return JobFiles(
            tuple(folder for folder in self.reads if volume_of(folder, known) is None),
            tuple(folder for folder in self.writes if volume_of(folder, known) is None),
        )


def job_files(job: Job) -> JobFiles:
    """The folders of all paths that a job names.

    A file needs its folder, because files are replaced by renaming; a pattern needs the folder that its fixed
    part names.

    :raises AdapterError: a path is not absolute, or names a folder that a container has for itself.
    """
    writes = {_checked(folder, job) for folder in _written(job.arguments)}
    reads = {_checked(folder, job) for folder in _read(job.arguments)}
    outermost = _outermost(writes)
    return JobFiles(
        tuple(folder for folder in _outermost(reads) if not _lies_in(folder, outermost)), tuple(outermost)
    )


def volume_of(folder: PurePosixPath, volumes: Iterable[Volume]) -> Volume | None:
    """The volume that a folder lies in; the innermost where one is mounted in another."""
    holding = [volume for volume in volumes if folder.is_relative_to(volume.folder)]
    return max(holding, key=lambda volume: len(volume.folder), default=None)


def needed_volumes(files: JobFiles, volumes: Sequence[Volume], job: Job) -> list[Volume]:
    """The volumes that a job's folders lie in.

    :raises AdapterError: the job would write to one that may only be read.
    """
    for folder in files.writes:
        volume = volume_of(folder, volumes)
        if volume is not None and volume.read_only:
            raise AdapterError(
                f"The job {job.name} writes to {folder}, which lies in the volume {volume.volume}; jobs may "
                "only read that one.",
                mend="Write elsewhere, or take read_only from the volume in the runtime's options.",
            )
    found = (volume_of(folder, volumes) for folder in files.folders)
    needed = {volume.folder: volume for volume in found if volume is not None}
    return [needed[folder] for folder in sorted(needed)]


def is_url(text: str) -> bool:
    """Whether this is an address of an object store and not a path."""
    return "://" in text


def _written(arguments: Mapping[str, Any]) -> Iterator[str]:
    for key in ("output", "rejects"):
        path = arguments.get(key)
        if isinstance(path, str) and not is_url(path):
            yield path if key == "output" and not _is_one_file(path) else str(PurePosixPath(path).parent)


def _read(arguments: Mapping[str, Any]) -> Iterator[str]:
    for path in _paths_read(arguments):
        if not is_url(path):
            yield _folder_of(path)


def _paths_read(arguments: Mapping[str, Any]) -> Iterator[str]:
    inputs = arguments.get("input")
    # In checks, 'input' is the schema: a list of objects.
    yield from _texts([inputs] if isinstance(inputs, str) else inputs)
    for key, name in (("dataset", "path"), ("candidate", "rejects"), ("champion", "rejects")):
        part = arguments.get(key)
        if isinstance(part, Mapping):
            yield from _texts([part.get(name)])
    results = arguments.get("results")
    for result in results.values() if isinstance(results, Mapping) else ():
        if isinstance(result, Mapping):
            files = result.get("files")
            named = [*(files if isinstance(files, list) else []), result.get("rejects")]
            yield from _texts(file.get("path") for file in named if isinstance(file, Mapping))


def _texts(values: Any) -> Iterator[str]:
    for value in values or ():
        if isinstance(value, str) and value:
            yield value


def _folder_of(path: str) -> str:
    """The folder that must be seen, to find what a path or a pattern names."""
    if Path(path).is_dir():
        return path
    if not has_magic(path) or Path(path).exists():
        return str(PurePosixPath(path).parent) if _is_one_file(path) else path
    fixed: list[str] = []
    for part in PurePosixPath(path).parts:
        if has_magic(part):
            break
        fixed.append(part)
    return str(PurePosixPath(*fixed)) if fixed else path


def _is_one_file(path: str) -> bool:
    return path.endswith(_ONE_FILE)


def _checked(folder: str, job: Job) -> PurePosixPath:
    path = PurePosixPath(folder)
    if not path.is_absolute() or ".." in path.parts:
        raise AdapterError(
            f"The job {job.name} names {folder!r}, which is not an absolute path.",
            mend="Write it from the root, like /srv/data/records.parquet, or as a URL.",
        )
    if str(path) in _NEVER_EXACTLY or any(path.is_relative_to(own) for own in _NEVER_BENEATH):
        raise AdapterError(
            f"The job {job.name} needs the folder {folder}, but a container has its own things there.",
            mend="Put the files into a folder of their own, like /srv/airlock, or name a URL.",
        )
    return path


def _outermost(folders: set[PurePosixPath]) -> list[PurePosixPath]:
    found: list[PurePosixPath] = []
    for folder in sorted(folders):
        if not _lies_in(folder, found):
            found.append(folder)
    return found


def _lies_in(folder: PurePosixPath, folders: Iterable[PurePosixPath]) -> bool:
    return any(folder.is_relative_to(outer) for outer in folders)
