"""The artifact store: bytes kept under their SHA-256, on any file system that fsspec reaches.

A blob is first written under ``incoming/`` and renamed to its final name only when all of its bytes have
been compared with the digest, so a blob that is there is whole. Blobs are never changed, and are compared
again whenever they are copied out: the store is not trusted to have kept them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airlock.exceptions import AirlockError, IntegrityError, SnapshotError
from airlock.snapshots.manifest import MANIFEST_PATH, FileEntry, Manifest
from airlock.snapshots.paths import require_utf8_names
from airlock.snapshots.verify import HASHING_THREADS, Problem, verify_folder

_CHUNK = 1024 * 1024
_OBJECT_STORES = {"s3", "gs", "abfs", "oss", "oci"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ArtifactStore:
    """Blobs named by their SHA-256, and snapshots put together from them.

    Safe to use from many processes and threads at once.

    :param url: where the blobs are: a folder, ``file:///…``, ``s3://bucket/prefix`` or any other address
        that fsspec understands (its driver comes with the matching extra of this package).
    :raises SnapshotError: the address cannot be used.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            # Listings kept in memory would hide what other processes have put since.
            self._files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise SnapshotError(
                f"The artifact store {url} cannot be used: {error}.",
                mend="Name a folder, or install the extra for that kind of storage.",
            ) from error
        self._root = root.rstrip("/")
        self._on_disk = isinstance(self._files, LocalFileSystem)
        protocols = self._files.protocol
        self._is_object_store = not _OBJECT_STORES.isdisjoint(
            [protocols] if isinstance(protocols, str) else protocols
        )

    def has(self, sha256: str) -> bool:
        """Say whether a blob is in the store.

        :param sha256: 64 hexadecimal digits.
        """
        location = self._location(sha256)
        with self._reached():
            return bool(self._files.exists(location))

    def put(self, stream: IO[bytes], sha256: str) -> None:
        """Keep the bytes of a stream under their digest; one that is there already is left alone.

        What reading the stream raises is passed on as it is. Whatever is raised, nothing is kept.

        :raises IntegrityError: the bytes do not have that digest.
        :raises SnapshotError: the store cannot be written.
        """
        if self.has(sha256):
            return
        location = self._location(sha256)
        incoming = f"{self._root}/incoming/{uuid4().hex}"
        try:
            found = self._write(stream, incoming)
            if found != sha256:
                raise IntegrityError(f"The bytes have the SHA-256 {found}, but {sha256} was announced.")
            with self._reached():
                self._make_folder(_parent(location))
                self._rename(incoming, location)
        finally:
            with self._reached():
                if self._files.exists(incoming):
                    self._files.rm_file(incoming)

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading. The bytes are as they are stored: compare them before trusting them.

        :raises IntegrityError: the store has no such blob.
        """
        location = self._location(sha256)
        with self._reached():
            try:
                return cast("BinaryIO", self._files.open(location, "rb"))
            except FileNotFoundError as error:
                raise IntegrityError(
                    f"The artifact store {self.url} has no blob {sha256}.",
                    mend="Restore it from a backup, or make the snapshot again from the same folder.",
                ) from error

    def materialise(self, manifest: Manifest, target: Path) -> None:
        """Write the files of a snapshot into a folder, with the manifest in ``.airlock/manifest.json``.

        The folder appears whole or not at all; every byte is compared with the manifest while it is
        copied. Files are read-only. A folder that is there already is compared byte by byte and left as
        it is, so several processes may ask for the same folder at once.

        :param target: an absent or empty folder, or one that holds this snapshot already.
        :raises IntegrityError: a blob is missing or damaged, or the folder holds something else; the
            message names each file.
        """
        require_utf8_names()
        # A manifest may have been built without validation, and its paths decide where is written.
        manifest = Manifest.read(manifest.document())
        target = target.absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(f".{target.name}.partial")) as partial:
            if not _is_free(target):
                self._refuse_if_different(manifest, target)
                return
            (partial / MANIFEST_PATH).parent.mkdir()
            _write_read_only(partial / MANIFEST_PATH, manifest.canonical_json())
            with ThreadPoolExecutor(HASHING_THREADS) as pool:
                list(pool.map(lambda entry: self._copy_out(entry, partial / entry.path), manifest.files))
            partial.rename(target)

    def verify(self, manifest: Manifest) -> list[Problem]:
        """Compare every blob of a snapshot with the manifest.

        :returns: every problem, by the file's path; empty if the store holds the whole snapshot.
        """
        with ThreadPoolExecutor(HASHING_THREADS) as pool:
            found = pool.map(self._problem_with, manifest.files)
            return sorted(problem for problem in found if problem is not None)

    def _write(self, stream: IO[bytes], location: str) -> str:
        """Write a stream and return the SHA-256 of its bytes."""
        hasher = hashlib.sha256()
        with self._reached():
            self._make_folder(_parent(location))
            target = self._files.open(location, "wb")
        try:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
                with self._reached():
                    target.write(chunk)
            with self._reached():
                self._flush_to_disk(target)
        finally:
            with self._reached():
                target.close()
        return hasher.hexdigest()

    def _problem_with(self, entry: FileEntry) -> Problem | None:
        try:
            with self._reached(), self.open(entry.sha256) as stream:
                found = _copy(stream, None)
        except IntegrityError:
            return Problem(entry.path, "missing", f"the store has no blob {entry.sha256}")
        except SnapshotError as error:
            return Problem(entry.path, "unreadable", error.message)
        if found != entry.sha256:
            return Problem(entry.path, "changed", f"blob {entry.sha256} now has the SHA-256 {found}")
        return None

    def _copy_out(self, entry: FileEntry, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._reached(), self.open(entry.sha256) as stream, path.open("xb") as copy:
            found = _copy(stream, copy)
            os.fchmod(copy.fileno(), 0o444)
        if found != entry.sha256:
            raise IntegrityError(
                f"{entry.path}: the artifact store {self.url} holds other bytes than were recorded "
                f"(SHA-256 {found} instead of {entry.sha256}).",
                mend="Remove the damaged blob and make the snapshot again from the same folder.",
            )

    def _refuse_if_different(self, manifest: Manifest, target: Path) -> None:
        problems = verify_folder(manifest, target)
        if problems:
            listed = "; ".join(str(problem) for problem in problems[:20])
            more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
            raise IntegrityError(
                f"{target} does not hold the snapshot {manifest.digest}: {listed}{more}.",
                mend="Remove the folder if nothing runs from it, and it is written afresh.",
            )

    def _location(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise IntegrityError(f"{sha256!r} is not a SHA-256: 64 hexadecimal digits are.")
        return f"{self._root}/sha256/{sha256[:2]}/{sha256[2:]}"

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except AirlockError:
            raise
        except Exception as error:  # each of fsspec's drivers raises its own
            raise SnapshotError(
                f"The artifact store {self.url} cannot be used: {error}.",
                mend="Check its address, its credentials, its permissions and its free space.",
            ) from error

    def _make_folder(self, location: str) -> None:
        # Object stores have no folders, and would make a bucket of a mistyped name.
        if not self._is_object_store:
            self._files.makedirs(location, exist_ok=True)

    def _flush_to_disk(self, file: Any) -> None:
        if self._on_disk:
            file.flush()
            os.fsync(file.fileno())

    def _rename(self, incoming: str, location: str) -> None:
        if not self._on_disk:
            # A server-side copy and removal for object stores, where a copy appears whole or not at all.
            self._files.mv(incoming, location)
            return
        os.chmod(incoming, 0o444)
        os.replace(incoming, location)
        # Without this, a power failure could lose the new name after a registry has relied on it.
        folder = os.open(_parent(location), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _parent(location: str) -> str:
    return location.rpartition("/")[0]


def _copy(source: IO[bytes], target: IO[bytes] | None) -> str:
    """Copy a stream in pieces (or only read it) and return the SHA-256 of what was read."""
    hasher = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        hasher.update(chunk)
        if target is not None:
            target.write(chunk)
    return hasher.hexdigest()


def _write_read_only(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o444)


def _is_free(target: Path) -> bool:
    """Whether a folder can be renamed to this name: nothing is there, or an empty folder."""
    if target.is_symlink() or target.is_file():
        return False
    return not target.exists() or not any(target.iterdir())


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Give one process at a time an empty folder under this name, to be filled and renamed.

    The lock is on the folder itself, so it travels with the rename and dies with its process; what a
    killed process left in the folder is removed by the next one.
    """
    while True:
        folder.mkdir(exist_ok=True)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_named(handle, folder):
                continue
            _empty(folder)
            try:
                yield folder
            finally:
                if _is_named(handle, folder):
                    shutil.rmtree(folder)
            return
        finally:
            os.close(handle)


def _empty(folder: Path) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry)
        else:
            os.unlink(entry)


def _is_named(handle: int, folder: Path) -> bool:
    """Whether an open folder still has this name, or has been renamed or removed by its last holder."""
    try:
        now = folder.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), now)
