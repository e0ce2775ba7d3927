"""The record of a deployment: an object that cannot be changed, and that owns everything else.

It is a ConfigMap, because every cluster has them and they may be immutable: of two callers that deploy
different snapshots under one name at the same time, the cluster itself refuses the second.
"""

from __future__ import annotations

import json
from typing import Any

from airlock.runtimes.base import DeploymentPlan, Handle
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import CONFIG_MAP, Object
from airlock.spec import GiB, Mode, Resources, RuntimeSpec


class Record:
    """A deployment, as the cluster has it."""

    def __init__(self, item: Object) -> None:
        self.item = item
        self._data: dict[str, str] = item.get("data") or {}

    @property
    def name(self) -> str:
        """The deployment's id in the registry."""
        return names.annotation(self.item, names.DEPLOYMENT)

    @property
    def object_name(self) -> str:
        """What its objects are called."""
        return str(self.item["metadata"]["name"])

    @property
    def uid(self) -> str:
        """What the cluster knows this one object by."""
        return str(self.item["metadata"]["uid"])

    @property
    def is_going(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.item["metadata"]

    @property
    def digest(self) -> str:
        """Digest of the snapshot."""
        return self._data.get("digest", "")

    @property
    def image(self) -> str:
        """The image that runs."""
        return self._data.get("image", "")

    @property
    def mode(self) -> Mode:
        """Whether there is a server."""
        return "online" if self._data.get("mode") == "online" else "batch"

    @property
    def resources(self) -> Resources:
        """What each of its pods may have."""
        return Resources(cpu=float(self._data.get("cpu", 1)), memory=int(self._data.get("memory", GiB)))

    @property
    def record_answers(self) -> int:
        """How many of its last answers each pod keeps to be compared."""
        return int(self._data.get("record_answers", 0))

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the plan, with their whole values."""
        labels: dict[str, str] = json.loads(self._data.get("labels", "{}"))
        return labels

    def handle(self, spec: RuntimeSpec) -> Handle:
        """What finds it again."""
        return {
            "kind": "kubernetes",
            "runtime": spec.runtime,
            "name": self.name,
            "digest": self.digest,
            "image": self.image,
        }

    def said(self) -> dict[str, str]:
        """Labels and annotations of all that belongs to it."""
        return said(self.name, self.digest, self.mode, self.image, self.labels)


def record_of(plan: DeploymentPlan, image: str, resources: Resources, spec: RuntimeSpec) -> Object:
    """The record that a plan asks for.

    :param resources: what each of its pods may have.
    """
    values = said(plan.name, plan.digest, plan.mode, image, dict(plan.labels))
    item = CONFIG_MAP.head(
        names.object_name(plan.name),
        labels=names.labels_of(_short(values), runtime=spec.runtime, role=names.ROLE_RECORD),
        annotations=values,
    )
    data = {
        "digest": plan.digest,
        "mode": plan.mode,
        "image": image,
        "cpu": f"{resources.cpu:g}",
        "memory": str(resources.memory),
        "labels": json.dumps(dict(plan.labels), sort_keys=True),
    }
    if plan.record_answers:
        data["record_answers"] = str(plan.record_answers)
    return item | {"immutable": True, "data": data}


def metadata(record: Record, spec: RuntimeSpec, role: str) -> dict[str, Any]:
    """Labels and annotations of an object that belongs to a deployment."""
    values = record.said()
    return {
        "labels": names.labels_of(_short(values), runtime=spec.runtime, role=role),
        "annotations": values,
    }


def owner(item: Object) -> dict[str, Any]:
    """The reference of what belongs to an object: it goes with it, and before it."""
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "blockOwnerDeletion": True,
        "controller": False,
    }


def said(name: str, digest: str, mode: str, image: str, labels: dict[str, str]) -> dict[str, str]:
    """Everything that is known of a deployment, by the names of annotations."""
    return {
        **{f"airlock/{key}": value for key, value in sorted(labels.items())},
        names.DEPLOYMENT: name,
        names.DIGEST: digest,
        names.MODE: mode,
        names.IMAGE: image,
    }


def _short(values: dict[str, str]) -> dict[str, str]:
    """What labels hold: an image is too long to be looked for."""
    return {key: value for key, value in values.items() if key != names.IMAGE}
