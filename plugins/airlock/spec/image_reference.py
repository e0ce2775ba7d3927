"""How a container image is named so that it is always the same one."""

from __future__ import annotations

import re
from typing import Annotated

import pydantic

from airlock.spec.mistakes import shown
from airlock.spec.names import LONGEST_LINE
from airlock.spec.refusal import refusal

_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
_NAME = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
IMAGE_PATTERN = (
    rf"^({_HOST}/)?{_NAME}(/{_NAME})*(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})?@sha256:[0-9a-f]{{64}}$"
)


def _check_image(reference: str) -> str:
    if len(reference) <= LONGEST_LINE and re.fullmatch(IMAGE_PATTERN, reference):
        return reference
    if "@" in reference:
        raise refusal(
            f"{shown(reference)} is no image with a digest",
            "Write its name, then '@sha256:' and 64 hexadecimal digits.",
        )
    raise refusal(
        f"{shown(reference)} names an image without its digest, so it may be another one tomorrow",
        "Write name@sha256:…; 'docker inspect --format \"{{.RepoDigests}}\" IMAGE' tells it, once the image "
        "has been pushed.",
    )


PinnedImage = Annotated[
    str,
    pydantic.AfterValidator(_check_image),
    pydantic.WithJsonSchema({"type": "string", "pattern": IMAGE_PATTERN, "maxLength": LONGEST_LINE}),
]
"""A container image with its digest, like ``registry.example/risk@sha256:…``."""
