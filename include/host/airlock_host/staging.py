"""Files of object stores as files on disk: what a job reads is fetched first, what it writes is put last.

The folder of copies mirrors the stores: ``s3://b/k.csv`` is ``<folder>/s3/b/k.csv``. So a file has the same
place among the others as its URL has, a job's result is the same to the byte, and whatever is said of a copy
can be said of its URL.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from fnmatch import fnmatchcase
from glob import escape, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airlock_host.ending import taken_along
from airlock_host.exceptions import HostError, InputUnusable

if TYPE_CHECKING:
    from airlock_host.stores import Bucket, Entry

log = logging.getLogger(__name__)

_OF_THIS_MACHINE = "file:///"

# Several transfers hide each other's waiting; each holds a few megabytes.
_AT_ONCE = 8
_SECONDS_BETWEEN_MESSAGES = 10.0


def is_url(place: object) -> bool:
    """Whether a place that a job names is a URL and not a path."""
    return isinstance(place, str) and "://" in place


class Mirror:
    """Copies of what a job names by URL; a place that is a path is left as it is."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._buckets: dict[str, Bucket] = {}
        self._wanted: dict[Path, tuple[Bucket, Entry]] = {}

    def reads(self, place: str, *, must_exist: bool = False) -> str:
        """The path where :meth:`fetch` will bring a file, the files of a folder, or those matching a pattern.

        What is not there is not there on disk either.

        :param must_exist: of a file that a job could not do without.
        :raises InputUnusable: the bucket does not exist, or the file where it must.
        :raises StoreUnusable: the store cannot be reached, or refuses.
        """
        if not is_url(place) or place.startswith(_OF_THIS_MACHINE):
            return place.removeprefix("file://")
        bucket, key = self._bucket(place)
        found = bucket.look(key)
        local = self._copy(bucket, key)
        if found is not None and found.size is not None:
            self._wanted[local] = (bucket, found)
        elif found is not None:
            local.mkdir(parents=True, exist_ok=True)
            self._want(bucket, bucket.list(key.rstrip("/"), deep=False))
        elif has_magic(key):
            self._want(bucket, _matching(bucket, key))
            return f"{escape(str(self._root))}/{local.relative_to(self._root)}"
        elif must_exist:
            raise InputUnusable(f"{place} does not exist", field="input")
        return str(local)

    def writes(self, place: str) -> str:
        """The path where the job writes what :meth:`put` will bring to a URL.

        :raises InputUnusable: the bucket does not exist.
        :raises StoreUnusable: the store cannot be reached, or refuses.
        """
        if not is_url(place) or place.startswith(_OF_THIS_MACHINE):
            return place.removeprefix("file://")
        bucket, key = self._bucket(place)
        if not key:
            raise InputUnusable(f"{place} is a whole bucket; write into a folder of it", field="output")
        bucket.check()
        return str(self._copy(bucket, key))

    def fetch(self) -> None:
        """Bring all that is read.

        :raises HostError: there is no room for it.
        :raises StoreUnusable: the store failed.
        """
        if not self._wanted:
            return
        size = sum(entry.size or 0 for _, entry in self._wanted.values())
        free = shutil.disk_usage(self._root).free
        if size > free:
            raise HostError(
                f"what the job reads is {_amount(size)}, and its TMPDIR {self._root.parent} has room for "
                f"{_amount(free)}. Give the runtime's jobs more, or divide the input."
            )

        def bring(path: Path, bucket: Bucket, entry: Entry) -> int:
            path.parent.mkdir(parents=True, exist_ok=True)
            bucket.fetch(entry.key, path)
            return path.stat().st_size

        _transfer("fetched", bring, [(path, *source) for path, source in self._wanted.items()])

    def holds(self, path: Path) -> bool:
        """Whether what is written to a path belongs to a URL."""
        return self._folder is not None and path.is_relative_to(self._folder)

    def put(self, paths: Sequence[Path]) -> None:
        """Bring files that the job wrote to their URLs, each whole or not at all.

        :raises StoreUnusable: the store failed; some of the files may be there.
        """

        def bring(path: Path) -> int:
            bucket, key = self._bucket(self.named(str(path)))
            bucket.put(path, key)
            return path.stat().st_size

        _transfer("put", bring, [(path,) for path in paths])

    def remove(self, path: Path) -> None:
        """Remove what is at a path's URL; nothing there is well."""
        bucket, key = self._bucket(self.named(str(path)))
        bucket.remove(key)

    def remove_others(self, folder: Path, keep: Iterable[str], *, name: str, stamp: bytes) -> None:
        """Remove Parquet files that an earlier job left at a folder's URL and this one did not write.

        :param keep: the names of those that stay.
        :param name: what names an earlier job may have given, as a pattern.
        :param stamp: a key of the metadata of its files: others are left alone.
        """
        bucket, key = self._bucket(self.named(str(folder)))
        kept = set(keep)
        for entry in bucket.list(key, deep=False):
            found = Path(entry.key).name
            if found not in kept and fnmatchcase(found, name) and stamp in bucket.parquet_metadata(entry.key):
                bucket.remove(entry.key)

    def named(self, text: str) -> str:
        """A text in which URLs stand for the paths of their copies."""
        if self._folder is None:
            return text
        for folder in {str(self._folder), escape(str(self._folder))}:
            text = re.sub(rf"{re.escape(folder)}/([a-z0-9]+)/", r"\1://", text)
        return text

    def named_in(self, document: Any) -> Any:
        """The same for all texts of a JSON document."""
        match document:
            case str():
                return self.named(document)
            case list():
                return [self.named_in(entry) for entry in document]
            case dict():
                return {key: self.named_in(entry) for key, entry in document.items()}
            case _:
                return document

    def clear(self) -> None:
        """Remove all copies."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _root(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="airlock-")).absolute()
        return self._folder

    def _bucket(self, url: str) -> tuple[Bucket, str]:
        # A job without URLs need not load it.
        from airlock_host.stores import Bucket, bucket_of

        root, key = bucket_of(url)
        if root not in self._buckets:
            self._buckets[root] = Bucket(root)
        return self._buckets[root], key

    def _copy(self, bucket: Bucket, key: str) -> Path:
        return self._root / bucket.root.replace("://", "/") / key

    def _want(self, bucket: Bucket, entries: Iterable[Entry]) -> None:
        from airlock_host.batch.inputs import is_data_name

        for entry in entries:
            path = self._copy(bucket, entry.key)
            if is_data_name(path.name):
                self._wanted[path] = (bucket, entry)


@contextmanager
def mirror() -> Iterator[Mirror]:
    """A mirror for one job, removed after it; errors of the job name URLs."""
    copies = Mirror()
    with taken_along(copies.clear):
        try:
            yield copies
        except HostError as error:
            error.args = (copies.named(str(error)),)
            raise


def _matching(bucket: Bucket, pattern: str) -> list[Entry]:
    """What a pattern matches, and perhaps more: the job itself looks closely."""
    names = pattern.split("/")
    fixed = next(number for number, name in enumerate(names) if has_magic(name))
    deep = "**" in names or fixed < len(names) - 1
    found = bucket.list("/".join(names[:fixed]), deep=deep)
    return [entry for entry in found if _matches(entry.key.split("/"), names)]


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns or not names:
        return not names and all(pattern == "**" for pattern in patterns)
    if patterns[0] == "**":
        return _matches(names, patterns[1:]) or _matches(names[1:], patterns)
    return fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])


def _transfer(done: str, bring: Callable[..., int], files: Sequence[tuple[Any, ...]]) -> None:
    """Bring files, several at once, and tell how it goes.

    :param bring: brings one and says how many bytes it had.
    """
    begun = told = time.monotonic()
    size = 0
    with ThreadPoolExecutor(min(_AT_ONCE, len(files) or 1)) as threads:
        brought = [threads.submit(bring, *file) for file in files]
        try:
            for count, one in enumerate(as_completed(brought), 1):
                size += one.result()
                if time.monotonic() - told > _SECONDS_BETWEEN_MESSAGES and count < len(files):
                    told = time.monotonic()
                    log.info("%s %s of %s files, %s", done, count, len(files), _amount(size))
        finally:
            threads.shutdown(cancel_futures=True)
    log.info("%s %s files, %s in %.1f s", done, len(files), _amount(size), time.monotonic() - begun)


def _amount(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
