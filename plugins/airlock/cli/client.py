"""Speaking with Airlock's REST API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import httpx

from airlock.cli.login import Login, current_login
from airlock.cli.output import ServerRefused, Unreachable
from airlock.exceptions import AirlockError

_SECONDS_TO_CONNECT = 5.0
_TIMEOUT = httpx.Timeout(60.0, connect=_SECONDS_TO_CONNECT)
_PIECE = 1024 * 1024

PATIENCE_SECONDS = 60.0
"""How long a busy server is asked again. SQLite refuses writers that come together."""


def connect() -> Api:
    """The API, with the login of the environment or the stored one."""
    return Api(current_login())


def request_token(url: str, username: str, password: str) -> str:
    """Ask Airflow for a token.

    :raises AirlockError: name or password are wrong.
    :raises Unreachable: no Airflow answers there.
    """
    try:
        answer = httpx.post(
            f"{url}/auth/token", json={"username": username, "password": password}, timeout=_TIMEOUT
        )
    except httpx.HTTPError as error:
        raise _unreachable(url, error) from None
    if answer.status_code in (400, 401, 403):
        raise AirlockError(f"Airflow at {url} does not know this name and password.")
    if not answer.is_success:
        raise Unreachable(
            f"{url} does not answer like Airflow (HTTP {answer.status_code}).",
            mend="Is it the right address?",
        )
    return str(answer.json()["access_token"])


class Api:
    """Requests to Airlock's API; answers are parsed JSON.

    :raises ServerRefused: by every method: the server says no, and why.
    :raises Unreachable: by every method: the server does not answer.
    """

    def __init__(self, login: Login) -> None:
        self.url = login.url
        self._client = httpx.Client(
            base_url=f"{login.url}/airlock/api/v1/",
            headers={"Authorization": f"Bearer {login.token}"},
            timeout=_TIMEOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Read; parameters that are ``None`` are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._request("GET", path, params=given).json()

    def post(self, path: str, body: Mapping[str, Any] | None = None, **parameters: Any) -> Any:
        """Write."""
        return self.post_for_status(path, body, **parameters)[1]

    def post_and_wait(self, path: str, body: Mapping[str, Any], *, seconds: float) -> Any:
        """Write what takes the server minutes."""
        timeout = httpx.Timeout(seconds, connect=_SECONDS_TO_CONNECT)
        return self._request("POST", path, json=dict(body), timeout=timeout).json()

    def post_for_status(
        self, path: str, body: Mapping[str, Any] | None = None, **parameters: Any
    ) -> tuple[int, Any]:
        """Write, and tell the status too (201: made, 200: was there)."""
        answer = self._request("POST", path, json=dict(body or {}), params=parameters)
        return answer.status_code, answer.json()

    def has_blob(self, sha256: str, *, service: str | None) -> bool:
        """Whether the server's store has these bytes; the right to see ``service`` is enough."""
        try:
            self._request("HEAD", f"blobs/{sha256}", params={"dag_id": service} if service else {})
        except ServerRefused as refused:
            if refused.status_code == 404:
                return False
            raise
        return True

    def put_blob(self, sha256: str, stream: IO[bytes], *, service: str | None) -> None:
        """Send bytes; the right to promote ``service`` is enough."""
        self._request(
            "PUT",
            f"blobs/{sha256}",
            stream=stream,
            params={"dag_id": service} if service else {},
            headers={"Content-Type": "application/octet-stream"},
            timeout=httpx.Timeout(600.0, connect=_SECONDS_TO_CONNECT),
        )

    def _request(
        self, method: str, path: str, *, stream: IO[bytes] | None = None, **arguments: Any
    ) -> httpx.Response:
        """Send a request; while the server's databases are busy, send it again: all may be repeated."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if stream is not None:
                stream.seek(0)
                arguments["content"] = iter(lambda: stream.read(_PIECE), b"")
            try:
                answer = self._client.request(method, path, **arguments)
            except httpx.HTTPError as error:
                raise _unreachable(self.url, error) from None
            if answer.is_success:
                return answer
            if answer.status_code != 503 or time.monotonic() >= deadline:
                raise _refusal(self.url, answer)
            time.sleep(0.5)


def segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="@:+")


def _unreachable(url: str, error: httpx.HTTPError) -> Unreachable:
    if isinstance(error, httpx.ReadTimeout):
        return Unreachable(
            f"Airflow at {url} has not answered in time, and may be at work yet.",
            mend="Give the same command again: it goes on where that is, or tells how it stands.",
        )
    return Unreachable(
        f"Airflow at {url} does not answer: {str(error) or type(error).__name__}.",
        mend="Is its API server running, and AIRLOCK_URL right?",
    )


def _refusal(url: str, answer: httpx.Response) -> AirlockError:
    try:
        details = answer.json() if answer.content else {}
    except ValueError:
        details = {}
    if not isinstance(details, dict) or "message" not in details:
        if answer.status_code >= 500:
            return Unreachable(
                f"Airflow at {url} failed (HTTP {answer.status_code}).", mend="Its log says why."
            )
        if answer.status_code == 404 and answer.request.method != "HEAD":
            return Unreachable(f"Airflow at {url} has no Airlock.", mend="Is the plugin installed there?")
        details = {"error": "refused", "message": f"The server answered HTTP {answer.status_code}."}
    if answer.status_code == 401:
        return AirlockError(
            f"The login at {url} is not valid, or not any more.", mend=f"Run: airlock login {url}"
        )
    if answer.status_code >= 502:
        return Unreachable(details["message"], mend=details.get("mend"))
    return ServerRefused(
        details["message"],
        mend=details.get("mend"),
        status_code=answer.status_code,
        kind=str(details.get("error")),
        details=details,
    )
