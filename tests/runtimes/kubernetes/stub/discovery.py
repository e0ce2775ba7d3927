"""What the API server says about itself: its version, its groups and its kinds."""

from __future__ import annotations

from typing import Any

from .resources import RESOURCES
from .schema import VERSION

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def answer(path: str) -> Any:
    """The document at a path, or ``None``."""
    if path == "/version":
        major, minor = VERSION.lstrip("v").split(".")[:2]
        return {
            "major": major,
            "minor": minor,
            "gitVersion": f"v{major}.{minor}.0",
            "gitCommit": "0" * 40,
            "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z",
            "goVersion": "go1.26",
            "compiler": "gc",
            "platform": "linux/amd64",
        }
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    groups = sorted({(group, version) for group, version, _ in RESOURCES if group})
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in groups]}
    steps = path.strip("/").split("/")
    group, version = (steps[1], steps[2]) if len(steps) == 3 else ("", steps[-1])
    found = [one for one in RESOURCES.values() if (one.group, one.version) == (group, version)]
    if not found or steps[0] != ("apis" if group else "api"):
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": [
            {
                "name": name,
                "singularName": one.kind.lower(),
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": _VERBS if "/" not in name else ["get", "patch", "update"],
            }
            for one in found
            for name in (one.plural, *(f"{one.plural}/{inner}" for inner in one.subresources))
        ],
    }


def _group(group: str, version: str) -> dict[str, Any]:
    this = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [this], "preferredVersion": this}
