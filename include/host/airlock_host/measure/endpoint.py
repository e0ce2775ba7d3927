"""A client of the host's REST endpoint, for checks that look at single answers."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from airlock_host.exceptions import HostError
from airlock_host.measure.records import Record

RECORDS_A_REQUEST = 500
"""More go in several requests: endpoints limit the size of one."""

_SECONDS = 60.0


class EndpointError(HostError):
    """The endpoint gave no HTTP answer at all."""


class Endpoint:
    """The candidate's endpoint; use it in a ``with`` block."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # Proxies of the environment are for the internet; runtimes are inside.
        self._client = httpx.Client(timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str) -> httpx.Response:
        """Ask for a page.

        :raises EndpointError: there was no answer.
        """
        return self._request("GET", path)

    def score(self, records: Record | Sequence[Record]) -> httpx.Response:
        """Have one record, or several at once, scored.

        :raises EndpointError: there was no answer.
        """
        return self._request("POST", "/score", json=records)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, f"{self.url}{path}", **options)
        except httpx.HTTPError as error:
            raise EndpointError(f"{method} {self.url}{path}: {type(error).__name__} {error}") from None


def content(response: httpx.Response) -> Any:
    """The answer's JSON, or ``None`` where it is none."""
    try:
        return response.json()
    except ValueError:
        return None


def in_words(response: httpx.Response) -> str:
    """What the endpoint answered: its own words for an error, or the beginning of the body."""
    answer = content(response)
    error = answer.get("error") if isinstance(answer, dict) else None
    return f"the endpoint answered {response.status_code}: {error or response.text[:200]}"
