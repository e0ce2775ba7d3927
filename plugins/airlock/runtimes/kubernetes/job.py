"""The objects of a job: one pod that runs the host once, and the file that says what to do."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Job
from airlock.runtimes.containers.job_files import job_files, needed_volumes
from airlock.runtimes.containers.layout import JOB_FILE, JOB_FOLDER, MODEL_FOLDER, RESULT_FILE, SCRATCH
from airlock.runtimes.containers.variables import host_variables
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import CONFIG_MAP, JOB, SECRET, Kind, Object
from airlock.runtimes.kubernetes.pod import Pod
from airlock.runtimes.kubernetes.record import Record, owner
from airlock.spec import KubernetesOptions, Resources, RuntimeSpec, Volume

LARGEST_FILE = 1024 * 1024 - 4096
"""Bytes of a job file; a ConfigMap holds 1 MiB, its own names included."""

_FILE = "job.json"
_GRACE_SECONDS = 10


def file_name(object_name: str) -> str:
    """What the ConfigMap and the Secret of a job are called. No deployment has a dot in its object's name."""
    return f"job.{object_name}"


def job_object(
    job: Job,
    record: Record | None,
    spec: RuntimeSpec,
    options: KubernetesOptions,
    *,
    image: str,
    resources: Resources,
    secrets: Sequence[str],
) -> Object:
    """The Job. It begins suspended, until its file is there.

    :param record: of the deployment whose snapshot runs.
    :param secrets: names of those whose keys become variables.
    :raises AdapterError: it names files that no volume holds, or that it may not write.
    """
    values = _said(job, record)
    labels = names.labels_of(
        {key: value for key, value in values.items() if key != names.IMAGE},
        runtime=spec.runtime,
        role=names.ROLE_JOB,
    )
    annotations = values | {names.IMAGE: image}
    volumes = _volumes(job, options)
    known = {} if record is None else {**record.labels, "deployment": record.name, "digest": record.digest}
    pod = Pod(
        image=image,
        arguments=[job.command, "--job", JOB_FILE, "--deadline", f"{job.timeout_seconds:g}", "--report"],
        variables=host_variables(
            labels=known,
            cpu=resources.cpu,
            scratch=SCRATCH,
            environment=options.environment,
            secrets={},
        ),
        secrets=secrets,
        resources=resources,
        labels=labels,
        annotations=annotations,
        volumes=[
            {"name": "job", "emptyDir": {}},
            {"name": "job-file", **_file_volume(job)},
            *(_claim(index, volume) for index, volume in enumerate(volumes)),
        ],
        mounts=[
            {"name": "job", "mountPath": JOB_FOLDER},
            {"name": "job-file", "mountPath": JOB_FILE, "subPath": _FILE, "readOnly": True},
            *(_mount(index, volume) for index, volume in enumerate(volumes)),
        ],
        more={"restartPolicy": "Never", "terminationGracePeriodSeconds": _GRACE_SECONDS},
    )
    head: dict[str, Any] = {"labels": labels, "annotations": annotations}
    if record is not None:
        head["ownerReferences"] = [owner(record.item)]
    item = JOB.head(names.object_name(job.name), **head)
    item["spec"] = {
        "suspend": True,
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        # A pod that is going is not replaced before it has gone: there are never two.
        "podReplacementPolicy": "Failed",
        "activeDeadlineSeconds": _most_seconds(job, options),
        "ttlSecondsAfterFinished": int(options.keep_jobs.total_seconds()),
        "template": pod.template(options),
    }
    return item


def kind_of_file(job: Job) -> Kind:
    """What holds a job's file: a ConfigMap, or a Secret where credentials are in it."""
    return SECRET if job.is_secret else CONFIG_MAP


def file_object(job: Job, made: Object, *, has_model: bool) -> Object:
    """The ConfigMap or Secret with the job's file.

    :param made: the Job, which it goes with.
    :raises AdapterError: the file is too large.
    """
    document = {**job.arguments, "result": RESULT_FILE} | ({"model": MODEL_FOLDER} if has_model else {})
    text = json.dumps(document)
    if (size := len(text.encode())) > LARGEST_FILE:
        raise AdapterError(
            f"The job {job.name} is described by {size:,} bytes; Kubernetes takes {LARGEST_FILE:,}.",
            mend="Divide its input into folders or patterns instead of many single files.",
        )
    name = made["metadata"]["name"]
    item = kind_of_file(job).head(
        _secret_file_name(name) if job.is_secret else file_name(name),
        labels=dict(made["metadata"]["labels"]),
        annotations=dict(made["metadata"].get("annotations", {})),
        ownerReferences=[owner(made)],
    )
    if job.is_secret:
        return item | {"type": "Opaque", "data": {_FILE: base64.b64encode(text.encode()).decode()}}
    return item | {"data": {_FILE: text}}


def _file_volume(job: Job) -> dict[str, Any]:
    object_name = names.object_name(job.name)
    if job.is_secret:
        return {"secret": {"secretName": _secret_file_name(object_name)}}
    return {"configMap": {"name": file_name(object_name)}}


def _secret_file_name(object_name: str) -> str:
    """What the Secret with a job's file is called; the one with its variables has another name."""
    return f"file.{object_name}"


def _said(job: Job, record: Record | None) -> dict[str, str]:
    known: Mapping[str, str] = {} if record is None else record.said()
    return {**known, names.JOB: job.name}


def _most_seconds(job: Job, options: KubernetesOptions) -> int:
    """How long the Job may take with all its waiting; the host itself sees to the job's own time."""
    return math.ceil(job.timeout_seconds) + int(options.ready_within.total_seconds())


def _volumes(job: Job, options: KubernetesOptions) -> list[Volume]:
    files = job_files(job)
    if missing := files.outside(options.volumes).folders:
        raise AdapterError(
            f"The job {job.name} needs the folder {missing[0]}, which pods do not see.",
            mend="Name a volume claim that holds it in the runtime's options.volumes, or use a URL like s3://…",
        )
    return needed_volumes(files, options.volumes, job)


def _claim(index: int, volume: Volume) -> dict[str, Any]:
    claim = {"claimName": volume.volume, "readOnly": volume.read_only}
    return {"name": f"volume-{index}", "persistentVolumeClaim": claim}


def _mount(index: int, volume: Volume) -> dict[str, Any]:
    return {"name": f"volume-{index}", "mountPath": volume.folder, "readOnly": volume.read_only}
