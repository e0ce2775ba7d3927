"""Small schemas of the two kinds that do not come with Kubernetes.

Their definitions are published as CRDs; these hold the fields of them that Airlock may use, with their
limits and rules, read off the Gateway API's v1 (``apis/v1/httproute_types.go``, which its CRD is made from;
standard channel, 1.3 and newer) and KServe's v1beta1. A predictor's pod is validated by Kubernetes' own
schema of a pod.
"""

from __future__ import annotations

from typing import Any


def _only(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list_of(items: Any, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


_NAME = {"type": "string", "minLength": 1, "maxLength": 253}
_GROUP = {"type": "string", "maxLength": 253, "pattern": r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9-]+)*$"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_HOST = {
    "type": "string",
    "minLength": 1,
    "maxLength": 253,
    "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
}
_KIND = {"type": "string", "pattern": r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", "maxLength": 63}

_NAMESPACE = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
_PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}
_BACKEND = {"group": _GROUP, "kind": _KIND, "name": _NAME, "namespace": _NAMESPACE, "port": _PORT}
_PLAIN_PATH = {
    "type": "string",
    "maxLength": 1024,
    "pattern": r"^(?!.*//)(?!.*/\.\.?(/|$))(?!.*%2[fF])/(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*$",
}
_PATH_MATCH = {
    "oneOf": [
        _only(("type", "value"), type={"enum": ["Exact", "PathPrefix"]}, value=_PLAIN_PATH),
        _only(
            ("type", "value"),
            type={"const": "RegularExpression"},
            value={"type": "string", "maxLength": 1024},
        ),
    ]
}
_PREFIX_REPLACED = _only(
    ("type", "replacePrefixMatch"),
    type={"const": "ReplacePrefixMatch"},
    replacePrefixMatch={"type": "string", "maxLength": 1024},
)
_HEADERS = _list_of(
    _only(
        ("name", "value"),
        name={"type": "string", "pattern": r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$", "maxLength": 256},
        value={"type": "string", "minLength": 1, "maxLength": 4096},
    ),
    16,
)
_MIRROR = {
    **_only(
        ("backendRef",),
        backendRef=_only(("name", "port"), **_BACKEND),
        percent=_PERCENT,
        fraction=_only(
            ("numerator",),
            numerator={"type": "integer", "minimum": 0},
            denominator={"type": "integer", "minimum": 1},
        ),
    ),
    "not": {"required": ["percent", "fraction"]},
}


def _filter(kind: str, field: str, content: Any) -> dict[str, Any]:
    """A filter holds the field of its type, and no other."""
    return _only(("type", field), type={"const": kind}, **{field: content})


_FILTERS = _list_of(
    {
        "oneOf": [
            _filter("URLRewrite", "urlRewrite", _only(hostname=_HOST, path=_PREFIX_REPLACED)),
            _filter("RequestHeaderModifier", "requestHeaderModifier", _only(set=_HEADERS, add=_HEADERS)),
            _filter("RequestMirror", "requestMirror", _MIRROR),
        ]
    },
    16,
)
_RULE = _only(
    name=_NAME,
    matches=_list_of(_only(path=_PATH_MATCH), 64),
    filters=_FILTERS,
    backendRefs=_list_of(
        _only(("name", "port"), **_BACKEND, weight={"type": "integer", "minimum": 0, "maximum": 1_000_000}),
        16,
    ),
)
_REWRITES = {"contains": {"properties": {"type": {"const": "URLRewrite"}}, "required": ["type"]}}
_ONE_PREFIX = {
    "minItems": 1,
    "maxItems": 1,
    "items": {"properties": {"path": {"properties": {"type": {"const": "PathPrefix"}}}}},
}

HTTP_ROUTE = _only(
    parentRefs=_list_of(
        _only(
            ("name",),
            group=_GROUP,
            kind=_KIND,
            name=_NAME,
            namespace=_NAMESPACE,
            sectionName=_NAME,
            port=_PORT,
        ),
        32,
    ),
    hostnames=_list_of(_HOST, 16),
    rules=_list_of(
        {
            **_RULE,
            # What replaces a prefix must know which.
            "if": {"required": ["filters"], "properties": {"filters": _REWRITES}},
            "then": {"required": ["matches"], "properties": {"matches": _ONE_PREFIX}},
        },
        16,
    ),
)
"""The ``spec`` of an HTTPRoute."""

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_COUNT = {"type": "integer", "minimum": 0}

PREDICTOR_EXTENSION = _only(
    minReplicas=_COUNT,
    maxReplicas=_COUNT,
    scaleTarget={"type": "integer"},
    scaleMetric={"enum": ["cpu", "memory", "concurrency", "rps"]},
    containerConcurrency=_COUNT,
    timeout=_COUNT,
    canaryTrafficPercent=_PERCENT,
    labels=_TEXTS,
    annotations=_TEXTS,
)
"""What a predictor has beside the fields of a pod."""
