"""The runtime: a place where models run, as it is declared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.names import Line, Mode, Name, StageName
from airlock.spec.runtime_options import OPTIONS, DockerOptions, KubernetesOptions, LocalOptions
from airlock.spec.unique import Unique


def _check_tag(tag: str) -> str:
    if tag == "*":
        return tag
    return _name.validate_python(tag)


_name = pydantic.TypeAdapter(Name)

ServiceTag = Annotated[
    str,
    pydantic.AfterValidator(_check_tag),
    pydantic.WithJsonSchema({"anyOf": [{"const": "*"}, _name.json_schema()]}),
]
"""The name of a service, or ``*`` for any."""


class RuntimeSpec(Spec):
    """Where models run: its kind, what it takes, and how much at the same time."""

    runtime: Name
    """The runtime's name."""
    kind: Literal["local", "docker", "kubernetes"]
    """What it is: ``local`` runs processes on the machine of the Airflow worker, ``docker`` containers on a
    Docker engine, ``kubernetes`` pods in a cluster."""
    stages: Annotated[list[StageName], pydantic.Field(min_length=1), Unique("stage")]
    """The stages it serves."""
    services: Annotated[list[ServiceTag], pydantic.Field(min_length=1), Unique("service")] = ["*"]  # noqa: RUF012  pydantic copies defaults
    """The services it serves; ``*`` is any. A runtime that names a service is preferred for it."""
    modes: Annotated[list[Mode], pydantic.Field(min_length=1), Unique("mode")] = ["batch", "online"]  # noqa: RUF012
    """The modes it can run."""
    capacity: int = pydantic.Field(default=1, ge=1, le=100_000)
    """How many deployments it holds at the same time."""
    connection: Line | None = None
    """The Airflow connection with its address and credentials, for kinds that need one."""
    options: pydantic.SerializeAsAny[LocalOptions | DockerOptions | KubernetesOptions] = pydantic.Field(
        default=None, validate_default=True
    )
    """What only this kind understands."""

    @pydantic.field_validator("options", mode="plain")
    @classmethod
    def _options_of_the_kind(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        model = OPTIONS.get(info.data.get("kind", ""))
        if model is None or isinstance(value, model):
            return value  # an unknown kind is a mistake of its own
        return model.model_validate({} if value is None else value)
