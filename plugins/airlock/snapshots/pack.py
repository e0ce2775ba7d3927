"""Making a snapshot: a model folder is read, checked, and described by a manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Protocol

from airlock.exceptions import IntegrityError, SnapshotError
from airlock.snapshots.environment import LOCK_PATH, lock
from airlock.snapshots.manifest import Environment, FileEntry, Manifest
from airlock.snapshots.model_folder import IGNORE_FILE, Stamp, find_files
from airlock.snapshots.plan import read_plan
from airlock.snapshots.unsafe_formats import is_unsafe_format
from airlock.snapshots.verify import HASHING_THREADS

Progress = Callable[[FileEntry], None]
"""Called once for each file, when it is done."""


@dataclass(frozen=True)
class Packed:
    """A manifest, and the folder whose files it describes."""

    manifest: Manifest
    folder: Path


def pack(
    folder: Path,
    *,
    services: Sequence[str],
    host_requirements: Sequence[str],
    progress: Progress | None = None,
) -> Packed:
    """Read a model folder and describe it by a manifest; nothing of the model is run.

    The same files and services give the same digest on every machine. The only thing that is written is
    ``requirements.lock``, where it is missing or stale.

    :param services: what the snapshot is for, beside the services that ``model.yaml`` names.
    :param host_requirements: what the host needs in the model's environment, in the format of pip.
    :param progress: called for each file that has been read.
    :raises SnapshotError: the folder cannot become a snapshot, or changes while it is read.
    :raises SpecError: ``model.yaml`` is not as it must be.
    """
    begun = find_files(folder)
    plan = read_plan(folder, begun, services)
    lock(folder, host_requirements, requirements=plan.requirements, python=plan.python)
    locked = find_files(folder)
    _refuse_changes(folder, begun, locked, but_for={LOCK_PATH})
    if LOCK_PATH not in locked:
        raise SnapshotError(f"{folder / LOCK_PATH} is ignored.", mend=f"Take it out of {IGNORE_FILE}.")
    files = tuple(_described(folder, locked, progress))
    _refuse_changes(folder, locked, find_files(folder))
    lock_digest = next(entry.sha256 for entry in files if entry.path == LOCK_PATH)
    manifest = Manifest(
        model=plan.description.model,
        description=plan.description.description,
        owner=plan.description.owner,
        format=plan.format,
        entry_points=plan.entry_points,
        python=plan.python,
        files=files,
        environment=Environment(lock_path=LOCK_PATH, lock_digest=f"sha256:{lock_digest}"),
        input_schema=plan.input_schema,
        output_schema=plan.output_schema,
        golden=plan.golden,
        modes=tuple(sorted(plan.description.modes)),
        services=plan.services,
        image=plan.description.image,
    )
    return Packed(manifest, folder)


class BlobStore(Protocol):
    """Where published files go: an ``ArtifactStore``, or a server that has one."""

    def has(self, sha256: str) -> bool:
        """Say whether these bytes are there already."""

    def put(self, stream: IO[bytes], sha256: str) -> None:
        """Keep the bytes of a stream, which must have this digest."""


def publish(packed: Packed, store: BlobStore, *, progress: Progress | None = None) -> None:
    """Keep the files of a packed folder in a store, and last the manifest itself, under its digest.

    May be repeated after it was interrupted: what the store has already is not sent again.

    :raises SnapshotError: a file has changed since the folder was packed, or the store cannot be used.
    """
    for entry in packed.manifest.files:
        if not store.has(entry.sha256):
            _keep(packed.folder / entry.path, entry.sha256, store)
        if progress is not None:
            progress(entry)
    store.put(BytesIO(packed.manifest.canonical_json()), packed.manifest.digest.removeprefix("sha256:"))


def _keep(path: Path, sha256: str, store: BlobStore) -> None:
    try:
        with path.open("rb") as stream:
            store.put(stream, sha256)
    except (IntegrityError, FileNotFoundError) as error:
        raise SnapshotError(
            f"{path} has changed since the folder was read.",
            mend="Make the snapshot again, when nothing writes to the folder.",
        ) from error
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}.") from error


def _described(folder: Path, paths: Collection[str], progress: Progress | None) -> Iterator[FileEntry]:
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        for entry in pool.map(lambda path: _describe(folder, path), paths):
            if progress is not None:
                progress(entry)
            yield entry


def _describe(folder: Path, path: str) -> FileEntry:
    try:
        with (folder / path).open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
        return FileEntry(path=path, size=size, sha256=sha256, unsafe_format=is_unsafe_format(folder / path))
    except OSError as error:
        raise SnapshotError(f"{folder / path} cannot be read: {error.strerror}.") from error


def _refuse_changes(
    folder: Path,
    before: Mapping[str, Stamp],
    after: Mapping[str, Stamp],
    but_for: Collection[str] = (),
) -> None:
    paths = (before.keys() | after.keys()) - set(but_for)
    changed = sorted(path for path in paths if before.get(path) != after.get(path))
    if changed:
        raise SnapshotError(
            f"{folder} changed while it was read: {', '.join(changed[:20])}.",
            mend="Make the snapshot again, when nothing writes to the folder.",
        )
