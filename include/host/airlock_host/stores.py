"""Object stores: ``s3://bucket/key`` and what else pyarrow has a file system for.

Credentials and addresses come from the variables that each store's own tools take, never from a URL.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as fs
import pyarrow.parquet as pq

from airlock_host.exceptions import InputUnusable, StoreUnusable

# What a transfer holds in memory.
_PIECE_BYTES = 4 * 2**20

# With it, a store that cannot be reached is given up after some ten seconds.
_SECONDS_TO_CONNECT = 2.0
_ATTEMPTS = 4

_SCHEMES = {"s3": "S3", "gs": "Gcs", "gcs": "Gcs", "abfs": "Azure", "abfss": "Azure"}

_CREDENTIALS = {
    "S3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)",
    "Gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "Azure": "AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET",
}
_FIRST_CREDENTIAL = {
    "S3": "AWS_ACCESS_KEY_ID",
    "Gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "Azure": "AZURE_CLIENT_ID",
}

_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|bucket does not exist|ContainerNotFound", re.I)
_DENIED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|INVALID_CLIENT_TOKEN|SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN|ExpiredToken"
    r"|UNRECOGNIZED_CLIENT|MISSING_AUTHENTICATION|Forbidden|PERMISSION_DENIED|UNAUTHENTICATED"
    r"|HTTP status 40[13]|AuthorizationFailure|AuthenticationFailed|[Cc]redential",
)
_UNREACHABLE = re.compile(
    r"NETWORK_CONNECTION|REQUEST_TIMEOUT|curlCode|UNAVAILABLE|[Cc]ould not connect|resolve"
)


@dataclass(frozen=True)
class Entry:
    """Something in a store.

    :param key: with its bucket, parted by slashes.
    :param size: in bytes; ``None`` for a folder.
    """

    key: str
    size: int | None


class Bucket:
    """One bucket of a store; keys begin with its name, as pyarrow wants them."""

    def __init__(self, root: str, environment: Mapping[str, str] = os.environ) -> None:
        """:param root: its URL: scheme and bucket.

        :raises InputUnusable: there is no such kind of store.
        :raises StoreUnusable: the settings in the environment cannot be used.
        """
        self.root = root
        scheme = root.partition("://")[0]
        self._kind = _SCHEMES[scheme]
        self._environment = environment
        with self._told(root, "be opened"):
            if self._kind == "S3":
                name = root.partition("://")[2]
                self._files, self._name = _s3(name, environment), name
            else:
                self._files, name = fs.FileSystem.from_uri(root)
                self._name = name.rstrip("/")

    def check(self) -> None:
        """See that it can be reached and is there.

        :raises InputUnusable: the bucket does not exist.
        :raises StoreUnusable: the store cannot be reached, or refuses.
        """
        with self._told(self.root, "be used"):
            self._must_exist()

    def look(self, key: str) -> Entry | None:
        """What is at a key: a file, or a folder, or nothing.

        :raises InputUnusable: the bucket does not exist.
        :raises StoreUnusable: the store cannot be reached, or refuses.
        """
        with self._told(self._url(key), "be read"):
            found = self._files.get_file_info(self._path(key))
            if found.type == fs.FileType.NotFound:
                self._must_exist()
                return None
        return Entry(key, found.size if found.is_file else None)

    def list(self, key: str, *, deep: bool) -> list[Entry]:
        """The files under a folder, at any depth or in it alone."""
        with self._told(f"{self._url(key)}/", "be listed"):
            found = self._files.get_file_info(
                fs.FileSelector(self._path(key), recursive=deep, allow_not_found=True)
            )
            if not found:
                self._must_exist()
        begin = len(self._name) + 1
        return [Entry(entry.path[begin:], entry.size) for entry in found if entry.is_file]

    def fetch(self, key: str, path: Path) -> None:
        """Copy a file from the store."""
        with (
            self._told(self._url(key), "be read"),
            self._files.open_input_stream(self._path(key), compression=None) as source,
            path.open("wb") as target,
        ):
            while piece := source.read(_PIECE_BYTES):
                target.write(piece)

    def put(self, path: Path, key: str) -> None:
        """Copy a file into the store, whole or not at all."""
        with self._told(self._url(key), "be written"), path.open("rb") as source:
            target = self._files.open_output_stream(self._path(key), compression=None)
            try:
                while piece := source.read(_PIECE_BYTES):
                    target.write(piece)
                target.close()
            except BaseException:
                # Closed, what came so far would be the file; and pyarrow closes what nobody refers to.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(target))
                raise

    def remove(self, key: str) -> None:
        """Remove a file; one that is gone already is well."""
        with self._told(self._url(key), "be removed"):
            try:
                self._files.delete_file(self._path(key))
            except FileNotFoundError:
                return

    def parquet_metadata(self, key: str) -> Mapping[bytes, bytes]:
        """What is stamped into a Parquet file; nothing where it is not one."""
        with (
            self._told(self._url(key), "be read"),
            self._files.open_input_file(self._path(key)) as file,
        ):
            try:
                return pq.read_schema(file).metadata or {}
            except pa.ArrowInvalid:
                return {}

    def _must_exist(self) -> None:
        if self._files.get_file_info(self._name).type == fs.FileType.NotFound:
            raise _no_bucket(self.root, self._settings())

    def _path(self, key: str) -> str:
        return f"{self._name}/{key}" if key else self._name

    def _url(self, key: str) -> str:
        return f"{self.root}/{key}"

    def _settings(self) -> str:
        endpoint = _endpoint(self._environment) if self._kind == "S3" else None
        return f" at {endpoint}" if endpoint else ""

    @contextmanager
    def _told(self, url: str, what: str) -> Iterator[None]:
        """Turn a store's errors into words about a URL."""
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            text = " ".join(str(error).split())
            if isinstance(error, OSError) and error.errno is not None and not _comes_from_store(text):
                raise  # of the disk
            if _NO_BUCKET.search(text):
                raise _no_bucket(self.root, self._settings()) from None
            said = f"{url} cannot {what}"
            if _UNREACHABLE.search(text):
                raise StoreUnusable(
                    f"{said}: its store{self._settings()} cannot be reached: {text}. {self._mend_address()}"
                ) from None
            if _DENIED.search(text):
                raise StoreUnusable(f"{said}: it was denied: {text}. {self._mend_denied()}") from None
            raise StoreUnusable(f"{said}: {text}") from None

    def _mend_address(self) -> str:
        if self._kind == "S3":
            return (
                "Set AWS_ENDPOINT_URL for the runtime to an address that its jobs can reach, or leave it out "
                "for Amazon's own."
            )
        return "See that the runtime's jobs can reach it."

    def _mend_denied(self) -> str:
        missing = _FIRST_CREDENTIAL[self._kind]
        absent = "" if self._environment.get(missing) else f"{missing} is not set. "
        return (
            f"{absent}Set {_CREDENTIALS[self._kind]} for the runtime, in its connection, or let its jobs run "
            "as someone who may."
        )


def bucket_of(url: str) -> tuple[str, str]:
    """The root of a URL's bucket, and the key in it, which is taken as it is written.

    :raises InputUnusable: it is not a URL of a store that the host knows.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in _SCHEMES)
        raise InputUnusable(f"{url} is no URL that the host can read: it knows {known} and file://")
    if ":" in bucket or ("@" in bucket and _SCHEMES[scheme] != "Azure"):
        raise InputUnusable(
            f"the {scheme} URL that ends in {key!r} has more than a bucket before its key: credentials and "
            "addresses belong into the runtime's variables"
        )
    if not bucket:
        raise InputUnusable(f"{url} names no bucket")
    names = key.removesuffix("/").split("/") if key else []
    if any(name in ("", ".", "..") for name in names):
        raise InputUnusable(f"{url} has an empty part, or one of dots, between its slashes")
    return f"{scheme}://{bucket}", key


def _s3(bucket: str, environment: Mapping[str, str]) -> Any:
    endpoint = _endpoint(environment)
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    options: dict[str, Any] = {}
    if endpoint is not None:
        address = urlsplit(endpoint)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise StoreUnusable(f"AWS_ENDPOINT_URL is {endpoint!r} and no address such as http://store:9000")
        options = {"scheme": address.scheme, "endpoint_override": address.netloc + address.path.rstrip("/")}
        region = region or "us-east-1"
    elif region is None:
        region = fs.resolve_s3_region(bucket)
    if authority := environment.get("AWS_CA_BUNDLE"):
        options["tls_ca_file_path"] = authority
    return fs.S3FileSystem(
        **options,
        region=region,
        connect_timeout=_SECONDS_TO_CONNECT,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        # In the background, all of a file would wait in memory where the disk is quicker than the network.
        background_writes=False,
    )


def _endpoint(environment: Mapping[str, str]) -> str | None:
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None


def _no_bucket(root: str, settings: str) -> InputUnusable:
    return InputUnusable(f"there is no bucket {root}{settings}. Create it, or correct the URL.")


def _comes_from_store(text: str) -> bool:
    return "AWS Error" in text or "Path does not exist" in text
