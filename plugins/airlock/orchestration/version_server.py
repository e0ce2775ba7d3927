"""Asks the server of a deployed version about itself."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from airlock.exceptions import CheckError

if TYPE_CHECKING:
    import ssl

    import httpx

    from airlock.registry.records import DeploymentRecord

_SECONDS_TO_ANSWER = 5.0


@cache
def _trusted() -> ssl.SSLContext:
    """Read once: it takes longer than most answers."""
    import httpx

    return httpx.create_ssl_context()


def ask_server(deployment: DeploymentRecord, path: str, **parameters: int) -> httpx.Response:
    """What a deployment answers at a path, where it may be that it has no such path.

    :raises CheckError: it does not answer, or refuses.
    """
    import httpx  # here, because reading a DAG file must not pay for it

    endpoint = next((each for each in deployment.endpoints if each["kind"] == "rest"), None)
    if endpoint is None:
        raise CheckError(f"{deployment.id} has no REST endpoint, so nothing can be compared.")
    said = ""
    # A worker may be outside of the runtime's network, or inside.
    for url in dict.fromkeys([endpoint["url"], endpoint.get("inside") or endpoint["url"]]):
        try:
            answer = httpx.get(
                f"{url}{path}", params=parameters, timeout=_SECONDS_TO_ANSWER, verify=_trusted()
            )
            return answer if answer.status_code == httpx.codes.NOT_FOUND else answer.raise_for_status()
        except httpx.HTTPError as error:
            said = f"{url}: {error}"
    raise CheckError(f"{deployment.id} ({deployment.snapshot_name}) cannot be asked for {path}: {said}.")
