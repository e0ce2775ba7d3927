"""Waiting for deployments and jobs on a cluster that may be slow."""

from __future__ import annotations

from airlock.runtimes.base import Adapter, DeploymentPlan, Handle, Job, JobStatus, Status

from .cluster import until


def settled(adapter: Adapter, handle: Handle) -> Status:
    """The state of a deployment once it is no longer starting."""
    return until(lambda: adapter.status(handle), lambda status: status.state != "starting")


def ready(adapter: Adapter, deployment: DeploymentPlan) -> Handle:
    """Deploy and wait until it is ready."""
    handle = adapter.deploy(deployment)
    status = settled(adapter, handle)
    assert status.state == "ready", status.message
    return handle


def ended(adapter: Adapter, job: Job) -> JobStatus:
    """Submit a job; its state once it no longer runs."""
    handle = adapter.submit(job)
    return until(lambda: adapter.job_status(handle), lambda status: status.state != "running")
