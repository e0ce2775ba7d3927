"""Files that tasks touch themselves: below the project folder, anywhere on this machine, or at a URL.

Whoever writes a service names a file as ``data/in/*.parquet`` (from the project folder on), as
``/srv/data/in/*.parquet``, or as ``s3://bucket/in/*.parquet``; jobs are told absolute paths and URLs alone.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airlock.exceptions import AirlockError

_OURS = "file://"
_WITH_BUCKETS = ("s3://", "gs://", "gcs://", "abfs://", "abfss://")

# A task that meets a store which is away fails within seconds, in words, and tries again by itself.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"retries": {"max_attempts": 2}, "connect_timeout": 10}}
}


class StorageError(AirlockError):
    """A place for files cannot be reached or used; trying again may help."""


def locate(project: Path, place: str) -> str:
    """The absolute path or the URL of what a service calls ``place``.

    :param project: the folder that relative paths begin at.
    """
    if place.startswith(_OURS):
        return os.path.abspath(place.removeprefix(_OURS))
    if is_url(place):
        return place
    return os.path.abspath(project / place)


def is_url(place: str) -> bool:
    """Whether a place is reached by fsspec, and not as a path of this machine."""
    return "://" in place


def join(folder: str, name: str) -> str:
    """A file in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def name_of(place: str) -> str:
    """The last part of a path or URL."""
    return place.rstrip("/").rpartition("/")[2]


def find(pattern: str) -> list[str]:
    """The files that match an absolute pattern or a pattern of URLs, in order; ``**`` is any folders.

    :raises StorageError: the place cannot be read.
    """
    with _reached(pattern):
        if is_url(pattern):
            system, path = _open(pattern)
            found = system.glob(path, detail=True)
            bucket = path.partition("/")[0]
            if not found and pattern.startswith(_WITH_BUCKETS) and not system.exists(bucket):
                raise StorageError(f"{pattern} cannot be read: there is no bucket {bucket} for us.")
            return sorted(
                str(system.unstrip_protocol(name)) for name, each in found.items() if each["type"] == "file"
            )
        return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))


def make_folder(folder: str, *, open_to_all: bool = False) -> None:
    """Make a folder where there is none; an object store has none to be made.

    :param open_to_all: let every user write into it, as containers may run as another one than Airflow; a
        folder that is there already keeps the rights that somebody gave it.
    :raises StorageError: it cannot be made.
    """
    if is_url(folder):
        return
    with _reached(folder):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        mask = os.umask(0) if open_to_all else None
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
        finally:
            if mask is not None:
                os.umask(mask)


def remove_file(place: str) -> None:
    """Remove a file; one that is gone is well.

    :raises StorageError: it cannot be removed.
    """
    with _reached(place):
        if not is_url(place):
            Path(place).unlink(missing_ok=True)
            return
        system, path = _open(place)
        if system.exists(path):
            system.rm_file(path)


def remove_folder(folder: str) -> None:
    """Remove a folder with everything in it; one that is gone is well.

    :raises StorageError: it cannot be removed.
    """
    with _reached(folder):
        if is_url(folder):
            system, path = _open(folder)
            if system.find(path):
                system.rm(path, recursive=True)
        elif os.path.isdir(folder):
            shutil.rmtree(folder)


def _open(url: str) -> tuple[Any, str]:
    import fsspec  # type: ignore[import-untyped]

    # Listings kept in memory would hide what other processes have put since.
    options = _OPTIONS.get(url.partition("://")[0], {})
    system, path = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    return system, path


@contextmanager
def _reached(place: str) -> Iterator[None]:
    """Say in words what is wrong with a place; each of fsspec's drivers has exceptions of its own."""
    try:
        yield
    except StorageError:
        raise
    except ImportError as error:
        kind = place.partition("://")[0]
        raise StorageError(
            f"{place} cannot be reached: {error}.", mend=f"Install the driver for {kind}:// with Airlock."
        ) from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        mend = None
        if is_url(place):
            mend = "Look at the address and at the credentials in the environment (AWS_…, GOOGLE_…)."
        raise StorageError(f"{place} cannot be used: {reason.rstrip('.')}.", mend=mend) from error
