"""The Pod Security Standard ``restricted``, written down from its published rules, without the adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = frozenset({
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
    "secret",
})  # fmt: skip
_HOST = ("hostNetwork", "hostPID", "hostIPC")


def broken_rules(spec: Mapping[str, Any]) -> Iterator[str]:
    """Each rule that a pod breaks."""
    pod = spec.get("securityContext", {})
    yield from (key for key in _HOST if spec.get(key))
    for volume in spec.get("volumes", []):
        if unknown := volume.keys() - {"name"} - _VOLUMES:
            yield f"volume of the type {sorted(unknown)[0]}"
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        own = container.get("securityContext", {})
        yield from (f"{container['name']}: {rule}" for rule in _of_container(container, own, pod))


def _of_container(
    container: Mapping[str, Any], own: Mapping[str, Any], pod: Mapping[str, Any]
) -> Iterator[str]:
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "runAsUser"
    profile = own.get("seccompProfile", pod.get("seccompProfile", {}))
    if profile.get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
