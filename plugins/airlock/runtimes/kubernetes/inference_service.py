"""The InferenceService of an online deployment, where KServe looks after servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airlock.runtimes.containers.layout import PORT
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import INFERENCE_SERVICE, Object
from airlock.runtimes.kubernetes.pod import HOST, Pod
from airlock.runtimes.kubernetes.record import Record, metadata, owner
from airlock.spec import KubernetesOptions, RuntimeSpec

CONTAINER = "kserve-container"
"""What KServe wants the container to be called."""

PREVIOUS = "airlock/previous"
"""The deployment that answers the other requests while the newest one is a canary."""
BEGUN = "airlock/begun"
"""When the newest deployment was begun."""

PREDICTOR_PORT = 80
"""Where KServe's Service of a predictor listens, in Standard mode."""

_MODE = "serving.kserve.io/deploymentMode"
_STANDARD = frozenset({"standard", "rawdeployment"})
_TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
_NOT_IN_KNATIVE = frozenset({"terminationGracePeriodSeconds", "topologySpreadConstraints"})
"""What Knative, below KServe's serverless mode, decides for itself."""


def name_of(record: Record, options: KubernetesOptions) -> str:
    """What the InferenceService is called: with a canary, deployments of a service at a stage share one."""
    if not is_shared(options):
        return record.object_name
    service, stage = record.labels.get("service", record.name), record.labels.get("stage", "")
    return names.object_name(f"{service}-{stage}".rstrip("-").lower())


def is_shared(options: KubernetesOptions) -> bool:
    """Whether deployments share an InferenceService."""
    return options.kserve is not None and options.kserve.canary_percent is not None


def predictor_service(record: Record, options: KubernetesOptions) -> str:
    """What KServe calls the Service of the predictor."""
    return f"{name_of(record, options)}-predictor"


def is_serverless(found: Object) -> bool:
    """Whether Knative runs it: as KServe says, or before 0.15 as revisions show."""
    status = found.get("status") or {}
    mode = str(status.get("deploymentMode") or names.annotation(found, _MODE))
    if mode:
        return mode.lower() not in _STANDARD
    return "latestCreatedRevision" in _predictor_status(status)


def inference_service(
    record: Record,
    previous: Record | None,
    spec: RuntimeSpec,
    options: KubernetesOptions,
    pod: Pod,
    *,
    begun: str,
) -> Object:
    """The InferenceService.

    :param previous: the deployment that goes on answering beside this one.
    :param begun: when this deployment was begun.
    """
    said = metadata(record, spec, names.ROLE_SERVER)
    said["annotations"] |= {BEGUN: begun}
    if is_shared(options):
        said["annotations"] |= {_TAG_ROUTING: "true", PREVIOUS: previous.name if previous else ""}
    owners = [record, previous] if previous else [record]
    item = INFERENCE_SERVICE.head(
        name_of(record, options), **said, ownerReferences=[owner(one.item) for one in owners]
    )
    return item | {"spec": {"predictor": _predictor(options, pod, is_canary=previous is not None)}}


def _predictor(options: KubernetesOptions, pod: Pod, *, is_canary: bool) -> dict[str, Any]:
    template = replace(pod, container=_container(pod.container)).template(options)
    spec = {key: value for key, value in template["spec"].items() if key not in _NOT_IN_KNATIVE}
    spec["containers"] = [
        {**container, "name": CONTAINER} if container["name"] == HOST else container
        for container in spec["containers"]
    ]
    predictor = {
        **spec,
        "labels": template["metadata"]["labels"],
        "annotations": template["metadata"]["annotations"],
        "minReplicas": options.replicas,
        "maxReplicas": options.replicas,
    }
    if options.autoscale is not None:
        predictor |= {"minReplicas": options.autoscale.least, "maxReplicas": options.autoscale.most}
        predictor |= {"scaleMetric": "cpu", "scaleTarget": options.autoscale.cpu_percent}
    if is_canary and options.kserve is not None:
        predictor["canaryTrafficPercent"] = options.kserve.canary_percent
    return predictor


def _container(given: Mapping[str, Any]) -> dict[str, Any]:
    """The container as Knative takes it: it names ports by their protocol, and asks for readiness alone."""
    ready = given["readinessProbe"]
    return {
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {**ready, "httpGet": {**ready["httpGet"], "port": PORT}},
    }


def tagged(status: Mapping[str, Any], tag: str) -> str | None:
    """The address of the newest (``latest``) or of the other (``prev``) revision."""
    traffic: Sequence[Mapping[str, Any]] = _predictor_status(status).get("traffic") or []
    return next((str(one["url"]) for one in traffic if one.get("tag") == tag and one.get("url")), None)


def newest_is_ready(status: Mapping[str, Any]) -> bool:
    """Whether the newest revision answers, and not only the one before it."""
    predictor = _predictor_status(status)
    return bool(predictor.get("latestReadyRevision") == predictor.get("latestCreatedRevision"))


def failure_in(status: Mapping[str, Any]) -> str:
    """What KServe says went wrong; empty if nothing."""
    model = status.get("modelStatus") or {}
    if model.get("transitionStatus") not in ("BlockedByFailedLoad", "InvalidSpec"):
        return ""
    info = model.get("lastFailureInfo") or {}
    said = f"{info.get('reason', '')}: {info.get('message', '')}".strip(": ")
    return f"KServe cannot start it ({model['transitionStatus']}): {said or 'it does not say why'}."


def _predictor_status(status: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (status.get("components") or {}).get("predictor") or {}
    return found
