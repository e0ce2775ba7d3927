"""Small schemas of the two kinds that do not come with Kubernetes.

Their definitions are published as CRDs; these hold the fields of them that Airlock may use, read off the
Gateway API's v1 and KServe's v1beta1. A predictor's pod is validated by Kubernetes' own schema of a pod.
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

HTTP_ROUTE = _only(
    parentRefs=_list_of(
        _only(
            ("name",), group=_GROUP, kind=_KIND, name=_NAME, namespace=_NAME, sectionName=_NAME, port=_PORT
        ),
        32,
    ),
    hostnames=_list_of(_HOST, 16),
    rules=_list_of(
        _only(
            name=_NAME,
            matches=_list_of(
                _only(
                    path=_only(
                        type={"enum": ["Exact", "PathPrefix", "RegularExpression"]},
                        value={"type": "string", "maxLength": 1024},
                    )
                ),
                64,
            ),
            backendRefs=_list_of(
                _only(
                    ("name",),
                    group=_GROUP,
                    kind=_KIND,
                    name=_NAME,
                    namespace=_NAME,
                    port=_PORT,
                    weight={"type": "integer", "minimum": 0, "maximum": 1_000_000},
                ),
                16,
            ),
        ),
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
    canaryTrafficPercent={"type": "integer", "minimum": 0, "maximum": 100},
    labels=_TEXTS,
    annotations=_TEXTS,
)
"""What a predictor has beside the fields of a pod."""
