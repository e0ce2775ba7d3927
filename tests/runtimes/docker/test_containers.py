"""What is in force in the containers of the kind ``docker``, seen from inside and from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as parquet  # type: ignore[import-untyped]
import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Handle, Job, JobStatus, RuntimeSettings, Status
from airlock.runtimes.docker import jobs
from airlock.runtimes.docker.adapter import DockerAdapter
from airlock.runtimes.docker.readiness import QUICK_CRASHES
from airlock.spec import MiB
from tests.docker_engine import DockerEngine

from ..conftest import Snapshot
from ..contract import ask, ended, in_another_process, plan, ready, settled
from ..waiting import wait_for
from .conftest import PROJECT, Runtime

pytestmark = [pytest.mark.docker, pytest.mark.package_index]

Score = Callable[..., Job]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that containers see because jobs name it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def score(folder: Path) -> Score:
    """Makes a job that scores one record, read from one folder and written to another."""

    def make(deployment: Handle, act: str = "", *, text: str = "", amount: float = 1.0, **job: Any) -> Job:
        name = job.pop("name", f"job-{uuid.uuid4().hex[:12]}")
        (folder / "in").mkdir(exist_ok=True)
        data = folder / "in" / f"{name}.parquet"
        parquet.write_table(pa.table({"act": [act], "text": [text], "amount": [amount]}), data)
        output = str(folder / "out" / name)
        arguments = {"kind": "score", "input": [str(data)], "output": output, "processes": 1}
        return Job(name=name, command="batch", arguments=arguments, deployment=deployment, **job)

    return make


def container(engine: DockerEngine, **labels: str) -> dict[str, Any]:
    """The one container with these labels."""
    wanted = [f"airlock.{name}={value}" for name, value in labels.items()]
    client = engine.client()
    [found] = client.containers(all=True, filters={"label": wanted})
    return dict(client.inspect_container(found["Id"]))


def run(adapter: DockerAdapter, job: Job) -> JobStatus:
    return ended(adapter, adapter.submit(job))


# --- security


def test_a_job_is_nobody_and_can_become_nobody_else(
    runtime: Runtime, snapshot: Snapshot, score: Score
) -> None:
    adapter = runtime(environment={"REGION": "eu"})
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    job = adapter.submit(score(deployment, "tell"))

    status = ended(adapter, job)

    assert status.state == "succeeded", status.message
    [line] = [line for line in adapter.follow(job).lines if line.startswith('{"user"')]
    told = json.loads(line)
    wanted = 10001 if os.geteuid() == 0 else os.geteuid()
    assert told["user"] == wanted
    capabilities = {name: int(value, 16) for name, value in told["status"].items() if name.startswith("Cap")}
    assert set(capabilities.values()) == {0}, capabilities
    assert told["status"]["NoNewPrivs"] == "1"
    assert told["status"]["Seccomp"] == "2"
    assert told["variables"]["REGION"] == "eu"
    assert told["variables"]["AIRLOCK_SERVICE"] == "obedience"
    assert told["variables"]["AIRLOCK_DEPLOYMENT"] == deployment["name"]
    assert "AIRFLOW_HOME" not in told["variables"]


def test_a_model_cannot_change_what_it_runs_in(runtime: Runtime, snapshot: Snapshot, score: Score) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))

    for act, text, why in (
        ("write", "/usr/local/anything", "Read-only file system"),
        ("write", "/airlock/model/model.py", "Read-only file system"),
        ("write", "/airlock/host/airlock_host/cli.py", "Read-only file system"),
        ("become root", "", "Operation not permitted"),
    ):
        status = run(adapter, score(deployment, act, text=text))

        assert (status.state, status.cause) == ("failed", "error")
        assert why in status.message


def test_a_model_may_write_to_its_scratch_folders(runtime: Runtime, snapshot: Snapshot, score: Score) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))

    for path in ("/tmp/anything", "/airlock/job/run/tmp/anything"):
        status = run(adapter, score(deployment, "write", text=path))

        assert status.state == "succeeded", status.message


def test_a_server_is_held_to_limits(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    adapter = runtime()
    handle = ready(adapter, plan(snapshot(), memory=300 * MiB))

    found = container(docker_engine, deployment=handle["name"])

    host = found["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 300 * MiB
    assert host["NanoCpus"] == 1_000_000_000
    assert host["PidsLimit"] > 0
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["RestartPolicy"]["Name"] == "always"
    assert host["LogConfig"]["Config"] == {"max-size": "8m", "max-file": "2"}


# --- files


def test_a_job_sees_its_input_read_only_and_nothing_else(
    runtime: Runtime, snapshot: Snapshot, score: Score, folder: Path
) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    (folder / "else").mkdir()

    for path, why in ((folder / "in" / "new", "Read-only file system"), (folder / "else" / "new", "No such")):
        status = run(adapter, score(deployment, "write", text=str(path)))

        assert why in status.message


def test_an_output_folder_is_made_and_the_result_is_airflows(
    runtime: Runtime, snapshot: Snapshot, score: Score, folder: Path
) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    job = score(deployment, amount=21.0)

    status = run(adapter, job)

    assert status.state == "succeeded", status.message
    assert status.result is not None
    [file] = status.result["files"]
    assert Path(file["path"]).parent == Path(job.arguments["output"])
    assert parquet.read_table(file["path"])["doubled"].to_pylist() == [42.0]
    assert run(adapter, score(deployment, amount=21.0, name=f"{job.name}-again")).state == "succeeded"


def test_a_folder_that_the_engine_does_not_see_is_named(
    runtime: Runtime, snapshot: Snapshot, score: Score, folder: Path
) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    job = score(deployment)
    job.arguments["input"].append(str(folder / "nowhere" / "a.parquet"))

    with pytest.raises(AdapterError, match=rf"no {folder}/nowhere.*storage.*volume.*URL"):
        adapter.submit(job)


def test_a_folder_that_the_container_may_not_read_is_named(
    runtime: Runtime, snapshot: Snapshot, score: Score, folder: Path
) -> None:
    adapter = runtime(user="10002:10002")
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    job = score(deployment)
    (folder / "in").chmod(0o700)

    with pytest.raises(AdapterError, match=rf"10002:10002 may not read the folder {folder}/in"):
        adapter.submit(job)


# --- network


def test_jobs_reach_endpoints_by_the_containers_name(
    runtime: Runtime, snapshot: Snapshot, score: Score
) -> None:
    adapter = runtime()
    online = ready(adapter, plan(snapshot()))
    batch = ready(adapter, plan(snapshot(), mode="batch"))
    [endpoint] = adapter.endpoints(online)
    assert endpoint.inside is not None

    status = run(adapter, score(batch, "fetch", text=f"{endpoint.inside}/v2/health/ready"))

    assert status.state == "succeeded", status.message
    assert httpx.get(f"{endpoint.url}/v2/health/ready", timeout=10).status_code == 200


def test_without_publishing_there_is_only_the_address_inside(runtime: Runtime, snapshot: Snapshot) -> None:
    adapter = runtime(publish=None)

    [endpoint] = adapter.endpoints(ready(adapter, plan(snapshot())))

    assert endpoint.url == endpoint.inside


def test_a_network_of_ones_own_is_joined(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    name = f"own-{uuid.uuid4().hex[:6]}"
    adapter = runtime(network=name)
    assert f"docker network create {name}" in adapter.check().message
    with pytest.raises(AdapterError, match=name):
        adapter.deploy(plan(snapshot()))
    docker_engine.client().create_network(name)
    try:
        handle = ready(adapter, plan(snapshot()))

        networks = container(docker_engine, deployment=handle["name"])["NetworkSettings"]["Networks"]
        assert [*networks] == [name]
        adapter.undeploy(handle)
    finally:
        docker_engine.client().remove_network(name)


# --- connections


def test_secrets_come_from_the_connection(
    runtime: Runtime, snapshot: Snapshot, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"environment": {"TOKEN": "a secret of the connection"}}
    monkeypatch.setenv("AIRFLOW_CONN_ENGINE_ROOM", json.dumps({"conn_type": "docker", "extra": extra}))
    adapter = runtime(connection="engine_room", environment={"TOKEN": "from the options"})
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    job = adapter.submit(score(deployment, "tell"))
    ended(adapter, job)

    assert '"TOKEN": "a secret of the connection"' in adapter.logs(job)


def test_an_unknown_connection_is_named(runtime: Runtime) -> None:
    health = runtime(connection="nowhere").check()

    assert not health.ok
    assert "'nowhere'" in health.message


# --- several runtimes


def test_runtimes_on_one_engine_do_not_see_each_other(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    one, other = runtime(), runtime(named=f"other-{uuid.uuid4().hex[:6]}")
    elsewhere = runtime(project="airlock-elsewhere")
    deployment = plan(snapshot(), mode="batch")
    handle = ready(one, deployment)

    for adapter in (other, elsewhere):
        assert (adapter.status(handle).state, [*adapter.list()]) == ("gone", [])
        adapter.undeploy(handle)
        ready(adapter, deployment)
    assert one.status(handle).state == "ready"
    for adapter in (other, elsewhere):
        adapter.undeploy(handle)
    assert one.status(handle).state == "ready"
    assert (
        container(docker_engine, deployment=handle["name"])["Config"]["Labels"]["airlock.project"] == PROJECT
    )


# --- what ends


def test_a_server_that_was_killed_comes_back_at_its_port(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    adapter = runtime()
    handle = ready(adapter, plan(snapshot()))
    before = [*adapter.endpoints(handle)]

    with pytest.raises(httpx.TransportError):
        ask(adapter, handle, "exit", amount=7)

    wait_for(lambda: container(docker_engine, deployment=handle["name"])["RestartCount"], seconds=20)
    status = settled(adapter, handle)
    assert (status.state, status.message) == ("ready", "It was started again once.")
    assert [*adapter.endpoints(handle)] == before
    assert ask(adapter, handle).status_code == 200


def test_a_server_over_its_memory_says_so_and_comes_back(runtime: Runtime, snapshot: Snapshot) -> None:
    """Also holds that changing the restart policy, once it was ready, does not lift its limits."""
    adapter = runtime()
    handle = ready(adapter, plan(snapshot(), memory=300 * MiB))
    caller = in_another_process(lambda: ask(adapter, handle, "allocate", amount=2048))

    wait_for(lambda: adapter.status(handle), lambda status: status.state == "starting", seconds=30)

    caller.join()
    assert settled(adapter, handle).state == "ready"


def test_a_server_that_crashes_again_and_again_counts_as_failed_while_it_is_down(
    runtime: Runtime, snapshot: Snapshot
) -> None:
    adapter = runtime()
    handle = ready(adapter, plan(snapshot()))
    [endpoint] = adapter.endpoints(handle)
    record = {"act": "exit", "text": "", "amount": 7}

    def crash_it_once_more() -> Status:
        with suppress(httpx.TransportError):  # nobody listens between two starts
            httpx.post(f"{endpoint.url}/score", json=[record], timeout=10)
        return adapter.status(handle)

    status = wait_for(crash_it_once_more, lambda status: status.state == "failed", seconds=120)

    found = re.match(r"It ended (\d+) times, at last with exit code 7", status.message)
    assert found, status.message
    assert int(found[1]) >= QUICK_CRASHES


def test_what_a_person_does_to_a_server_is_told(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine
) -> None:
    adapter = runtime()
    deployment = plan(snapshot())
    handle = ready(adapter, deployment)
    client = docker_engine.client()
    name = container(docker_engine, deployment=handle["name"])["Id"]

    client.pause(name)
    assert "docker unpause" in adapter.status(handle).message
    client.unpause(name)
    client.stop(name)
    assert "It was stopped" in adapter.status(handle).message
    assert handle in adapter.list()
    assert ready(adapter, deployment) == handle
    client.remove_container(container(docker_engine, deployment=handle["name"])["Id"], force=True)

    assert adapter.status(handle).state == "gone"
    assert ready(adapter, deployment) == handle


def test_a_server_that_does_not_end_is_killed(runtime: Runtime, snapshot: Snapshot) -> None:
    adapter = runtime()
    handle = ready(adapter, plan(snapshot(deaf=True)))

    adapter.undeploy(handle)

    assert adapter.status(handle).state == "gone"


def test_a_job_that_ignores_being_cancelled_is_killed(
    runtime: Runtime, snapshot: Snapshot, score: Score, folder: Path
) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    job = score(deployment)
    acts = {"act": ["ignore", "print", "sleep"], "text": ["", "deaf now", ""], "amount": [2.0, 0.0, 600.0]}
    parquet.write_table(pa.table(acts), job.arguments["input"][0])
    handle = adapter.submit(job)
    wait_for(lambda: "deaf now" in adapter.logs(handle), seconds=60)

    adapter.cancel(handle)

    status = adapter.job_status(handle)
    assert (status.state, status.cause, status.exit_code) == ("failed", "cancelled", -signal.SIGKILL)


def test_a_job_that_hangs_beyond_its_time_is_killed_by_whoever_looks(
    runtime: Runtime,
    snapshot: Snapshot,
    score: Score,
    docker_engine: DockerEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "SECONDS_OVER_TIME", 2.0)
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    handle = adapter.submit(score(deployment, "sleep", amount=600, timeout_seconds=3))
    docker_engine.client().pause(container(docker_engine, job=handle["name"])["Id"])

    status = ended(adapter, handle)

    assert (status.state, status.cause) == ("failed", "timeout")
    later = wait_for(
        lambda: adapter.job_status(handle), lambda status: status.exit_code is not None, seconds=20
    )
    assert (later.cause, later.exit_code) == ("timeout", -signal.SIGKILL)


def test_a_job_killed_from_outside_is_told_apart(
    runtime: Runtime, snapshot: Snapshot, score: Score, docker_engine: DockerEngine
) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    handle = adapter.submit(score(deployment, "sleep", amount=600))

    docker_engine.client().kill(container(docker_engine, job=handle["name"])["Id"])

    status = ended(adapter, handle)
    assert (status.state, status.cause, status.exit_code) == ("failed", "signal", -signal.SIGKILL)


def test_what_a_killed_caller_left_of_a_job_goes_with_the_next_one(
    runtime: Runtime, snapshot: Snapshot, score: Score, docker_engine: DockerEngine
) -> None:
    adapter = runtime()
    deployment = ready(adapter, plan(snapshot(), mode="batch"))
    job = score(deployment)
    handle = adapter.submit(job)
    found = container(docker_engine, job=job.name)
    config = {"Image": found["Image"], "Labels": found["Config"]["Labels"]}
    docker_engine.client().create_container_from_config(config, name=f"{found['Name'][1:]}-0a1b")
    ended(adapter, handle)
    adapter.remove_job(handle)

    assert docker_engine.client().containers(all=True, filters={"label": [f"airlock.job={job.name}"]}) == []


def test_settings_of_another_kind_are_refused(settings: RuntimeSettings) -> None:
    from airlock.spec import RuntimeSpec

    with pytest.raises(AdapterError, match="of the kind local"):
        DockerAdapter(RuntimeSpec("here", kind="local", stages=["DEV"]), settings)
