"""The published schema of Kubernetes: what an object may hold, and how lists in it are merged."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import referencing

from ..custom_schemas import HTTP_ROUTE
from .answers import invalid
from .resources import Object, Resource

VERSION = kubernetes_validate.latest_version()
"""The newest version of Kubernetes whose schema is known."""

_FOLDER = (
    resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION.lstrip('v')}-local-strict"
)


_ROUTE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://kubernetes.io/api/httproute/gateway/v1",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": "/api/_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
        "spec": HTTP_ROUTE,
        "status": {"type": "object"},
    },
    "required": ["spec"],
    "additionalProperties": False,
    "type": "object",
}
"""Of the Gateway API, which comes not with Kubernetes."""


@functools.cache
def _definitions() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_FOLDER / "_definitions.json").read_text(encoding="utf-8"))
    return document


@functools.cache
def _registry() -> Any:
    return referencing.Resource.from_contents(_definitions()) @ referencing.Registry()


@functools.cache
def of_kind(resource: Resource) -> dict[str, Any]:
    """The schema of one kind of objects."""
    if resource.plural == "httproutes":
        return _ROUTE
    group = resource.group.split(".")[0]
    version = f"{group}-{resource.version}" if group else resource.version
    file = _FOLDER / f"{resource.kind.lower()}-{version}.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


@functools.cache
def _validator(resource: Resource) -> Any:
    schema = of_kind(resource)
    registry = referencing.Resource.from_contents(schema) @ _registry()
    return jsonschema.Draft202012Validator(schema, registry=registry)


def validate(resource: Resource, document: Object) -> None:
    """:raises Refusal: the object is not as the schema says; unknown fields are refused too."""
    errors = sorted(_validator(resource).iter_errors(document), key=lambda error: list(map(str, error.path)))
    if errors:
        name = document.get("metadata", {}).get("name", "")
        raise invalid(resource, name, [(error.json_path[2:], error.message) for error in errors])


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with what it refers to; what stands beside the reference wins."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target = _definitions()["$defs"][reference.rpartition("/")[2]]
    return resolved(target) | {key: value for key, value in schema.items() if key != "$ref"}
