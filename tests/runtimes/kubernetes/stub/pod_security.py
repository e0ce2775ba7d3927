"""The Pod Security Standard ``restricted``, as the admission of a namespace enforces it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .resources import Object

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(spec: Object) -> Iterator[str]:
    """What a pod does that ``restricted`` does not allow, as the API server words it."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    pod = spec.get("securityContext") or {}
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"host namespaces ({field}=true)"
    yield from _told(
        containers,
        lambda own: own.get("privileged"),
        "privileged",
        "must not set securityContext.privileged=true",
    )
    yield from _told(
        containers,
        lambda own: own.get("allowPrivilegeEscalation") is not False,
        "allowPrivilegeEscalation != false",
        "must set securityContext.allowPrivilegeEscalation=false",
    )
    yield from _told(
        containers,
        lambda own: "ALL" not in ((own.get("capabilities") or {}).get("drop") or ()),
        "unrestricted capabilities",
        'must set securityContext.capabilities.drop=["ALL"]',
    )
    for volume in spec.get("volumes") or ():
        kinds = set(volume) - {"name"} - _VOLUMES
        if kinds:
            yield (
                f'restricted volume types (volume "{volume["name"]}" uses restricted volume type '
                f'"{min(kinds)}")'
            )
    yield from _told(
        containers,
        lambda own: not own.get("runAsNonRoot", pod.get("runAsNonRoot")),
        "runAsNonRoot != true",
        "must set securityContext.runAsNonRoot=true",
        or_pod=True,
    )
    if pod.get("runAsUser") == 0:
        yield "runAsUser=0 (pod must not set runAsUser=0)"
    yield from _told(
        containers,
        lambda own: own.get("runAsUser") == 0,
        "runAsUser=0",
        "must not set securityContext.runAsUser=0",
    )
    yield from _told(
        containers,
        lambda own: (
            (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type")
            not in ("RuntimeDefault", "Localhost")
        ),
        "seccompProfile",
        'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
        or_pod=True,
    )


def _told(
    containers: list[Object], is_bad: Callable[[Object], Any], what: str, mend: str, *, or_pod: bool = False
) -> Iterator[str]:
    bad = [one["name"] for one in containers if is_bad(one.get("securityContext") or {})]
    if bad:
        many = "containers" if len(bad) > 1 else "container"
        names = ", ".join(f'"{name}"' for name in bad)
        yield f"{what} ({'pod or ' if or_pod else ''}{many} {names} {mend})"
