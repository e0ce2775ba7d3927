"""What the options of a Kubernetes runtime are made of."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.mistakes import shown
from airlock.spec.names import Line
from airlock.spec.refusal import refusal
from airlock.spec.size import Size

_OBJECT_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_HOST_NAME = r"^[a-z0-9{}]([a-z0-9.{}-]{0,251}[a-z0-9{}])?$"
_ONE_HOST = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
_LONGEST_HOST = 253
_DEPLOYMENT = "{deployment}"


def _check_object_name(name: str) -> str:
    if re.fullmatch(_OBJECT_NAME, name):
        return name
    raise refusal(
        f"{shown(name)} cannot be a name in Kubernetes",
        "Write up to 63 lower-case letters, digits and '-', with a letter or digit at both ends.",
    )


def _check_host(host: str) -> str:
    if not re.fullmatch(_HOST_NAME, host) or re.search(r"[{}]", host.replace(_DEPLOYMENT, "")):
        raise refusal(f"{shown(host)} is not a host name", "Write it like '{deployment}.models.example.com'.")
    if _DEPLOYMENT not in host:
        raise refusal(
            f"the host {shown(host)} is the same for every deployment",
            "Write {deployment} where the name of the deployment belongs: '{deployment}.models.example.com'.",
        )
    return host


def _check_one_host(host: str) -> str:
    is_address = host.rpartition(".")[2].isdigit()
    if re.fullmatch(_ONE_HOST, host) and len(host) <= _LONGEST_HOST and not is_address:
        return host
    raise refusal(f"{shown(host)} is not a host name", "Write it like 'models.example.com'.")


ObjectName = Annotated[
    str,
    pydantic.AfterValidator(_check_object_name),
    pydantic.WithJsonSchema({"type": "string", "pattern": _OBJECT_NAME}),
]
"""The name of an object in Kubernetes."""

HostTemplate = Annotated[
    str,
    pydantic.AfterValidator(_check_host),
    pydantic.WithJsonSchema({"type": "string", "pattern": r"\{deployment\}"}),
]
"""A host name with ``{deployment}`` where the name of the deployment belongs."""

HostName = Annotated[
    str,
    pydantic.AfterValidator(_check_one_host),
    pydantic.WithJsonSchema({"type": "string", "pattern": _ONE_HOST, "maxLength": _LONGEST_HOST}),
]
"""A host name."""


class Requests(Spec):
    """What the scheduler sets aside for a pod, where that is less than its limits."""

    cpu: float | None = pydantic.Field(default=None, gt=0, le=1024)
    """Processor cores; without it, as much as the limit."""
    memory: Size | None = None
    """Memory; without it, as much as the limit."""


class Toleration(Spec):
    """A taint that pods of this runtime may ignore, as in a pod's ``tolerations``."""

    key: Line | None = None
    """The taint's key; without it, every key."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the taint's value counts."""
    value: Line | None = None
    """The taint's value, for ``Equal``."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; without it, every effect."""

    @pydantic.model_validator(mode="after")
    def _exists_has_no_value(self) -> Toleration:
        if self.operator == "Exists" and self.value is not None:
            raise refusal("a toleration with the operator 'Exists' has a value", "Remove the value.")
        if self.operator == "Equal" and self.key is None:
            raise refusal("a toleration without a key tolerates everything", "Add operator: Exists.")
        return self


class Autoscale(Spec):
    """How many pods an online deployment has, by their load (a HorizontalPodAutoscaler)."""

    most: int = pydantic.Field(ge=1, le=1000)
    """The most pods."""
    least: int = pydantic.Field(default=1, ge=1, le=1000)
    """The fewest pods."""
    cpu_percent: int = pydantic.Field(default=70, ge=1, le=100)
    """The share of the requested processor time that pods are kept at, on average."""

    @pydantic.model_validator(mode="after")
    def _most_is_not_less(self) -> Autoscale:
        if self.most < self.least:
            raise refusal(f"most ({self.most}) is less than least ({self.least})", "Exchange them.")
        return self


class Ingress(Spec):
    """How applications reach online deployments from outside the cluster, through an ingress controller."""

    host: HostTemplate
    """The host name of each deployment, with ``{deployment}`` in it."""
    class_name: ObjectName | None = None
    """The ingress class; without it, the cluster's default."""
    tls: bool = False
    """Whether applications use https."""
    tls_secret: ObjectName | None = None
    """The secret with the certificate, where the controller has none of its own."""
    port: int | None = pydantic.Field(default=None, ge=1, le=65_535)
    """The controller's port, where it is neither 80 nor 443."""
    annotations: dict[Line, str] = {}  # noqa: RUF012  pydantic copies defaults
    """What the controller has to know."""


class Route(Spec):
    """How applications reach online deployments from outside the cluster, through the Gateway API."""

    host: HostTemplate
    """The host name of each deployment, with ``{deployment}`` in it."""
    gateway: ObjectName
    """The gateway's name."""
    gateway_namespace: ObjectName | None = None
    """The gateway's namespace; without it, that of the runtime."""
    listener: Line | None = None
    """The gateway's listener (its ``sectionName``); without it, every one that fits."""
    tls: bool = False
    """Whether applications use https."""
    port: int | None = pydantic.Field(default=None, ge=1, le=65_535)
    """The gateway's port, where it is neither 80 nor 443."""


class StableGateway(Spec):
    """One address for each service and stage, whatever version is behind it, at a gateway of the cluster."""

    name: ObjectName
    """The gateway's name."""
    host: HostName
    """The host name that applications ask: ``<host>/<service>/<STAGE>/…``"""
    namespace: ObjectName | None = None
    """The gateway's namespace; without it, that of the runtime."""
    listener: Line | None = None
    """The gateway's listener (its ``sectionName``); without it, every one that fits."""
    tls: bool = False
    """Whether applications use https."""
    port: int | None = pydantic.Field(default=None, ge=1, le=65_535)
    """The gateway's port, where it is neither 80 nor 443."""


class KServe(Spec):
    """Online deployments are InferenceServices of KServe, which must be installed in the cluster."""

    canary_percent: int | None = pydantic.Field(default=None, ge=0, le=100)
    """The deployments of one service at one stage share an InferenceService, and the newest one gets this
    share of the requests until the one before it is taken away. Without it, each deployment is an
    InferenceService of its own. It needs KServe's serverless mode."""


def _check_pod_template(patch: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(patch.keys() - {"metadata", "spec"}):
        raise refusal(
            f"a pod template has no {shown(unknown[0])}", "Write metadata or spec, as in a Deployment."
        )
    for key, value in patch.items():
        if not isinstance(value, dict):
            raise refusal(f"{key} of the pod template is not a mapping", "Write it as in a Deployment.")
    return patch


PodTemplatePatch = Annotated[
    dict[str, Any],
    pydantic.AfterValidator(_check_pod_template),
    pydantic.WithJsonSchema(
        {
            "type": "object",
            "properties": {"metadata": {"type": "object"}, "spec": {"type": "object"}},
            "additionalProperties": False,
        }
    ),
]
"""What is laid over the pod template of every deployment and job."""
