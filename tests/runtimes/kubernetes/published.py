"""The published schemas of Kubernetes, each read once: they are large."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema
from kubernetes_validate.utils import schema_contents  # type: ignore[import-untyped]
from referencing import Registry, Resource

VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
"""The versions that Airlock's manifests are for."""


def mistakes(item: Mapping[str, Any], version: str) -> list[str]:
    """What a version of Kubernetes does not know or take in an object; nothing unknown is let through."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", str(item["apiVersion"]))
    validator = _validator(version, f"{str(item['kind']).lower()}-{group}")
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(item)]


@lru_cache(maxsize=256)
def _validator(version: str, kind: str) -> Any:
    schema = schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/{kind}.json", version)
    registry = Resource.from_contents(schema) @ _definitions(version)
    return jsonschema.validators.Draft202012Validator(schema, registry=registry)


@lru_cache(maxsize=len(VERSIONS))
def _definitions(version: str) -> Any:
    definitions = schema_contents(
        f"kubernetes-json-schema/v{version}.0-local-strict/_definitions.json", version
    )
    empty: Registry[Any] = Registry()
    return Resource.from_contents(definitions) @ empty
