"""Everything that the adapter can make for given options, without a cluster."""

from __future__ import annotations

from typing import Any

from airlock.runtimes.base import DeploymentPlan, Job
from airlock.runtimes.kubernetes.inference_service import inference_service, is_shared
from airlock.runtimes.kubernetes.job import file_object, job_object
from airlock.runtimes.kubernetes.record import Record, record_of
from airlock.runtimes.kubernetes.server import around, deployment, server_pod
from airlock.spec import KubernetesOptions, MiB, Mode, Resources, RuntimeSpec

Made = dict[str, Any]

IMAGE = f"registry.example:5000/airlock/fraud@sha256:{'a' * 64}"
DIGEST = f"sha256:{'1' * 64}"
RESOURCES = Resources(cpu=1.5, memory=512 * MiB)
LABELS = {"service": "cc-fraud", "stage": "PROD", "snapshot": "cc-fraud@12", "passage": "p:2026-11-22/é"}


def runtime(**options: Any) -> RuntimeSpec:
    return RuntimeSpec("k8s_prod", "kubernetes", ["PROD"], options=KubernetesOptions(**options))


def plan(name: str = "dep-1", mode: Mode = "online", record_answers: int = 0) -> DeploymentPlan:
    return DeploymentPlan(
        name=name,
        digest=DIGEST,
        manifest=None,  # type: ignore[arg-type]  nothing here looks into the snapshot
        mode=mode,
        resources=RESOURCES,
        labels=LABELS,
        record_answers=record_answers,
    )


def in_cluster(item: Made, uid: str = "0f1e") -> Made:
    """As the cluster returns an object."""
    return {**item, "metadata": {**item["metadata"], "uid": uid, "resourceVersion": "7", "generation": 1}}


def record(spec: RuntimeSpec, name: str = "dep-1", mode: Mode = "online", record_answers: int = 0) -> Record:
    item = record_of(plan(name, mode, record_answers), IMAGE, RESOURCES, spec)
    return Record(in_cluster(item, uid=f"uid-of-{name}"))


def job(**arguments: Any) -> Job:
    return Job("job-1", "batch", {"input": ["s3://data/in"], "output": "s3://data/out"} | arguments)


def everything(
    spec: RuntimeSpec,
    *,
    secrets: tuple[str, ...] = ("dep-1",),
    for_job: Job | None = None,
    record_answers: int = 0,
) -> list[Made]:
    """Every object of a deployment and of its jobs."""
    options = spec.options
    assert isinstance(options, KubernetesOptions)
    kept = record(spec, record_answers=record_answers)
    pod = server_pod(kept, spec, options, secrets=secrets, attempt=1)
    items: list[Made] = [record_of(plan(), IMAGE, RESOURCES, spec)]
    if options.kserve is None:
        server = deployment(kept, spec, options, pod, attempt=1)
        beside = around(kept, spec, options, in_cluster(server, uid="uid-of-server"))
        items += [server, *(item for _, item in beside)]
    else:
        for previous in (None, record(spec, "dep-0") if is_shared(options) else None):
            items.append(inference_service(kept, previous, spec, options, pod, begun="2026-11-22T10:00:00Z"))
    for of in (kept, None):
        wanted = for_job or job()
        item = job_object(wanted, of, spec, options, image=IMAGE, resources=RESOURCES, secrets=["job.job-1"])
        items += [item, file_object(wanted, in_cluster(item), has_model=of is not None)]
    return items


def pod_templates(items: list[Made]) -> list[Made]:
    """The pods that objects make."""
    found = [item["spec"]["template"] for item in items if item["kind"] in ("Deployment", "Job")]
    for item in items:
        if item["kind"] == "InferenceService":
            predictor = item["spec"]["predictor"]
            found.append({"metadata": {"labels": predictor["labels"]}, "spec": predictor})
    return found
