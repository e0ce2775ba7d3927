"""Labels: by them everything is found again, whoever made it, and told from what belongs to others."""

from __future__ import annotations

from collections.abc import Mapping

from airlock.runtimes.base import DeploymentPlan, Handle, Job, JobHandle

PROJECT = "airlock.project"
RUNTIME = "airlock.runtime"
DEPLOYMENT = "airlock.deployment"
JOB = "airlock.job"
DIGEST = "airlock.digest"
MODE = "airlock.mode"
IMAGE = "airlock.image"
PORT = "airlock.port"
STREAM = "airlock.stream"
"""The topic that a stream is for."""
TIMEOUT = "airlock.timeout"


def of_runtime(project: str, runtime: str) -> dict[str, str]:
    """What everything of a runtime has."""
    return {PROJECT: project, RUNTIME: runtime}


def of_deployment(owner: Mapping[str, str], plan: DeploymentPlan, image: str) -> dict[str, str]:
    """The labels of a deployment's container."""
    told = {f"airlock.{key}": value for key, value in plan.labels.items()}
    own = {DEPLOYMENT: plan.name, DIGEST: plan.digest, MODE: plan.mode, IMAGE: image}
    stream = {} if plan.stream is None else {STREAM: str(plan.stream["input"])}
    return {**told, **owner, **own, **stream}


def for_jobs(labels: Mapping[str, str]) -> dict[str, str]:
    """Those labels of a deployment's container that its jobs have too."""
    kept = {name: value for name, value in labels.items() if name.startswith("airlock.")}
    return {name: value for name, value in kept.items() if name not in (MODE, PORT, TIMEOUT, STREAM)}


def of_job(owner: Mapping[str, str], job: Job, deployment: Mapping[str, str], image: str) -> dict[str, str]:
    """The labels of a job's container.

    :param deployment: the labels that it has of its deployment; empty if it has none.
    """
    timeout = {TIMEOUT: f"{job.timeout_seconds:g}"}
    return {**deployment, **owner, JOB: job.name, MODE: "job", IMAGE: image, **timeout}


def deployment_handle(labels: Mapping[str, str]) -> Handle:
    """The handle of the deployment that a container belongs to."""
    return {
        "kind": "docker",
        "runtime": labels.get(RUNTIME),
        "name": labels[DEPLOYMENT],
        "digest": labels.get(DIGEST),
        "image": labels.get(IMAGE),
        **({"stream": True} if STREAM in labels else {}),
    }


def job_handle(labels: Mapping[str, str]) -> JobHandle:
    """The handle of the job that a container runs."""
    return {
        "kind": "docker",
        "runtime": labels.get(RUNTIME),
        "name": labels[JOB],
        "deployment": labels.get(DEPLOYMENT),
    }


def variables(labels: Mapping[str, str]) -> dict[str, str]:
    """What the host is told of its container's labels: ``service`` of ``airlock.service``, and so on."""
    untold = {PROJECT, MODE, IMAGE, PORT, TIMEOUT, STREAM}
    return {name.removeprefix("airlock."): value for name, value in labels.items() if name not in untold}
