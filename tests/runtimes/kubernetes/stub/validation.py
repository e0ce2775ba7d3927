"""What an API server refuses beyond the schema: names, labels, selectors, what may not change or fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .answers import invalid
from .quantities import amount
from .resources import Object, Resource

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_KEY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_ANNOTATIONS_BYTES = 262_144
_DATA_BYTES = 1_048_576
_OF_RBAC = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")

_NO_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_NO_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)

Fault = tuple[str, str]


def validate(resource: Resource, document: Object, before: Object | None) -> None:
    """:raises Refusal: with every fault and its path."""
    faults = [*_metadata(resource, document)]
    spec = document.get("spec") or {}
    if resource.plural == "pods":
        faults += _pod(spec, "spec")
    elif resource.plural in ("deployments", "replicasets", "jobs"):
        faults += _workload(resource, document)
    elif resource.plural == "services":
        faults += _service(spec)
    elif resource.plural in ("configmaps", "secrets"):
        faults += _data(document)
    elif resource.plural == "horizontalpodautoscalers" and spec["maxReplicas"] < spec["minReplicas"]:
        faults.append(("spec.maxReplicas", "Invalid value: must be greater than or equal to `minReplicas`"))
    elif resource.plural == "poddisruptionbudgets" and {"minAvailable", "maxUnavailable"} <= set(spec):
        faults.append(("spec", "Invalid value: minAvailable and maxUnavailable cannot be both set"))
    if before is not None:
        faults += _unchangeable(resource, document, before)
    if faults:
        raise invalid(resource, document["metadata"].get("name", ""), faults)


def _metadata(resource: Resource, document: Object) -> Iterator[Fault]:
    metadata = document["metadata"]
    name = metadata.get("name", "")
    as_label = resource.plural in ("namespaces", "services", "jobs")
    longest = 63 if as_label else 253
    form = {"services": _SERVICE, "namespaces": _LABEL}.get(resource.plural, _SUBDOMAIN)
    if not name:
        yield "metadata.name", "Required value: name or generateName is required"
    elif resource.plural not in _OF_RBAC:
        if len(name) > longest:
            yield "metadata.name", f'Invalid value: "{name}": must be no more than {longest} characters'
        if not form.fullmatch(name):
            told = _NO_LABEL if form is not _SUBDOMAIN else _NO_SUBDOMAIN
            yield "metadata.name", f'Invalid value: "{name}": {told}'
    yield from _labels(metadata.get("labels"), "metadata.labels")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        yield from _key(key.lower(), "metadata.annotations")
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_BYTES:
        yield "metadata.annotations", f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes"
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield f"metadata.ownerReferences[{index}].{field}", "Invalid value: must not be empty"


def _labels(labels: Object | None, path: str) -> Iterator[Fault]:
    for key, value in (labels or {}).items():
        yield from _key(key, path)
        if len(value) > 63:
            yield path, f'Invalid value: "{value}": must be no more than 63 characters'
        if not _LABEL_VALUE.fullmatch(value):
            yield (
                path,
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric '
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
                "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            )


def _key(key: str, path: str) -> Iterator[Fault]:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        yield path, f'Invalid value: "{key}": prefix part {_NO_SUBDOMAIN}'
    if len(name) > 63 or not _LABEL_KEY.fullmatch(name):
        yield (
            path,
            f"Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.'",
        )


def _workload(resource: Resource, document: Object) -> Iterator[Fault]:
    spec = document["spec"]
    template = spec["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    yield from _labels(labels, "spec.template.labels")
    yield from _pod(template["spec"], "spec.template.spec")
    policy = template["spec"].get("restartPolicy", "Always")
    if resource.plural == "jobs":
        if policy == "Always":
            yield (
                "spec.template.spec.restartPolicy",
                'Required value: valid values: "OnFailure", "Never"',
            )
        if spec.get("podFailurePolicy") and policy != "Never":
            yield (
                "spec.template.spec.restartPolicy",
                'Invalid value: only "Never" is supported with podFailurePolicy',
            )
        return
    if policy != "Always":
        yield "spec.template.spec.restartPolicy", f'Unsupported value: "{policy}": supported values: "Always"'
    wanted = spec["selector"].get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        yield (
            "spec.template.metadata.labels",
            f"Invalid value: {json.dumps(labels, separators=(',', ':'))}: "
            "`selector` does not match template `labels`",
        )
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    if rolling.get("maxSurge") in (0, "0%") and rolling.get("maxUnavailable") in (0, "0%"):
        yield (
            "spec.strategy.rollingUpdate.maxUnavailable",
            "Invalid value: may not be 0 when `maxSurge` is 0",
        )


def _pod(spec: Object, path: str) -> Iterator[Fault]:
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    names: set[str] = set()
    for list_name in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(list_name) or ()):
            here = f"{path}.{list_name}[{index}]"
            if container["name"] in names:
                yield f"{here}.name", f'Duplicate value: "{container["name"]}"'
            names.add(container["name"])
            yield from _container(container, here, volumes)
    for index, volume in enumerate(spec.get("volumes") or ()):
        if not _LABEL.fullmatch(volume["name"]) or len(volume["name"]) > 63:
            yield f"{path}.volumes[{index}].name", f'Invalid value: "{volume["name"]}": {_NO_LABEL}'
        if len(volume) < 2:
            yield f"{path}.volumes[{index}]", "Required value: must specify a volume type"


def _container(container: Object, path: str, volumes: set[str]) -> Iterator[Fault]:
    if not _LABEL.fullmatch(container["name"]) or len(container["name"]) > 63:
        yield f"{path}.name", f'Invalid value: "{container["name"]}": {_NO_LABEL}'
    if not container.get("image"):
        yield f"{path}.image", "Required value"
    elif container["image"] != container["image"].strip():
        yield f"{path}.image", "Invalid value: must not have leading or trailing whitespace"
    for index, port in enumerate(container.get("ports") or ()):
        if len(port.get("name", "")) > 15:
            yield f"{path}.ports[{index}].name", "Invalid value: must be no more than 15 characters"
    yield from _variables(container, path)
    yield from _mounts(container, path, volumes)
    yield from _amounts(container.get("resources") or {}, f"{path}.resources")
    for name in ("livenessProbe", "startupProbe"):
        if (container.get(name) or {}).get("successThreshold", 1) != 1:
            yield f"{path}.{name}.successThreshold", "Invalid value: must be 1"


def _variables(container: Object, path: str) -> Iterator[Fault]:
    for index, variable in enumerate(container.get("env") or ()):
        if not _VARIABLE.fullmatch(variable["name"]):
            yield (
                f"{path}.env[{index}].name",
                f'Invalid value: "{variable["name"]}": a valid environment variable name',
            )
        if "value" in variable and variable.get("valueFrom"):
            yield (
                f"{path}.env[{index}].valueFrom",
                "Invalid value: may not be specified when `value` is not empty",
            )


def _mounts(container: Object, path: str, volumes: set[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount["name"] not in volumes:
            yield f"{path}.volumeMounts[{index}].name", f'Not found: "{mount["name"]}"'
        if mount["mountPath"] in seen:
            yield (
                f"{path}.volumeMounts[{index}].mountPath",
                f'Invalid value: "{mount["mountPath"]}": must be unique',
            )
        seen.add(mount["mountPath"])


def _amounts(resources: Object, path: str) -> Iterator[Fault]:
    limits = resources.get("limits") or {}
    for part in ("limits", "requests"):
        for name, quantity in (resources.get(part) or {}).items():
            try:
                value = amount(quantity)
            except ValueError as error:
                yield f"{path}.{part}[{name}]", f'Invalid value: "{quantity}": {error}'
                continue
            if value < 0:
                yield (
                    f"{path}.{part}[{name}]",
                    f'Invalid value: "{quantity}": must be greater than or equal to 0',
                )
            if part == "requests" and name in limits and value > amount(limits[name]):
                yield (
                    f"{path}.requests",
                    f'Invalid value: "{quantity}": must be less than or equal to {name} limit of '
                    f"{limits[name]}",
                )


def _service(spec: Object) -> Iterator[Fault]:
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield "spec.ports", "Required value"
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield f"spec.ports[{index}].name", "Required value"


def _data(document: Object) -> Iterator[Fault]:
    size = 0
    for part in ("data", "binaryData"):
        for key, value in (document.get(part) or {}).items():
            size += len(value)
            if not _CONFIG_KEY.fullmatch(key) or len(key) > 253:
                yield (
                    f"{part}[{key}]",
                    f'Invalid value: "{key}": a valid config key must consist of alphanumeric characters, '
                    "'-', '_' or '.'",
                )
    if size > _DATA_BYTES:
        yield "data", f"Too long: may not be more than {_DATA_BYTES} bytes"


def _unchangeable(resource: Resource, document: Object, before: Object) -> Iterator[Fault]:
    fixed: dict[str, tuple[str, ...]] = {
        "deployments": ("selector",),
        "replicasets": ("selector",),
        "jobs": ("selector", "template", "completionMode", "podFailurePolicy", "backoffLimit"),
        "pods": ("containers", "volumes", "nodeSelector", "serviceAccountName"),
        "services": ("clusterIP",),
        "persistentvolumeclaims": ("accessModes", "storageClassName"),
    }
    new, old = document.get("spec") or {}, before.get("spec") or {}
    for field in fixed.get(resource.plural, ()):
        if _without_image(new.get(field)) != _without_image(old.get(field)):
            yield f"spec.{field}", f"Invalid value: {json.dumps(new.get(field))[:200]}: field is immutable"
    if resource.plural in ("configmaps", "secrets") and before.get("immutable"):
        for field in ("data", "binaryData", "immutable"):
            if document.get(field) != before.get(field):
                yield field, "Forbidden: field is immutable when `immutable` is set"
    if (
        resource.plural in ("rolebindings", "clusterrolebindings")
        and document["roleRef"] != before["roleRef"]
    ):
        yield "roleRef", "Invalid value: cannot change roleRef"


def _without_image(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_image(item) for item in value]
    if isinstance(value, dict) and "image" in value and "name" in value:
        return {key: inner for key, inner in value.items() if key != "image"}
    return value
