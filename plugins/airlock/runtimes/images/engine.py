"""What a Docker engine does with images, with errors in words and its progress in the log."""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import docker  # type: ignore[import-untyped]
import docker.errors  # type: ignore[import-untyped]

from airlock.exceptions import AdapterError
from airlock.runtimes.images import context
from airlock.runtimes.images.context import Entry
from airlock.runtimes.images.login import RegistryLogin
from airlock.runtimes.images.names import ImageName
from airlock.runtimes.images.refusals import Refused, refusal, translated

log = logging.getLogger(__name__)

_PURPOSE = "airlock.purpose"
_INSPECTION = "inspection"
_SECONDS_TO_RUN = 120.0
_LONGEST_LINE = 160
_NOT_TOLD = (" --->", "Removing intermediate container", "Successfully built")
_SECONDS_OF_AN_INSPECTION = 10 * _SECONDS_TO_RUN

Image = Mapping[str, Any]
"""What an engine knows of an image."""


class ImageEngine:
    """The images of one Docker engine.

    :param login: for the registry; without one, the engine's client uses that of Docker's own settings.
    """

    def __init__(
        self, client: docker.APIClient, *, registry: str | None, login: RegistryLogin | None
    ) -> None:
        self._client = client
        self._host = registry.partition("/")[0] if registry else None
        self._login = login

    def identity(self) -> str:
        """What tells this engine from any other one.

        :raises Refused: the engine cannot be reached.
        """
        with translated("The engine cannot say who it is"):
            return str(self._client.info()["ID"])

    def find(self, image: str) -> Image | None:
        """What the engine knows of an image, ``None`` if it does not have it.

        :raises Refused: the engine cannot be reached.
        """
        try:
            with translated(f"The engine cannot say whether it has {image}"):
                found: Image = self._client.inspect_image(image)
                return found
        except Refused as error:
            if error.is_missing:
                return None
            raise

    def digest_in_registry(self, image: str) -> str | None:
        """The digest that a name has in its registry, ``None`` if there is no such image.

        :raises Refused: the registry cannot be reached or refuses.
        """
        try:
            with translated(f"The registry cannot say whether it has {image}"):
                found = self._client.inspect_distribution(image, auth_config=self._login_for(image))
                return str(found["Descriptor"]["digest"])
        except Refused as error:
            if error.is_missing:
                return None
            raise

    def pull(self, image: str) -> Image:
        """Get an image from its registry.

        :raises Refused: it cannot be had.
        """
        doing = f"The image {image} cannot be pulled"
        log.info("Pulling %s", image)
        with translated(doing):
            self._follow(
                self._client.pull(image, stream=True, decode=True, auth_config=self._login_for(image)), doing
            )
            found: Image = self._client.inspect_image(image)
            return found

    def push(self, name: ImageName) -> str:
        """Send an image to its registry, and return the digest that it has there.

        :raises Refused: the registry cannot be reached or refuses.
        """
        doing = f"The image {name} cannot be pushed"
        log.info("Pushing %s", name)
        login = self._login_for(str(name))
        with translated(doing):
            messages = self._client.push(*name, stream=True, decode=True, auth_config=login)
            said = self._follow(messages, doing)
        digests = [str(aux["Digest"]) for aux in said if "Digest" in aux]
        if not digests:
            raise AdapterError(f"{doing}: the engine does not say which digest it has.")
        return digests[-1]

    def tag(self, image: str, name: ImageName) -> None:
        """Give an image a name.

        :raises Refused: the engine cannot be reached or refuses.
        """
        with translated(f"The image {image} cannot be named {name}"):
            self._client.tag(image, name.repository, name.tag, force=True)

    def forget(self, image: str) -> None:
        """Remove an image that has no name, unless something uses it."""
        with suppress(Refused), translated(f"The image {image} cannot be removed"):
            self._client.remove_image(image, noprune=False)

    def build(self, name: str, recipe: str, entries: Iterable[Entry]) -> str:
        """Make an image without a network, and return its id.

        :param name: what to call it in the log and in errors; the image gets no name yet.
        :param recipe: the Dockerfile.
        :raises Refused: a step fails.
        """
        doing = f"The image {name} cannot be made"
        log.info("Making the image %s", name)
        files = context.stream([context.text_file("Dockerfile", recipe), *entries])
        with translated(doing):
            said = self._follow(
                self._client.build(
                    fileobj=files,
                    custom_context=True,
                    decode=True,
                    rm=True,
                    forcerm=True,
                    network_mode="none",
                ),
                doing,
            )
        ids = [str(aux["ID"]) for aux in said if "ID" in aux]
        if not ids:
            raise AdapterError(f"{doing}: the engine does not say which image it made.")
        return str((self.find(ids[-1]) or {"Id": ids[-1]})["Id"])

    def run(self, image: str, program: str) -> str:
        """Run a Python program in an image, without network and rights, and return what it prints.

        :raises Refused: it cannot be started or fails.
        """
        doing = f"Python cannot be run in the image {image}"
        with translated(doing):
            self._clear_leftovers()
            container = self._client.create_container(
                image,
                entrypoint=["python"],
                command=["-c", program],
                user="10001:10001",
                labels={_PURPOSE: _INSPECTION},
                host_config=self._client.create_host_config(
                    network_mode="none", cap_drop=["ALL"], read_only=True
                ),
            )["Id"]
            try:
                self._client.start(container)
                code = self._client.wait(container, timeout=_SECONDS_TO_RUN)["StatusCode"]
                output = self._client.logs(container, stdout=True, stderr=False).decode("utf-8", "replace")
                errors = self._client.logs(container, stdout=False, stderr=True).decode("utf-8", "replace")
            finally:
                self._client.remove_container(container, force=True, v=True)
        if code != 0:
            raise refusal(doing, errors or output or f"it ends with the code {code}")
        return str(output)

    def _clear_leftovers(self) -> None:
        """Remove containers of callers that were killed between making and removing them."""
        for container in self._client.containers(all=True, filters={"label": f"{_PURPOSE}={_INSPECTION}"}):
            if time.time() - container["Created"] > _SECONDS_OF_AN_INSPECTION:
                with suppress(docker.errors.APIError):  # another caller was faster
                    self._client.remove_container(container["Id"], force=True, v=True)

    def _login_for(self, image: str) -> dict[str, str] | None:
        is_ours = self._host is not None and image.startswith(f"{self._host}/")
        return self._login.document() if self._login and is_ours else None

    def _follow(self, messages: Iterable[Mapping[str, Any]], doing: str) -> list[Mapping[str, Any]]:
        """Log what the engine says while it works; gives its messages for programs."""
        found: list[Mapping[str, Any]] = []
        for message in messages:
            if "error" in message:
                raise refusal(doing, str(message["error"]))
            if isinstance(message.get("aux"), Mapping):
                found.append(message["aux"])
            _tell(message)
        return found


def labels_of(image: Image) -> dict[str, str]:
    """The labels of an image."""
    return dict((image.get("Config") or {}).get("Labels") or {})


def _tell(message: Mapping[str, Any]) -> None:
    text = str(message.get("stream", "")).rstrip()
    if not text and "status" in message and not message.get("progressDetail"):
        text = ": ".join(part for part in (message.get("id"), message["status"]) if part)
    for line in text.splitlines():
        if line.strip() and not line.startswith(_NOT_TOLD):
            log.info("%s", textwrap.shorten(line, _LONGEST_LINE))
