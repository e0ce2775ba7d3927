"""What an API server fills in, so that nobody can rely on objects coming back as they were sent."""

from __future__ import annotations

import hashlib
from typing import Any

from .resources import Object, Resource


def fill_in(resource: Resource, document: Object) -> None:
    """Add the defaults of a kind."""
    spec = document.get("spec")
    if resource.plural == "namespaces":
        document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        document.setdefault("status", {}).setdefault("phase", "Active")
        labels = document["metadata"].setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = document["metadata"]["name"]
    elif resource.plural == "secrets":
        _fill_in_secret(document)
    elif resource.plural == "pods":
        _fill_in_pod(spec or {})
        _fill_in_own_pod(document)
    elif resource.plural == "deployments":
        _fill_in_deployment(spec or {})
    elif resource.plural == "replicasets":
        _set(spec or {}, replicas=1)
        _fill_in_pod((spec or {})["template"]["spec"])
    elif resource.plural == "jobs":
        _fill_in_job(document)
    elif resource.plural == "services":
        _fill_in_service(document)
    elif resource.plural == "horizontalpodautoscalers":
        _set(spec or {}, minReplicas=1)


def _set(where: Object, **values: Any) -> None:
    for name, value in values.items():
        if where.get(name) is None:
            where[name] = value


def _fill_in_secret(document: Object) -> None:
    import base64

    _set(document, type="Opaque")
    for name, text in (document.pop("stringData", None) or {}).items():
        document.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()


def _fill_in_deployment(spec: Object) -> None:
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    _set(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        _set(spec["strategy"], rollingUpdate={})
        _set(spec["strategy"]["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    _fill_in_pod(spec["template"]["spec"])


def _fill_in_job(document: Object) -> None:
    spec, metadata = document["spec"], document["metadata"]
    _set(spec, parallelism=1, completions=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _set(spec, podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    if not spec.get("manualSelector"):
        labels = {
            "batch.kubernetes.io/controller-uid": metadata["uid"],
            "batch.kubernetes.io/job-name": metadata["name"],
            "controller-uid": metadata["uid"],
            "job-name": metadata["name"],
        }
        spec["template"].setdefault("metadata", {}).setdefault("labels", {}).update(labels)
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
    _fill_in_pod(spec["template"]["spec"])


def _fill_in_service(document: Object) -> None:
    spec = document["spec"]
    _set(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or ():
        _set(port, protocol="TCP", targetPort=port["port"])
    if "clusterIP" not in spec and spec["type"] != "ExternalName":
        number = int(hashlib.sha256(document["metadata"]["uid"].encode()).hexdigest(), 16)
        spec["clusterIP"] = f"10.96.{number % 250}.{number // 250 % 250 + 2}"
        spec["clusterIPs"] = [spec["clusterIP"]]
    _set(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")


def _fill_in_pod(spec: Object) -> None:
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        _fill_in_container(container)
    for volume in spec.get("volumes") or ():
        for kind in ("configMap", "secret", "projected", "downwardAPI"):
            if volume.get(kind) is not None:
                _set(volume[kind], defaultMode=0o644)


def _fill_in_container(container: Object) -> None:
    image = str(container.get("image", ""))
    newest = "@" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest"))
    _set(
        container,
        imagePullPolicy="Always" if newest else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    limits = container["resources"].get("limits") or {}
    if limits:
        container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}
    for port in container.get("ports") or ():
        _set(port, protocol="TCP")
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if probe.get("httpGet") is not None:
                _set(probe["httpGet"], path="/", scheme="HTTP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _set(reference, apiVersion="v1")


def _fill_in_own_pod(document: Object) -> None:
    """What only a pod itself gets, not a template."""
    spec = document["spec"]
    _set(spec, serviceAccountName="default", serviceAccount=spec.get("serviceAccountName", "default"))
    _set(spec, enableServiceLinks=True, priority=0, preemptionPolicy="PreemptLowerPriority")
    tolerated = {toleration.get("key") for toleration in spec.get("tolerations") or ()}
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if key not in tolerated:
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            spec["tolerations"] = [*(spec.get("tolerations") or ()), toleration]
    _set(document, status={})
    _set(document["status"], phase="Pending", qosClass=_quality(spec))


def _quality(spec: Object) -> str:
    resources = [container["resources"] for container in spec["containers"]]
    if not any(one.get("limits") or one.get("requests") for one in resources):
        return "BestEffort"
    same = all(
        one.get("limits")
        and one.get("limits") == one.get("requests")
        and {"cpu", "memory"} <= set(one["limits"])
        for one in resources
    )
    return "Guaranteed" if same else "Burstable"
