"""What an endpoint tells its clients of its records, compared with what the snapshot promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock_host.schema import Field, Schema

_TYPES = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "string": "string",
    "timestamp": "string",
}

_INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}


def differences(document: Any, *, inputs: Schema, outputs: Schema) -> list[str]:
    """Where an OpenAPI document's records are not the snapshot's, a sentence each.

    :param document: the JSON of ``/openapi.json``, or ``None`` where there was none.
    """
    try:
        schemas = document["components"]["schemas"]
        pairs = [("input", schemas["Record"], inputs), ("output", schemas["Answer"], outputs)]
    except (KeyError, TypeError):
        return ["/openapi.json describes no records"]
    return [text for side, published, schema in pairs for text in _record(side, published, schema)]


def _record(side: str, published: Mapping[str, Any], schema: Schema) -> list[str]:
    properties = published.get("properties", {})
    required = set(published.get("required", ()))
    found = [
        f"{side} {name!r} is published but not in the snapshot"
        for name in properties
        if name not in schema.names
    ]
    for field in schema:
        if field.name not in properties:
            found.append(f"{side} {field.name!r} is not published")
            continue
        expected = _property(field)
        actual = {key: properties[field.name].get(key) for key in expected}
        if field.type == "integer":
            # Hosts publish how large an integer may be at all, where the snapshot sets no limit.
            actual |= {
                end: None for end, limit in _INT64.items() if expected[end] is None and actual[end] == limit
            }
        if actual != expected or (field.name in required) == field.nullable:
            found.append(f"{side} {field.name!r} is published otherwise than as {field.expected}")
    return found


def _property(field: Field) -> dict[str, Any]:
    type_ = _TYPES[field.type]
    values = None if field.values is None else [*field.values, *([None] if field.nullable else [])]
    return {
        "type": [type_, "null"] if field.nullable else type_,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "enum": values,
    }
