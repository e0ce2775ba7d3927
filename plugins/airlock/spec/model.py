"""``model.yaml``: what an author says about a model's folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.image_reference import PinnedImage
from airlock.spec.mistakes import shown
from airlock.spec.names import LONGEST_LINE, Line, Mode, Name, Text
from airlock.spec.refusal import refusal
from airlock.spec.schema import Field
from airlock.spec.unique import Unique

_VERSION = r"\s*(~=|==|!=|<=|>=|<|>)\s*[0-9]{1,5}(\.[0-9]{1,5}){0,2}(\.\*)?\s*"
_VERSIONS = rf"^{_VERSION}(,{_VERSION})*$"


_INSIDE = r"^(?!/)(?!(.*/)?\.\.(/|$))[^\\]*$"


def _check_python(versions: str) -> str:
    if re.fullmatch(_VERSIONS, versions) is None:
        raise refusal(f"{shown(versions)} is not a range of Python versions", "Write it like '>=3.11,<3.14'.")
    return versions


def _check_inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
        mend = "Write a path below the folder of model.yaml, with '/'."
        raise refusal(f"{shown(path)} leaves the model's folder", mend)
    return path


InnerPath = Annotated[
    Line,
    pydantic.AfterValidator(_check_inside),
    pydantic.WithJsonSchema(
        {"type": "string", "pattern": _INSIDE, "minLength": 1, "maxLength": LONGEST_LINE}
    ),
]
"""A file inside the model's folder."""

PythonVersions = Annotated[
    str,
    pydantic.AfterValidator(_check_python),
    pydantic.WithJsonSchema({"type": "string", "pattern": _VERSIONS}),
]
"""A range of Python versions, like ``>=3.11,<3.14``."""

Fields = Annotated[list[Field], Unique("field", by="name", mend="Rename one of them.")]


class ModelDescription(Spec):
    """What an author says about a model; the rest is found in its folder when a snapshot is made."""

    model: Name
    """The model's name: its snapshots are ``<name>@1``, ``<name>@2``, …"""
    owner: Line
    """Who answers for the model: a person or a team."""
    description: Text = ""
    """What the model does."""
    format: Literal["python", "mlflow", "onnx"] | None = None
    """How the model is stored; without it, guessed from the files."""
    source: InnerPath = "model.py"
    """For ``python``: the module with ``init``, ``score``, ``metrics`` and ``train``."""
    services: Annotated[list[Name], Unique("service")] = pydantic.Field(default_factory=list)
    """The services its snapshots are for, beside those named when a snapshot is made."""
    modes: Annotated[list[Mode], pydantic.Field(min_length=1), Unique("mode")] = ["online", "batch"]  # noqa: RUF012  pydantic copies defaults
    """The modes it can run in."""
    python: PythonVersions = ">=3.11,<3.14"
    """The Python versions it runs on."""
    requirements: InnerPath = "requirements.txt"
    """The packages it needs, in the format of pip."""
    image: PinnedImage | None = None
    """A container image of the model's own, with its digest. Kinds that run containers put the model into it
    instead of making an image from ``requirements``; it brings Python and all packages."""
    input: Fields = pydantic.Field(default_factory=list)
    """The fields of a record; for MLflow taken from the model's signature when absent."""
    output: Fields = pydantic.Field(default_factory=list)
    """The fields of an answer; for MLflow taken from the model's signature when absent."""
    golden: InnerPath | None = None
    """Golden records: a file of JSON lines, ``{"input": {…}, "output": {…}}``. Without it, ``golden.jsonl``
    if the folder has one."""
