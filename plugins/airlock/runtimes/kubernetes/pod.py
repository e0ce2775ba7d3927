"""The pod template that servers and jobs have in common: what it runs, and what it may not do.

It keeps to the Pod Security Standard ``restricted``, and to what Kubernetes 1.29 knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airlock.runtimes.containers.layout import ENTRY_POINT, SCRATCH
from airlock.runtimes.kubernetes.patch import patched
from airlock.spec import KubernetesOptions, Resources

HOST = "host"
"""The container's name."""


@dataclass(frozen=True)
class Pod:
    """What differs between pods.

    :param arguments: of the host.
    :param secrets: names of those whose keys become variables.
    :param container: more of the container, such as its probes.
    :param more: more of the pod's ``spec``.
    """

    image: str
    arguments: Sequence[str]
    variables: Mapping[str, str]
    secrets: Sequence[str]
    resources: Resources
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    volumes: Sequence[Mapping[str, Any]] = ()
    mounts: Sequence[Mapping[str, Any]] = ()
    container: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def template(self, options: KubernetesOptions) -> dict[str, Any]:
        """The pod template, with the runtime's patch laid over it.

        The patch cannot change what runs, nor the labels by which it is found again.
        """
        merged = patched(
            {
                "metadata": {"labels": dict(self.labels), "annotations": dict(self.annotations)},
                "spec": self._spec(options),
            },
            options.pod_template,
        )
        metadata = merged.get("metadata", {})
        merged["metadata"] = {
            **metadata,
            "labels": {**metadata.get("labels", {}), **self.labels},
            "annotations": {**metadata.get("annotations", {}), **self.annotations},
        }
        merged["spec"]["containers"] = [
            {**container, **self._what_runs()} if container["name"] == HOST else container
            for container in merged["spec"]["containers"]
        ]
        return merged

    def _spec(self, options: KubernetesOptions) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "automountServiceAccountToken": options.service_account is not None,
            "enableServiceLinks": False,
            "securityContext": _pod_security(options.user),
            "containers": [self._container(options)],
            "volumes": [{"name": "scratch", "emptyDir": {}}, *self.volumes],
            **self.more,
        }
        if options.service_account:
            spec["serviceAccountName"] = options.service_account
        if options.pull_secrets:
            spec["imagePullSecrets"] = [{"name": name} for name in options.pull_secrets]
        if options.node_selector:
            spec["nodeSelector"] = dict(options.node_selector)
        if options.tolerations:
            spec["tolerations"] = [
                toleration.model_dump(mode="json", exclude_none=True) for toleration in options.tolerations
            ]
        return spec

    def _what_runs(self) -> dict[str, Any]:
        return {"image": self.image, "command": list(ENTRY_POINT), "args": list(self.arguments)}

    def _container(self, options: KubernetesOptions) -> dict[str, Any]:
        secrets = [*options.environment_from, *self.secrets]
        container: dict[str, Any] = {
            "name": HOST,
            **self._what_runs(),
            "env": [{"name": name, "value": value} for name, value in sorted(self.variables.items())],
            "resources": quantities(self.resources, options),
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
            "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}, *self.mounts],
            # What a container said last is then still known when its log has gone.
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **self.container,
        }
        if secrets:
            container["envFrom"] = [{"secretRef": {"name": name}} for name in secrets]
        return container


def quantities(resources: Resources, options: KubernetesOptions) -> dict[str, Any]:
    """Limits of a container, and what is set aside for it."""
    requests = options.requests
    return {
        "limits": _quantities(resources.cpu, resources.memory),
        "requests": _quantities(
            min(requests.cpu or resources.cpu, resources.cpu),
            min(requests.memory or resources.memory, resources.memory),
        ),
    }


def _quantities(cpu: float, memory: int) -> dict[str, str]:
    return {"cpu": f"{math.ceil(cpu * 1000)}m", "memory": str(memory)}


def _pod_security(user: int | None) -> dict[str, Any]:
    security: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if user is not None:
        # The group owns the volumes, so that what one job wrote the next one can read.
        security |= {"runAsUser": user, "runAsGroup": user, "fsGroup": user}
        security |= {"fsGroupChangePolicy": "OnRootMismatch"}
    return security
