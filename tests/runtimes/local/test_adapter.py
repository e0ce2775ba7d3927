"""Kind ``local``: the contract of all kinds, and what is special about processes of this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as parquet  # type: ignore[import-untyped]
import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes import adapter_for
from airlock.runtimes.base import Adapter, Handle, Job, JobStatus, RuntimeSettings
from airlock.runtimes.local.adapter import DAYS_TO_KEEP_JOBS, LocalAdapter, stop_all
from airlock.runtimes.local.folder import LOCK, STREAM, Plan, State, supervisor_of
from airlock.runtimes.local.limits import describe
from airlock.runtimes.streams import StreamRole
from airlock.spec import MiB, Resources, RuntimeSpec

from ..brokers import SECRET, Brokers
from ..conftest import Snapshot, processes_of
from ..contract import AdapterContract, Connect, ask, ended, in_another_process, plan, ready, settled
from ..stream_contract import StreamContract, reads, stream_plan
from ..waiting import wait_for

pytestmark = pytest.mark.package_index

SPEC = RuntimeSpec("local-test", kind="local", stages=["DEV"], capacity=8)


@pytest.fixture
def connect(settings: RuntimeSettings) -> Iterator[Connect]:
    """Also holds every test to leaving no process, however it treated them."""
    yield lambda: LocalAdapter(SPEC, settings, grace_seconds=1)
    wait_for(lambda: processes_of(settings.workspace), lambda processes: processes == [], seconds=20)


@pytest.fixture(scope="module")
def brokers() -> Brokers:
    return Brokers()


class TestStreams(StreamContract):
    """What is asked of every kind's streams."""

    @pytest.fixture
    def connect(self, connect: Connect) -> Connect:
        return connect


@pytest.mark.timeout(600)
def test_what_a_shadow_answers_is_compared_in_the_checks_environment(
    adapter: Adapter, brokers: Brokers, snapshot: Snapshot, tmp_path: Path
) -> None:
    kafka = brokers.topics()
    current, new = (ready(adapter, stream_plan(brokers, snapshot, kafka)) for _ in range(2))
    shadow = StreamRole("shadow", shadow_percent=100)
    adapter.stream(new, brokers.file(kafka, new["name"], shadow))
    adapter.stream(current, brokers.file(kafka, current["name"], StreamRole("input")))

    def shadow_has_begun() -> bool:
        """It begins at the end of the topic, whenever it has joined its group."""
        brokers.write(kafka, range(20))
        return bool(brokers.read(kafka.shadow))

    wait_for(shadow_has_begun, seconds=60)
    brokers.write(kafka, range(100, 140))
    expected = {2.0 * amount for amount in range(100, 140)}
    for topic in (kafka.output, kafka.shadow):
        wait_for(lambda topic=topic: brokers.answers_in(topic), lambda found: expected <= set(found))

    job = Job(
        name="dep-1-rol-1-0",
        command="check",
        arguments={
            "kind": "shadow",
            "stream": brokers.file(kafka, current["name"], StreamRole("input")),
            "shadow": brokers.file(kafka, new["name"], shadow),
            "output": [{"name": "doubled", "type": "number"}],
            "atol": 1e-6,
            "since": time.time() - 600,
        },
        is_secret=True,
    )
    status = ended(adapter, adapter.submit(job))

    assert status.state == "succeeded", status.message
    assert status.result is not None
    assert status.result["n"] >= 40
    assert status.result["differ"] == 0
    assert status.result["only_current"]["n"] == status.result["only_shadow"]["n"] == 0
    assert "doubled" in status.result["figures"][0]["title"]
    assert SECRET not in json.dumps(status.result)
    assert SECRET not in adapter.logs({"name": job.name})


class TestContract(AdapterContract):
    """What is asked of every kind."""

    @pytest.fixture
    def connect(self, connect: Connect) -> Connect:
        return connect


@pytest.fixture
def adapter(connect: Connect) -> Iterator[Adapter]:
    adapter = connect()
    yield adapter
    for handle in adapter.list():
        adapter.undeploy(handle)
    for handle in adapter.list_jobs():
        adapter.remove_job(handle)


@pytest.fixture
def folder(settings: RuntimeSettings) -> Callable[[Handle], Path]:
    """Finds the folder of a deployment."""
    return lambda handle: settings.workspace / "runtimes" / SPEC.runtime / "deployments" / handle["name"]


def servers(workspace: Path) -> list[psutil.Process]:
    return [process for process in processes_of(workspace) if "serve" in process.cmdline()]


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more, collected by its parent or not yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def kill(process: psutil.Process) -> None:
    process.kill()
    wait_for(lambda: has_ended(process))


def supervisor(folder: Path) -> psutil.Process:
    identity = supervisor_of(folder)
    assert identity is not None
    return psutil.Process(identity.pid)


# --- outliving and being found again


def test_a_deployment_outlives_whoever_asked_for_it(
    adapter: Adapter, connect: Connect, snapshot: Snapshot, settings: RuntimeSettings
) -> None:
    deployment = plan(snapshot())
    caller = in_another_process(lambda: connect().deploy(deployment), own_group=True)
    caller.join()
    assert caller.pid is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(caller.pid, signal.SIGKILL)  # Airflow ends what is left of a task so; nothing is

    handle = ready(adapter, deployment)

    [server] = servers(settings.workspace)
    assert os.getsid(server.pid) not in (os.getsid(0), caller.pid)
    assert ask(adapter, handle).status_code == 200


def test_one_supervisor_and_one_server_whoever_repeats_the_deploy(
    adapter: Adapter, connect: Connect, snapshot: Snapshot, settings: RuntimeSettings
) -> None:
    deployment = plan(snapshot())
    callers = [in_another_process(lambda: connect().deploy(deployment)) for _ in range(8)]
    for caller in callers:
        caller.join()

    ready(adapter, deployment)

    assert len(processes_of(settings.workspace)) == 2


def test_a_killed_supervisor_takes_its_server_along_and_is_replaced_at_the_same_port(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, folder: Callable[[Handle], Path]
) -> None:
    deployment = plan(snapshot())
    handle = ready(adapter, deployment)
    before = [*adapter.endpoints(handle)]

    kill(supervisor(folder(handle)))

    wait_for(lambda: processes_of(settings.workspace), lambda processes: processes == [], seconds=20)
    status = adapter.status(handle)
    assert (status.state, list(adapter.endpoints(handle))) == ("failed", [])
    assert "Its process is gone" in status.message
    assert handle in adapter.list()
    assert ready(adapter, deployment) == handle
    assert [*adapter.endpoints(handle)] == before


def test_worker_processes_that_outlived_a_killed_supervisor_end_with_the_next(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, folder: Callable[[Handle], Path]
) -> None:
    deployment = plan(snapshot(child=600))
    handle = ready(adapter, deployment)
    kill(supervisor(folder(handle)))
    [worker] = wait_for(lambda: processes_of(settings.workspace), lambda found: len(found) == 1, seconds=20)

    ready(adapter, deployment)

    assert has_ended(worker)


def test_after_a_reboot_a_deployment_says_so_although_another_process_has_its_id(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, folder: Callable[[Handle], Path]
) -> None:
    deployment = plan(snapshot())
    handle = ready(adapter, deployment)
    stop_all(settings.workspace, grace_seconds=1)
    signed = (folder(handle) / LOCK).read_text().split()
    stranger = psutil.Process()
    (folder(handle) / LOCK).write_text(f"{stranger.pid} {signed[1]} {signed[2]}")
    State.read(folder(handle))._replace(state="ready").write(folder(handle))

    assert adapter.status(handle).state == "failed"
    adapter.undeploy(handle)

    assert stranger.is_running()


def test_a_taken_port_is_given_up_and_that_is_said(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings
) -> None:
    deployment = plan(snapshot())
    handle = ready(adapter, deployment)
    [before] = adapter.endpoints(handle)
    stop_all(settings.workspace, grace_seconds=1)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", httpx.URL(before.url).port or 0))
        other.listen()

        handle = ready(adapter, deployment)

    [after] = adapter.endpoints(handle)
    assert after != before
    assert "was taken by another process" in adapter.status(handle).message
    assert ask(adapter, handle).status_code == 200


# --- crashes


def test_a_killed_server_comes_back_at_the_same_port(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, folder: Callable[[Handle], Path]
) -> None:
    handle = ready(adapter, plan(snapshot()))
    before = [*adapter.endpoints(handle)]
    [server] = servers(settings.workspace)

    kill(server)

    wait_for(lambda: State.read(folder(handle)), lambda state: state.restarts == 1 and state.state == "ready")
    assert [*adapter.endpoints(handle)] == before
    assert ask(adapter, handle).status_code == 200
    assert "signal 9" in adapter.logs(handle)


def test_a_server_that_crashes_again_and_again_is_given_up_with_its_last_lines(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, folder: Callable[[Handle], Path]
) -> None:
    handle = ready(adapter, plan(snapshot()))
    ask(adapter, handle, "print", text="these are my last words")

    for restart in range(5):
        wait_for(
            lambda: State.read(folder(handle)),
            lambda state: state.restarts == restart and state.state == "ready",  # noqa: B023
        )
        with pytest.raises(httpx.TransportError):
            ask(adapter, handle, "exit", amount=7)

    status = wait_for(lambda: adapter.status(handle), lambda status: status.state == "failed")
    assert "5 times in a row, at last with exit code 7" in status.message
    wait_for(lambda: processes_of(settings.workspace), lambda processes: processes == [], seconds=20)


@pytest.mark.skipif("groups" not in describe(), reason="without control groups only the request fails")
def test_a_server_over_its_memory_is_started_again_and_the_log_says_why(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, folder: Callable[[Handle], Path]
) -> None:
    handle = ready(adapter, plan(snapshot(), memory=512 * MiB))

    in_another_process(lambda: ask(adapter, handle, "allocate", amount=2048)).join()

    state = wait_for(lambda: State.read(folder(handle)), lambda state: state.restarts == 1)
    assert "more memory than its 512 MiB" in state.message


# --- ending


def test_a_server_that_does_not_end_is_killed_after_the_grace_time(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings
) -> None:
    handle = ready(adapter, plan(snapshot(deaf=True)))
    began = time.monotonic()

    adapter.undeploy(handle)

    assert 1 <= time.monotonic() - began < 10
    assert processes_of(settings.workspace) == []


def test_undeploy_finds_what_left_the_process_group(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings
) -> None:
    handle = ready(adapter, plan(snapshot(child=600)))
    assert len(processes_of(settings.workspace)) == 3

    adapter.undeploy(handle)

    assert processes_of(settings.workspace) == []


def test_a_failed_start_leaves_no_process(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings
) -> None:
    handle = adapter.deploy(plan(snapshot(child=600, fail="no")))

    assert settled(adapter, handle).state == "failed"

    wait_for(lambda: processes_of(settings.workspace), lambda processes: processes == [], seconds=20)


def test_stop_all_ends_everything_of_a_workspace_and_may_be_called_at_any_time(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, sleeper: Job, tmp_path: Path
) -> None:
    deployment = plan(snapshot())
    handle = ready(adapter, deployment)
    job = adapter.submit(sleeper)
    before = [*adapter.endpoints(handle)]

    stop_all(tmp_path)
    wait_for(lambda: len(processes_of(settings.workspace)), lambda count: count == 4)
    stop_all(settings.workspace, grace_seconds=1)
    stop_all(settings.workspace, grace_seconds=1)

    assert processes_of(settings.workspace) == []
    assert adapter.status(handle).state == "failed"
    assert adapter.job_status(job).cause == "cancelled"
    assert ready(adapter, deployment) == handle
    assert [*adapter.endpoints(handle)] == before


# --- jobs


@pytest.fixture
def sleeper(adapter: Adapter, snapshot: Snapshot, tmp_path: Path) -> Job:
    """A job that scores one record which takes ten minutes."""
    handle = ready(adapter, plan(snapshot(), mode="batch"))
    data = tmp_path / "data.csv"
    data.write_text("act,text,amount\nsleep,,600\n")
    arguments = {"kind": "score", "input": [str(data)], "output": str(tmp_path / "scored")}
    return Job("sleeper", "batch", arguments, handle)


def test_a_killed_supervisor_of_a_job_takes_the_job_along_and_it_runs_again(
    adapter: Adapter, settings: RuntimeSettings, sleeper: Job, folder: Callable[[Handle], Path]
) -> None:
    handle = adapter.submit(sleeper)
    assert sleeper.deployment is not None
    job_folder = folder(sleeper.deployment) / "jobs" / sleeper.name
    wait_for(lambda: len(processes_of(settings.workspace)), lambda count: count == 2)

    kill(supervisor(job_folder))

    wait_for(lambda: processes_of(settings.workspace), lambda processes: processes == [], seconds=20)
    assert (adapter.job_status(handle).state, adapter.job_status(handle).cause) == ("failed", "lost")
    adapter.submit(sleeper)
    assert adapter.job_status(handle).state == "running"
    assert State.read(job_folder).attempt == 2


def test_a_job_killed_from_outside_is_told_apart(
    adapter: Adapter, settings: RuntimeSettings, sleeper: Job
) -> None:
    handle = adapter.submit(sleeper)
    [host] = wait_for(
        lambda: [process for process in processes_of(settings.workspace) if "batch" in process.cmdline()],
        lambda found: len(found) == 1,
    )

    kill(host)

    status = ended(adapter, handle)
    assert (status.state, status.cause, status.exit_code) == ("failed", "signal", -9)


@pytest.fixture
def records_job(tmp_path: Path) -> Callable[[str], Job]:
    """Makes a job of the checks that needs no deployment."""

    def make(name: str) -> Job:
        fields = [{"name": "amount", "type": "number"}]
        output = str(tmp_path / f"{name}.parquet")
        arguments = {
            "kind": "records",
            "count": 3,
            "bad": False,
            "golden": [],
            "input": fields,
            "output": output,
        }
        return Job(name, "check", arguments, resources=Resources(memory=512 * MiB))

    return make


@pytest.mark.timeout(600)
def test_a_job_without_a_deployment_runs_in_the_checks_environment(
    connect: Connect, records_job: Callable[[str], Job], tmp_path: Path
) -> None:
    adapter = connect()

    handle = adapter.submit(records_job("records-1"))

    status = wait_for(lambda: adapter.job_status(handle), lambda seen: seen.state != "running", seconds=500)
    assert status.state == "succeeded", status.message
    assert (tmp_path / "records-1.parquet").exists()


def test_a_job_with_credentials_has_its_file_to_itself(
    settings: RuntimeSettings, records_job: Callable[[str], Job], tmp_path: Path
) -> None:
    source = tmp_path / "host"
    shutil.copytree(settings.host_source / "airlock_host", source / "airlock_host")
    (source / "checks.lock").write_text("# nothing, so that the job ends at once\n")
    adapter = LocalAdapter(SPEC, RuntimeSettings(settings.store, tmp_path / "workspace", source))
    adapter.submit(replace(records_job("records-1"), is_secret=True))

    file = tmp_path / "workspace" / "runtimes" / SPEC.runtime / "jobs" / "records-1" / "job.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_environment_that_cannot_be_built_fails_with_uvs_reason(
    settings: RuntimeSettings, records_job: Callable[[str], Job], tmp_path: Path
) -> None:
    source = tmp_path / "host"
    shutil.copytree(settings.host_source / "airlock_host", source / "airlock_host")
    (source / "checks.lock").write_text(f"numpy==0.0.1 --hash=sha256:{'0' * 64}\n")
    broken = RuntimeSettings(settings.store, tmp_path / "workspace", source)
    adapter = LocalAdapter(SPEC, broken, grace_seconds=1)

    status = ended(adapter, adapter.submit(records_job("records-1")))

    assert (status.state, status.cause) == ("failed", "error")
    assert "The environment could not be built: uv ended with exit code" in status.message
    assert "numpy" in status.message


def test_jobs_without_a_deployment_are_removed_some_days_after_their_end(
    settings: RuntimeSettings, records_job: Callable[[str], Job], tmp_path: Path
) -> None:
    source = tmp_path / "host"
    shutil.copytree(settings.host_source / "airlock_host", source / "airlock_host")
    (source / "checks.lock").write_text("# nothing, so that the job ends at once\n")
    adapter = LocalAdapter(SPEC, RuntimeSettings(settings.store, tmp_path / "workspace", source))
    old, recent = (adapter.submit(records_job(name)) for name in ("old", "recent"))
    assert {ended(adapter, old).state, ended(adapter, recent).state} == {"failed"}
    jobs = tmp_path / "workspace" / "runtimes" / SPEC.runtime / "jobs"
    wait_for(lambda: supervisor_of(jobs / "old") is None)
    then = time.time() - (DAYS_TO_KEEP_JOBS + 1) * 86400
    os.utime(jobs / "old", (then, then))

    ended(adapter, adapter.submit(records_job("another")))

    assert adapter.job_status(old) == JobStatus("gone")
    assert adapter.job_status(recent).state == "failed"


# --- what a model may see and use


def test_a_model_gets_no_secret_of_airflow_and_its_limits_as_variables(
    adapter: Adapter, snapshot: Snapshot, settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://airflow:secret@db/airflow")
    monkeypatch.setenv("UV_INDEX_PASSWORD", "secret")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    ready(adapter, plan(snapshot()))

    [server] = servers(settings.workspace)
    variables = server.environ()
    assert "secret" not in json.dumps(variables)
    assert "PYTHONDONTWRITEBYTECODE" not in variables
    assert variables["OMP_NUM_THREADS"] == "1"
    assert variables["AIRLOCK_STAGE"] == "DEV"
    for process in processes_of(settings.workspace):
        assert not any(name.startswith("AIRFLOW") for name in process.environ())


def test_the_runtimes_options_override_what_the_service_asks_for(
    settings: RuntimeSettings, snapshot: Snapshot, connect: Connect, folder: Callable[[Handle], Path]
) -> None:
    options = {"cpu": 2.0, "memory": 768 * MiB}
    spec = RuntimeSpec.model_validate({**SPEC.model_dump(), "options": options})
    adapter = LocalAdapter(spec, settings, grace_seconds=1)

    handle = ready(adapter, plan(snapshot(), mode="batch"))

    found = Plan.read(folder(handle))
    assert (found.cpu, found.memory) == (2.0, 768 * MiB)
    adapter.undeploy(handle)


# --- health and names


def test_the_adapter_of_a_spec(settings: RuntimeSettings) -> None:
    assert isinstance(adapter_for(SPEC, settings), LocalAdapter)
    with pytest.raises(AdapterError, match="'abacus'"):
        adapter_for(SPEC.model_copy(update={"kind": "abacus"}), settings)


def test_check_names_the_limits_of_this_system(connect: Connect) -> None:
    assert "Memory is limited by" in connect().check().message


def test_check_refuses_a_full_disk(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=5 * MiB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    health = connect().check()

    assert not health.ok
    assert "only 5 MiB of space left" in health.message


def test_check_refuses_a_workspace_that_cannot_be_written(settings: RuntimeSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = RuntimeSettings(settings.store, tmp_path / "file" / "workspace", settings.host_source)

    health = LocalAdapter(SPEC, blocked).check()

    assert not health.ok
    assert "cannot be written" in health.message


def test_check_refuses_a_missing_host(settings: RuntimeSettings, tmp_path: Path) -> None:
    health = LocalAdapter(SPEC, RuntimeSettings(settings.store, tmp_path, tmp_path)).check()

    assert not health.ok
    assert "There is no airlock_host" in health.message


@pytest.mark.parametrize("name", ["../elsewhere", "", ".hidden", "a/b", "-rf", "x" * 151])
def test_a_name_that_could_leave_the_workspace_is_refused(
    connect: Connect, snapshot: Snapshot, name: str
) -> None:
    with pytest.raises(AdapterError, match="cannot be the name"):
        connect().status({"name": name})


def test_the_supervisor_needs_the_standard_library_only() -> None:
    plugins = Path(__file__).parents[3] / "plugins"
    program = (
        f"import sys; sys.path.append({str(plugins)!r});"
        "import airlock.runtimes.local.start, airlock.runtimes.local.supervisor"
    )

    # -S leaves out every package that is installed.
    subprocess.run(["python", "-I", "-S", "-c", program], check=True)


# --- streams


def test_a_streams_file_is_for_its_user_alone_and_a_restarted_worker_finds_it(
    adapter: Adapter,
    brokers: Brokers,
    snapshot: Snapshot,
    settings: RuntimeSettings,
    folder: Callable[[Handle], Path],
) -> None:
    kafka = brokers.topics()
    handle = ready(adapter, stream_plan(brokers, snapshot, kafka))
    adapter.stream(handle, brokers.file(kafka, handle["name"], StreamRole("input")))
    file = folder(handle) / STREAM

    assert file.stat().st_mode & 0o777 == 0o600
    assert [path for path in folder(handle).rglob("*.json") if SECRET in path.read_text()] == [file]
    [worker] = [process for process in processes_of(settings.workspace) if "stream" in process.cmdline()]
    assert SECRET not in " ".join([*worker.cmdline(), *worker.environ().values()])
    kill(worker)

    wait_for(lambda: State.read(folder(handle)).restarts == 1 and adapter.status(handle).state == "ready")
    wait_for(lambda: reads(adapter, handle), lambda found: found == "input")


def test_only_streams_have_the_packages_of_streams(
    adapter: Adapter, brokers: Brokers, snapshot: Snapshot, folder: Callable[[Handle], Path]
) -> None:
    server = ready(adapter, plan(snapshot()))
    stream = ready(adapter, stream_plan(brokers, snapshot, brokers.topics()))

    def packages(handle: Handle) -> set[str]:
        environment = Path(Plan.read(folder(handle)).environment.folder)
        return {path.name.partition("-")[0] for path in environment.glob("lib/*/site-packages/*.dist-info")}

    assert packages(stream) - packages(server) == {"confluent_kafka", "fastavro", "msgspec"}
    assert packages(server) <= packages(stream)
    assert ask(adapter, server, amount=4.0).json()[0]["doubled"] == 8.0


def test_a_job_runs_in_the_environment_of_a_stream(
    adapter: Adapter, brokers: Brokers, snapshot: Snapshot, tmp_path: Path
) -> None:
    handle = ready(adapter, stream_plan(brokers, snapshot, brokers.topics()))
    records = pa.table({"act": [""], "text": [""], "amount": [21.0]})
    parquet.write_table(records, tmp_path / "records.parquet")
    arguments = {
        "kind": "score",
        "input": [str(tmp_path / "records.parquet")],
        "output": str(tmp_path / "scored"),
        "rejects": None,
        "provenance": {"run": "test"},
    }

    status = ended(adapter, adapter.submit(Job("job-1", "batch", arguments, handle)))

    assert status.state == "succeeded", status.message
    assert (status.result or {})["rows_out"] == 1
    assert reads(adapter, handle) == "nothing"
