"""What a Docker engine and an image registry say when they refuse, in words that help."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker.errors  # type: ignore[import-untyped]
import requests.exceptions
import urllib3.exceptions

from airlock.exceptions import AdapterError, SnapshotError

_UNREACHABLE = "Start the engine, or correct its address in the runtime's options or connection."


@dataclass(frozen=True)
class _Reason:
    pattern: str
    message: str
    mend: str
    of_engine: bool = False


_REASONS = (
    _Reason(
        r"no space left on device",
        "the disk of the Docker engine is full",
        "Free some of it with 'docker system prune', or give the engine a larger one (its data-root).",
        of_engine=True,
    ),
    _Reason(
        r"exec format error|does not match the (detected host|specified) platform"
        r"|no match for platform|no matching manifest",
        "the image is for another kind of processor than the engine's",
        "Name an image that exists for this engine's processor.",
        of_engine=True,
    ),
    _Reason(
        r"unauthorized|no basic auth credentials|authentication required|incorrect username or password"
        r"|authorization failed",
        "the registry does not know the login, or was given none",
        "Put a login that may pull and push into the runtime's Airflow connection.",
    ),
    _Reason(
        r"access to the resource is denied|forbidden",
        "the registry does not allow it",
        "Give the login of the runtime's Airflow connection the right to pull and push.",
    ),
    _Reason(
        r"server gave HTTP response to HTTPS client",
        "the registry has no TLS",
        "Give it a certificate, or name it under 'insecure-registries' in the engine's daemon.json.",
    ),
    _Reason(
        r"x509: ",
        "the engine does not trust the registry's certificate",
        "Put its authority into /etc/docker/certs.d/<registry>/ca.crt on the engine's machine.",
    ),
    _Reason(
        r"no such host|connection refused|i/o timeout|network is unreachable|context deadline exceeded"
        r"|tls handshake timeout|client\.timeout exceeded|temporary failure in name resolution",
        "the engine cannot reach the registry",
        "Correct the registry's name in the runtime's options, or see to the registry.",
    ),
)


class Refused(AdapterError):
    """The engine refused; what it said follows the reason.

    :param said: the engine's own words.
    :param status: of its answer, where it has one.
    :param of_engine: it is about the engine itself, not about an image or a registry.
    """

    def __init__(
        self, message: str, *, said: str, status: int = 0, mend: str | None = None, of_engine: bool = False
    ) -> None:
        super().__init__(message, mend=mend)
        self.said = said
        self.status = status
        self.of_engine = of_engine

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for is not there."""
        if self.status == 404:
            return True
        return re.search(r"manifest unknown|no such image|name unknown", self.said, re.IGNORECASE) is not None


def refusal(doing: str, said: str, *, status: int = 0) -> Refused:
    """An error of the engine's words.

    :param doing: what was not done, as the beginning of a sentence: ``The image x cannot be pulled``.
    """
    said = " ".join(said.split()).rstrip(".")
    for reason in _REASONS:
        if re.search(reason.pattern, said, re.IGNORECASE):
            return Refused(
                f"{doing}: {reason.message} ({said}).",
                said=said,
                status=status,
                mend=reason.mend,
                of_engine=reason.of_engine,
            )
    return Refused(f"{doing}: {said}.", said=said, status=status)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what Docker's client raises into an error with a reason.

    :raises Refused: the engine cannot be reached or refuses.
    """
    try:
        yield
    except docker.errors.APIError as error:
        said = str(error.explanation or error)
        raise refusal(doing, said, status=error.status_code or 0) from error
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    ) as error:
        said = " ".join(str(error).split())
        if "timed out" in said.lower():
            message = f"{doing}: the Docker engine does not answer in time ({said})."
            raise Refused(message, said=said, of_engine=True) from error
        message = f"{doing}: the Docker engine cannot be reached ({said})."
        raise Refused(message, said=said, mend=_UNREACHABLE, of_engine=True) from error


@contextmanager
def room_here(doing: str) -> Iterator[None]:
    """Say so where this machine's disk is full, which is not the engine's.

    :raises AdapterError: it is full.
    """
    try:
        yield
    except (OSError, SnapshotError) as error:
        cause = error.__cause__ if isinstance(error, SnapshotError) else error  # the store was only read
        if not isinstance(cause, OSError) or cause.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise AdapterError(
            f"{doing}: the disk of this machine's temporary files is full.",
            mend="Free some of it, or name a larger folder with TMPDIR.",
        ) from error
