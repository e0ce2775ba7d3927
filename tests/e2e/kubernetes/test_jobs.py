"""Jobs on a cluster: their results, how they fail, how they are ended and found again."""

from __future__ import annotations

import uuid

import pytest

from airlock.runtimes.base import Handle, Job
from airlock.spec import MiB, Resources
from tests.runtimes.contract import killed_after

from .cluster import Cluster, until
from .conftest import Runtime
from .plans import MEMORY, job, plan
from .waiting import ended, ready


@pytest.fixture
def deployment(runtime: Runtime) -> Handle:
    return ready(runtime(), plan(mode="batch"))


def test_a_job_brings_its_result(runtime: Runtime, deployment: Handle) -> None:
    status = ended(runtime(), job(deployment, "double.csv"))

    assert status.state == "succeeded", status.message
    assert status.exit_code == 0
    assert status.result is not None
    assert status.result["rows_out"] == 4


def test_a_models_error_is_told_and_the_job_may_run_again(runtime: Runtime, deployment: Handle) -> None:
    failing = job(deployment, "fail.csv")

    status = ended(runtime(), failing)

    assert (status.state, status.cause, status.exit_code) == ("failed", "error", 1)
    assert "the model does not like this" in status.message
    mended = ended(runtime(), job(deployment, "double.csv", name=failing.name))
    assert mended.state == "succeeded", mended.message


def test_unusable_data_is_told_apart_from_a_broken_model(runtime: Runtime, deployment: Handle) -> None:
    status = ended(runtime(), job(deployment, "unusable.csv"))

    assert (status.state, status.cause, status.exit_code) == ("failed", "invalid_data", 2)
    assert "no column 'act'" in status.message


def test_a_job_over_its_time_is_ended(runtime: Runtime, deployment: Handle) -> None:
    status = ended(runtime(), job(deployment, "sleep.csv", timeout_seconds=5))

    assert (status.state, status.cause) == ("failed", "timeout")


def test_a_job_over_its_memory_is_told_apart_from_an_error(runtime: Runtime, deployment: Handle) -> None:
    resources = Resources(cpu=0.5, memory=MEMORY)

    status = ended(runtime(), job(deployment, "allocate.csv", resources=resources))

    assert (status.state, status.cause) == ("failed", "memory"), status.message
    assert f"{MEMORY // MiB} MiB" in status.message


def test_a_cancelled_job_ends(cluster: Cluster, runtime: Runtime, namespace: str, deployment: Handle) -> None:
    adapter = runtime()
    wanted = job(deployment, "sleep.csv")
    handle = adapter.submit(wanted)
    assert adapter.job_status(handle).state == "running"

    adapter.cancel(handle)
    adapter.cancel(handle)

    status = adapter.job_status(handle)
    assert (status.state, status.cause) == ("failed", "cancelled")

    def running() -> list[str]:
        pods = cluster.find("pods", namespace, **{"airlock/job": wanted.name})
        return [
            pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") in ("Pending", "Running")
        ]

    until(running, lambda names: names == [])


def test_a_job_is_found_again_after_its_caller_was_killed(
    cluster: Cluster, runtime: Runtime, namespace: str, deployment: Handle
) -> None:
    wanted = job(deployment, "pause.csv")
    for milliseconds in (50, 150, 300, 600):
        killed_after(milliseconds / 1000, lambda: runtime().submit(wanted))

    status = ended(runtime(), wanted)

    assert status.state == "succeeded", status.message
    assert runtime().job_status(runtime().submit(wanted)) == status
    assert len(cluster.find("pods", namespace, **{"airlock/job": wanted.name})) == 1


def test_a_jobs_log_is_followed_and_its_result_is_no_part_of_it(runtime: Runtime, deployment: Handle) -> None:
    adapter = runtime()
    wanted = job(deployment, "print.csv")
    assert ended(adapter, wanted).state == "succeeded"
    handle = adapter.submit(wanted)

    log = adapter.follow(handle)

    assert [line for line in log.lines if "a line of the model" in line]
    assert not [line for line in log.lines if "airlock-result" in line]
    assert list(adapter.follow(handle, log.position).lines) == []


def test_a_removed_job_leaves_nothing(
    cluster: Cluster, runtime: Runtime, namespace: str, deployment: Handle
) -> None:
    adapter = runtime()
    wanted = job(deployment, "double.csv")
    ended(adapter, wanted)
    handle = adapter.submit(wanted)

    adapter.remove_job(handle)
    adapter.remove_job(handle)

    assert adapter.job_status(handle).state == "gone"
    until(
        lambda: [
            item
            for plural in ("jobs", "pods", "configmaps")
            for item in cluster.find(plural, namespace, **{"airlock/job": wanted.name})
        ],
        lambda left: left == [],
    )


def test_undeploy_takes_the_jobs_along(runtime: Runtime, deployment: Handle) -> None:
    adapter = runtime()
    handle = adapter.submit(job(deployment, "sleep.csv"))

    adapter.undeploy(deployment)

    assert adapter.job_status(handle).state == "gone"


def test_a_job_without_a_deployment_is_listed_until_it_is_removed(runtime: Runtime) -> None:
    adapter = runtime()
    field = {"name": "amount", "type": "number"}
    arguments = {
        "kind": "records",
        "input": [field],
        "golden": [],
        "count": 5,
        "bad": False,
        "output": "file:///tmp/records.parquet",
    }
    wanted = Job(
        name=f"job-{uuid.uuid4().hex[:12]}",
        command="check",
        arguments=arguments,
        resources=Resources(cpu=0.5, memory=MEMORY),
    )

    status = ended(adapter, wanted)

    assert status.state == "succeeded", status.message
    assert status.result is not None
    assert status.result["made"] == 5
    assert [found["name"] for found in adapter.list_jobs()] == [wanted.name]
    adapter.remove_job(adapter.submit(wanted))
    assert [*adapter.list_jobs()] == []
