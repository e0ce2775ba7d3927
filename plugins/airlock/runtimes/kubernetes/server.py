"""The objects of an online deployment: its pods, their address inside the cluster, and the way in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from airlock.runtimes.base import recording
from airlock.runtimes.containers.layout import MODEL_FOLDER, PORT, SCRATCH, STREAM_FOLDER
from airlock.runtimes.containers.variables import host_variables
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import (
    AUTOSCALER,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    INGRESS,
    ROUTE,
    SERVICE,
    Kind,
    Object,
)
from airlock.runtimes.kubernetes.http_route import parent
from airlock.runtimes.kubernetes.pod import Pod
from airlock.runtimes.kubernetes.record import Record, metadata, owner
from airlock.spec import KubernetesOptions, RuntimeSpec

DRAIN_SECONDS = 30
"""How long begun requests may go on once the server is asked to end."""
FAREWELL_SECONDS = 5
"""Before that: until every node knows that no request is to come here any more."""

STREAM_FILE = "stream.json"

_READY = "/v2/health/ready"
_LIVE = "/v2/health/live"
_PROBE_SECONDS = 2
_PORT_NAME = "http"
_REVISIONS_KEPT = 2


def selector(record: Record, spec: RuntimeSpec) -> dict[str, str]:
    """The labels that only the pods of this server have."""
    said = {names.DEPLOYMENT: record.name}
    return names.labels_of(said, runtime=spec.runtime, role=names.ROLE_SERVER)


def fewest_pods(options: KubernetesOptions) -> int:
    """How many pods there are at least."""
    return options.autoscale.least if options.autoscale else options.replicas


def stream_secret(record: Record) -> str:
    """The name of the Secret with the file of a stream."""
    return f"stream.{record.object_name}"


def server_pod(
    record: Record,
    spec: RuntimeSpec,
    options: KubernetesOptions,
    *,
    secrets: Sequence[str],
    attempt: int,
) -> Pod:
    """A pod of the server.

    :param secrets: names of those whose keys become variables.
    :param attempt: changes when the same pods are to be started anew.
    """
    is_stream = record.topic is not None
    command = ["stream", "--stream", f"{STREAM_FOLDER}/{STREAM_FILE}"] if is_stream else ["serve"]
    pod = _pod(record, spec, options, command, secrets=secrets, attempt=attempt)
    return _reading(pod, record, options) if is_stream else _answering(pod, record, spec, options)


def _answering(pod: Pod, record: Record, spec: RuntimeSpec, options: KubernetesOptions) -> Pod:
    """A pod that is sent requests."""
    more: dict[str, Any] = {"terminationGracePeriodSeconds": FAREWELL_SECONDS + DRAIN_SECONDS + 10}
    if fewest_pods(options) > 1:
        more["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(record, spec)},
            }
        ]
    farewell = ["python", "-S", "-E", "-c", f"import time; time.sleep({FAREWELL_SECONDS})"]
    return replace(
        pod,
        # In words of the image, because clusters before 1.30 have no preStop that sleeps.
        container={**pod.container, "lifecycle": {"preStop": {"exec": {"command": farewell}}}},
        more=more,
    )


def _reading(pod: Pod, record: Record, options: KubernetesOptions) -> Pod:
    """A pod that reads topics. Nobody sends it requests, so it takes no farewell."""
    # It belongs to root: where pods have a group of their own that may read it, and otherwise all who are in
    # the container may.
    mode = 0o444 if options.user is None else 0o440
    secret = {"secretName": stream_secret(record), "defaultMode": mode}
    return replace(
        pod,
        volumes=[{"name": "stream", "secret": secret}],
        mounts=[{"name": "stream", "mountPath": STREAM_FOLDER, "readOnly": True}],
        more={"terminationGracePeriodSeconds": DRAIN_SECONDS + 10},
    )


def _pod(
    record: Record,
    spec: RuntimeSpec,
    options: KubernetesOptions,
    command: Sequence[str],
    *,
    secrets: Sequence[str],
    attempt: int,
) -> Pod:
    said = metadata(record, spec, names.ROLE_SERVER)
    return Pod(
        image=record.image,
        arguments=[
            *(*command, "--model", MODEL_FOLDER, "--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104
            *("--drain-seconds", str(DRAIN_SECONDS)),
            *recording(record.record_answers),
        ],
        variables=host_variables(
            labels={**record.labels, "deployment": record.name, "digest": record.digest},
            cpu=record.resources.cpu,
            scratch=SCRATCH,
            environment=options.environment,
            secrets={},
        ),
        secrets=secrets,
        resources=record.resources,
        labels=said["labels"],
        annotations={**said["annotations"], names.ATTEMPT: str(attempt)},
        container={
            "ports": [{"name": _PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
            **_probes(options),
        },
    )


def deployment(
    record: Record, spec: RuntimeSpec, options: KubernetesOptions, pod: Pod, *, attempt: int
) -> Object:
    """The Deployment: never fewer pods than asked for, also while they are exchanged.

    A stream is one pod, and never two: a second one would take the first one's place in its transactions.
    """
    said = metadata(record, spec, names.ROLE_SERVER)
    said["annotations"] |= {names.ATTEMPT: str(attempt)}
    item = DEPLOYMENT.head(record.object_name, **said, ownerReferences=[owner(record.item)])
    item["spec"] = {
        "selector": {"matchLabels": selector(record, spec)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "progressDeadlineSeconds": ready_seconds(options),
        "revisionHistoryLimit": _REVISIONS_KEPT,
        "template": pod.template(options),
    }
    if record.topic is not None:
        item["spec"] |= {"strategy": {"type": "Recreate"}, "replicas": 1}
    elif options.autoscale is None:
        item["spec"]["replicas"] = options.replicas
    return item


def around(
    record: Record, spec: RuntimeSpec, options: KubernetesOptions, owned_by: Object
) -> list[tuple[Kind, Object]]:
    """Everything that a server has beside its pods, with its kind.

    :param owned_by: the Deployment; these objects go with it.
    """
    pods = selector(record, spec)

    def head(kind: Kind) -> Object:
        said = metadata(record, spec, names.ROLE_SERVER)
        return kind.head(record.object_name, **said, ownerReferences=[owner(owned_by)])

    items = [(SERVICE, head(SERVICE) | {"spec": _service(pods)})]
    is_stream = record.topic is not None
    if fewest_pods(options) > 1 and not is_stream:
        items.append((DISRUPTION_BUDGET, head(DISRUPTION_BUDGET) | {"spec": _disruption_budget(pods)}))
    if options.autoscale is not None and not is_stream:
        items.append((AUTOSCALER, head(AUTOSCALER) | {"spec": _autoscaler(record, options)}))
    if options.ingress is not None:
        item = head(INGRESS) | {"spec": _ingress(record, options)}
        item["metadata"]["annotations"] |= options.ingress.annotations
        items.append((INGRESS, item))
    if options.route is not None:
        items.append((ROUTE, head(ROUTE) | {"spec": _route(record, options)}))
    return items


def inside_address(record: Record, namespace: str) -> str:
    """Where a server is reached from inside the cluster."""
    return f"http://{record.object_name}.{namespace}.svc:{PORT}"


def outside_address(record: Record, options: KubernetesOptions) -> str | None:
    """Where a server is reached from outside the cluster; ``None`` if it is not."""
    way = options.ingress or options.route
    if way is None:
        return None
    port = f":{way.port}" if way.port else ""
    return f"{'https' if way.tls else 'http'}://{_host(way.host, record)}{port}"


def ready_seconds(options: KubernetesOptions) -> int:
    """How long a server may take until it is ready."""
    return int(options.ready_within.total_seconds())


def _probes(options: KubernetesOptions) -> dict[str, Any]:
    def ask(path: str, period: int, failures: int, timeout: int) -> dict[str, Any]:
        return {
            "httpGet": {"path": path, "port": _PORT_NAME, "scheme": "HTTP"},
            "periodSeconds": period,
            "failureThreshold": failures,
            "timeoutSeconds": timeout,
        }

    # Until it is ready it is not asked whether it lives: loading a large model makes it slow to answer.
    most = math.ceil(ready_seconds(options) / _PROBE_SECONDS)
    return {
        "startupProbe": ask(_READY, _PROBE_SECONDS, most, 5),
        "readinessProbe": ask(_READY, 5, 2, 5),
        "livenessProbe": ask(_LIVE, 10, 6, 5),
    }


def _service(pods: dict[str, str]) -> dict[str, Any]:
    port = {"name": _PORT_NAME, "port": PORT, "targetPort": _PORT_NAME, "protocol": "TCP"}
    return {"type": "ClusterIP", "selector": pods, "ports": [port | {"appProtocol": "http"}]}


def _disruption_budget(pods: dict[str, str]) -> dict[str, Any]:
    return {
        "maxUnavailable": 1,
        "selector": {"matchLabels": pods},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def _autoscaler(record: Record, options: KubernetesOptions) -> dict[str, Any]:
    assert options.autoscale is not None
    target = {"type": "Utilization", "averageUtilization": options.autoscale.cpu_percent}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": record.object_name},
        "minReplicas": options.autoscale.least,
        "maxReplicas": options.autoscale.most,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }


def _ingress(record: Record, options: KubernetesOptions) -> dict[str, Any]:
    assert options.ingress is not None
    host = _host(options.ingress.host, record)
    backend = {"service": {"name": record.object_name, "port": {"name": _PORT_NAME}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec: dict[str, Any] = {"rules": [{"host": host, "http": {"paths": [path]}}]}
    if options.ingress.class_name:
        spec["ingressClassName"] = options.ingress.class_name
    if options.ingress.tls:
        secret = options.ingress.tls_secret
        spec["tls"] = [{"hosts": [host]} | ({"secretName": secret} if secret else {})]
    return spec


def _route(record: Record, options: KubernetesOptions) -> dict[str, Any]:
    assert options.route is not None
    route = options.route
    backend = {"group": "", "kind": "Service", "name": record.object_name, "port": PORT, "weight": 1}
    match = {"path": {"type": "PathPrefix", "value": "/"}}
    return {
        "parentRefs": [parent(route.gateway, route.gateway_namespace, route.listener)],
        "hostnames": [_host(route.host, record)],
        "rules": [{"matches": [match], "backendRefs": [backend]}],
    }


def _host(template: str, record: Record) -> str:
    return template.replace("{deployment}", record.object_name)
