"""What images are called, so that they are found again."""

from __future__ import annotations

import re
from typing import NamedTuple

SNAPSHOT_LABEL = "airlock.snapshot"
ENVIRONMENT_LABEL = "airlock.environment"
PYTHON_LABEL = "airlock.python"
RECIPE_LABEL = "airlock.recipe"
"""What an image was made of and how, as a digest."""

PACKAGES_LABEL = "airlock.packages"
"""What an image has beside the locked packages: those of a stream, or nothing."""

OF_STREAMS = "stream"

_KEY_LENGTH = 32


class ImageName(NamedTuple):
    """A name without a digest."""

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


def snapshot_name(model: str, digest: str, registry: str | None, *, stream: bool = False) -> ImageName:
    """The name of a snapshot's image: the whole digest is in it.

    :param stream: of the image with the packages of a stream.
    """
    # Docker allows no mixture of separators: a-_b.
    plain = re.sub(r"_{3,}|[-_]*(?:-_|_-)[-_]*", "-", model)
    return ImageName(
        f"{_place(registry) or 'airlock'}/{plain}", f"{_hex(digest)}{'-stream' if stream else ''}"
    )


def environment_name(key: str) -> ImageName:
    """The name of an environment's image, which stays on its engine."""
    return ImageName("airlock-environment", _hex(key)[:_KEY_LENGTH])


def checks_name(key: str, registry: str | None) -> ImageName:
    """The name of the image that measures models."""
    place = _place(registry)
    return ImageName(f"{place}/airlock-checks" if place else "airlock-checks", _hex(key)[:_KEY_LENGTH])


def is_digested(reference: str) -> bool:
    """Whether an image is named by its repository and digest, so that a registry can have it."""
    return "@sha256:" in reference


def _place(registry: str | None) -> str:
    return registry.strip().rstrip("/") if registry else ""


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
