"""What every adapter must do: each kind's tests inherit this suite and run it against a real runtime.

A kind's class gives two fixtures: ``connect``, which makes a new adapter for the same runtime each time it is
called (as each Airflow task does), and ``shared``, a folder that this process and the runtime both see.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
import uuid
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as parquet  # type: ignore[import-untyped]
import pytest

from airlock.exceptions import AdapterError, Conflict, IntegrityError
from airlock.runtimes.base import (
    Adapter,
    DeploymentPlan,
    Endpoint,
    Handle,
    Job,
    JobHandle,
    JobStatus,
    Split,
    Status,
)
from airlock.snapshots.manifest import Manifest
from airlock.snapshots.store import ArtifactStore
from airlock.spec import MiB, Mode, Resources

from .conftest import Snapshot
from .waiting import wait_for

Connect = Callable[[], Adapter]

_fork = multiprocessing.get_context("fork")


def plan(
    manifest: Manifest,
    *,
    name: str = "",
    mode: Mode = "online",
    memory: int = 512 * MiB,
    record_answers: int = 0,
) -> DeploymentPlan:
    """A plan with a name of its own."""
    return DeploymentPlan(
        name=name or f"dep-{uuid.uuid4().hex[:12]}",
        digest=manifest.digest,
        manifest=manifest,
        mode=mode,
        resources=Resources(cpu=1, memory=memory),
        labels={"service": "obedience", "stage": "DEV", "snapshot": "obedient@1", "passage": "p-1"},
        record_answers=record_answers,
    )


def settled(adapter: Adapter, handle: Handle) -> Status:
    """The state of a deployment once it is no longer starting."""
    return wait_for(lambda: adapter.status(handle), lambda status: status.state != "starting", seconds=120)


def ready(adapter: Adapter, deployment: DeploymentPlan) -> Handle:
    """Deploy and wait until it is ready."""
    handle = adapter.deploy(deployment)
    status = settled(adapter, handle)
    assert status.state == "ready", status.message
    return handle


def ended(adapter: Adapter, handle: JobHandle) -> JobStatus:
    """The state of a job once it no longer runs."""
    return wait_for(lambda: adapter.job_status(handle), lambda status: status.state != "running", seconds=120)


def address_of(endpoint: Endpoint) -> tuple[str, dict[str, str]]:
    """Where this process reaches an endpoint, and with which headers.

    A kind whose endpoints are not reached from here puts its own way in the place of this.
    """
    return endpoint.url, {}


def ask(
    adapter: Adapter,
    handle: Handle,
    act: str = "",
    *,
    text: str = "",
    amount: float = 1.0,
    request: str = "",
) -> httpx.Response:
    """Send one record to a deployment's endpoint.

    :param request: its id.
    """
    [endpoint] = adapter.endpoints(handle)
    address, headers = address_of(endpoint)
    record = {"act": act, "text": text, "amount": amount}
    named = {"X-Request-Id": request} if request else {}
    return httpx.post(f"{address}/score", json=[record], headers={**headers, **named}, timeout=30)


def in_another_process(act: Callable[[], object], *, own_group: bool = False) -> BaseProcess:
    """Begin to do something in a process of its own, as an Airflow task does."""

    def run() -> None:
        if own_group:
            os.setsid()
        act()

    process = _fork.Process(target=run)
    process.start()
    return process


def killed_after(seconds: float, act: Callable[[], object]) -> None:
    """Do something in a process that is killed after a time, whatever it is about to do then."""
    caller = in_another_process(act)
    time.sleep(seconds)  # the point that is tested, not a wait for anything
    caller.kill()
    caller.join()


class AdapterContract:
    """Run by each kind's tests."""

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError("each kind gives this fixture")

    @pytest.fixture
    def shared(self, tmp_path: Path) -> Path:
        return tmp_path

    @pytest.fixture
    def adapter(self, connect: Connect) -> Iterator[Adapter]:
        """An adapter whose runtime is empty before and after each test."""
        adapter = connect()
        assert adapter.list() == []
        yield adapter
        for handle in adapter.list():
            adapter.undeploy(handle)
        assert adapter.list() == []

    @pytest.fixture
    def score(self, shared: Path) -> Callable[..., Job]:
        """Makes a job that scores a file with records that all ask for the same."""

        def make(
            deployment: Handle,
            act: str = "",
            *,
            text: str = "",
            amount: float = 1.0,
            rows: int = 3,
            **job: Any,
        ) -> Job:
            name = job.pop("name", f"job-{uuid.uuid4().hex[:12]}")
            data = shared / f"{name}.parquet"
            columns = {"act": [act] * rows, "text": [text] * rows, "amount": [amount] * rows}
            parquet.write_table(pa.table(columns), data)
            arguments = {
                "kind": "score",
                "input": [str(data)],
                "output": str(shared / f"{name}-scored"),
                "rejects": None,
                "provenance": {"run": "test"},
                "processes": 1,
            }
            return Job(name=name, command="batch", arguments=arguments, deployment=deployment, **job)

        return make

    # --- deployments

    def test_a_well_runtime_says_so(self, connect: Connect) -> None:
        health = connect().check()

        assert health.ok, health.message

    def test_an_online_deployment_becomes_ready_answers_and_goes(
        self, adapter: Adapter, snapshot: Snapshot
    ) -> None:
        handle = adapter.deploy(plan(snapshot()))
        assert settled(adapter, handle).state == "ready"

        answer = ask(adapter, handle, amount=21.0)

        assert answer.status_code == 200
        assert answer.json()[0]["doubled"] == 42.0
        assert "obedient@1" in answer.headers["X-Airlock-Snapshot"]
        adapter.undeploy(handle)
        assert adapter.status(handle).state == "gone"
        assert list(adapter.endpoints(handle)) == []

    def test_a_deployment_keeps_its_answers_where_the_plan_says_so(
        self, adapter: Adapter, snapshot: Snapshot
    ) -> None:
        handle = ready(adapter, plan(snapshot(), record_answers=10))
        [endpoint] = adapter.endpoints(handle)
        address, headers = address_of(endpoint)

        ask(adapter, handle, amount=21.0, request="r-1")

        recorded = httpx.get(f"{address}/airlock/answers", headers=headers, timeout=30).json()
        assert [answer["id"] for answer in recorded["answers"]] == ["r-1"]

    def test_a_batch_deployment_becomes_ready_without_endpoints(
        self, adapter: Adapter, snapshot: Snapshot
    ) -> None:
        handle = ready(adapter, plan(snapshot(), mode="batch"))

        assert list(adapter.endpoints(handle)) == []

    def test_the_same_name_and_digest_is_adopted(
        self, adapter: Adapter, connect: Connect, snapshot: Snapshot, shared: Path
    ) -> None:
        starts = shared / "starts"
        deployment = plan(snapshot(starts=str(starts)))
        first = ready(adapter, deployment)

        second = ready(connect(), deployment)

        assert second == first
        assert [*adapter.list()] == [first]
        assert len(starts.read_text().splitlines()) == 1

    def test_another_digest_under_the_same_name_is_a_conflict(
        self, adapter: Adapter, snapshot: Snapshot
    ) -> None:
        first, other = plan(snapshot()), plan(snapshot(other=True))
        handle = ready(adapter, first)

        with pytest.raises(Conflict, match=first.name):
            adapter.deploy(plan(other.manifest, name=first.name))

        assert ask(adapter, handle).status_code == 200

    def test_a_changed_byte_in_the_store_is_refused_with_the_files_name(
        self, adapter: Adapter, snapshot: Snapshot, store: ArtifactStore
    ) -> None:
        manifest = snapshot(only_here=uuid.uuid4().hex)
        sha256 = manifest.file("behaviour.json").sha256
        blob = Path(store.url) / "sha256" / sha256[:2] / sha256[2:]
        blob.chmod(0o644)
        blob.write_bytes(blob.read_bytes().replace(b"only", b"0nly"))

        with pytest.raises(IntegrityError, match=r"behaviour\.json"):
            adapter.deploy(plan(manifest))

        assert adapter.list() == []

    def test_a_model_that_cannot_start_fails_with_its_reason(
        self, adapter: Adapter, snapshot: Snapshot
    ) -> None:
        handle = adapter.deploy(plan(snapshot(fail="the weights are of another model")))

        status = settled(adapter, handle)

        assert status.state == "failed"
        assert "the weights are of another model" in status.message, status.message

    def test_undeploy_is_idempotent_and_the_name_can_be_used_again(
        self, adapter: Adapter, snapshot: Snapshot
    ) -> None:
        deployment = plan(snapshot())
        handle = ready(adapter, deployment)
        adapter.undeploy(handle)
        adapter.undeploy(handle)

        again = ready(adapter, deployment)

        assert ask(adapter, again).status_code == 200

    def test_what_was_never_there_is_gone(self, adapter: Adapter) -> None:
        handle = {"name": "dep-never"}
        adapter.undeploy(handle)

        assert adapter.status(handle).state == "gone"
        assert adapter.logs(handle) == ""

    def test_without_a_router_nothing_is_to_be_done(self, adapter: Adapter) -> None:
        assert adapter.address("cc-fraud", "PROD") is None
        assert adapter.route(Split("cc-fraud", "PROD", 1, {"dep-unknown": 100})).done

    def test_a_handle_is_plain_json_and_the_name_alone_is_enough(
        self, adapter: Adapter, connect: Connect, snapshot: Snapshot
    ) -> None:
        handle = ready(adapter, plan(snapshot()))

        assert json.loads(json.dumps(handle)) == handle
        by_name = {"name": handle["name"]}
        assert connect().status(by_name).state == "ready"
        assert [*connect().endpoints(by_name)] == [*adapter.endpoints(handle)]
        connect().undeploy(by_name)
        assert adapter.status(handle).state == "gone"

    def test_list_finds_deployments_in_every_state(self, adapter: Adapter, snapshot: Snapshot) -> None:
        online = ready(adapter, plan(snapshot()))
        batch = ready(adapter, plan(snapshot(), mode="batch"))
        failed = adapter.deploy(plan(snapshot(fail="no")))
        settled(adapter, failed)

        names = {handle["name"] for handle in adapter.list()}

        assert names == {online["name"], batch["name"], failed["name"]}

    def test_logs_hold_what_the_model_prints(self, adapter: Adapter, snapshot: Snapshot) -> None:
        handle = ready(adapter, plan(snapshot()))
        ask(adapter, handle, "print", text="a line of the model")

        wait_for(lambda: adapter.logs(handle), lambda text: "a line of the model" in text, seconds=10)

        assert len(adapter.logs(handle, lines=1).splitlines()) == 1

    def test_a_log_is_followed_without_gap_or_repetition(self, adapter: Adapter, snapshot: Snapshot) -> None:
        handle = ready(adapter, plan(snapshot()))
        before = adapter.follow(handle)
        ask(adapter, handle, "print", text="one line of the model")

        found = wait_for(
            lambda: adapter.follow(handle, before.position),
            lambda log: any("one line of the model" in line for line in log.lines),
            seconds=10,
        )

        after = adapter.follow(handle, found.position)
        assert not any("one line of the model" in line for line in (*before.lines, *after.lines))

    def test_racing_deploys_make_one_deployment(
        self, adapter: Adapter, connect: Connect, snapshot: Snapshot, shared: Path
    ) -> None:
        starts = shared / "starts"
        deployment = plan(snapshot(starts=str(starts)))
        callers = [in_another_process(lambda: connect().deploy(deployment)) for _ in range(8)]
        for caller in callers:
            caller.join()

        handle = ready(adapter, deployment)

        assert [caller.exitcode for caller in callers] == [0] * 8
        assert [*adapter.list()] == [handle]
        assert len(starts.read_text().splitlines()) == 1

    def test_a_caller_killed_at_any_point_leaves_one_deployment_once_it_is_repeated(
        self, adapter: Adapter, connect: Connect, snapshot: Snapshot, shared: Path
    ) -> None:
        manifest = snapshot()
        for milliseconds in range(0, 160, 10):
            deployment = plan(manifest, mode="batch")
            killed_after(milliseconds / 1000, lambda: connect().deploy(deployment))  # noqa: B023

            handle = ready(adapter, deployment)

            assert [*adapter.list()] == [handle]
            killed_after(milliseconds / 4000, lambda: connect().undeploy(handle))  # noqa: B023
            adapter.undeploy(handle)
            assert adapter.list() == []

    # --- jobs

    def test_a_job_scores_a_file_and_brings_its_result(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        job = score(deployment, amount=4.0, rows=5)

        status = ended(adapter, adapter.submit(job))

        assert status.state == "succeeded", status.message
        assert status.exit_code == 0
        assert status.result is not None
        assert status.result["rows_out"] == 5
        [file] = status.result["files"]
        assert parquet.read_table(file["path"])["doubled"].to_pylist() == [8.0] * 5

    def test_a_job_runs_beside_the_server_of_an_online_deployment(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot()))

        status = ended(adapter, adapter.submit(score(deployment)))

        assert status.state == "succeeded", status.message
        assert ask(adapter, deployment).status_code == 200

    def test_submitting_again_finds_the_first_one(
        self, adapter: Adapter, connect: Connect, snapshot: Snapshot, score: Callable[..., Job], shared: Path
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        runs = shared / "runs"
        job = score(deployment, "note", text=str(runs), rows=1)
        first = adapter.submit(job)

        second = connect().submit(job)
        after_first = ended(adapter, second)
        third = connect().submit(job)

        assert first == second == third
        assert ended(adapter, third) == after_first
        assert len(runs.read_text().splitlines()) == 1

    def test_a_caller_killed_while_it_submits_leaves_one_job_once_it_is_repeated(
        self, adapter: Adapter, connect: Connect, snapshot: Snapshot, score: Callable[..., Job], shared: Path
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        for milliseconds in range(0, 120, 20):
            runs = shared / f"runs-{milliseconds}"
            job = score(deployment, "note", text=str(runs), rows=1)
            killed_after(milliseconds / 1000, lambda: connect().submit(job))  # noqa: B023

            assert ended(adapter, adapter.submit(job)).state == "succeeded"

            assert len(runs.read_text().splitlines()) == 1

    def test_a_models_error_is_told_and_the_job_may_run_again(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        job = score(deployment, "fail", text="the model does not like this")

        status = ended(adapter, adapter.submit(job))

        assert (status.state, status.cause, status.exit_code) == ("failed", "error", 1)
        assert "the model does not like this" in status.message
        mended = score(deployment, name=job.name)
        assert ended(adapter, adapter.submit(mended)).state == "succeeded"

    def test_unusable_data_is_told_apart_from_a_broken_model(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job], shared: Path
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        job = score(deployment)
        parquet.write_table(pa.table({"something": ["else"]}), job.arguments["input"][0])

        status = ended(adapter, adapter.submit(job))

        assert (status.state, status.cause, status.exit_code) == ("failed", "invalid_data", 2)
        assert "no column 'act'" in status.message

    def test_a_job_over_its_time_is_ended(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        job = score(deployment, "sleep", amount=600, timeout_seconds=2)

        status = ended(adapter, adapter.submit(job))

        assert (status.state, status.cause) == ("failed", "timeout")

    def test_a_job_over_its_memory_is_told_apart_from_an_error(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        job = score(deployment, "allocate", amount=2048, resources=Resources(cpu=1, memory=512 * MiB))

        status = ended(adapter, adapter.submit(job))

        assert (status.state, status.cause) == ("failed", "memory")
        assert "512 MiB" in status.message

    def test_a_removed_job_leaves_nothing_and_may_run_again(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        job = score(deployment)
        handle = adapter.submit(job)
        assert ended(adapter, handle).state == "succeeded"

        adapter.remove_job(handle)
        adapter.remove_job(handle)

        assert adapter.job_status(handle).state == "gone"
        assert ended(adapter, adapter.submit(job)).state == "succeeded"

    def test_a_job_without_a_snapshot_runs_and_is_listed_until_it_is_removed(
        self, adapter: Adapter, snapshot: Snapshot, shared: Path
    ) -> None:
        manifest = snapshot()
        records = shared / "records.parquet"
        arguments = {
            "kind": "records",
            "input": [field.model_dump(mode="json") for field in manifest.input_schema],
            "golden": [],
            "count": 5,
            "bad": False,
            "output": str(records),
        }
        handle = adapter.submit(
            Job(name=f"job-{uuid.uuid4().hex[:12]}", command="check", arguments=arguments)
        )

        status = ended(adapter, handle)

        assert status.state == "succeeded", status.message
        assert status.result is not None
        assert status.result["made"] == 5
        assert parquet.read_table(records).num_rows == 5
        assert [found["name"] for found in adapter.list_jobs()] == [handle["name"]]
        adapter.remove_job(handle)
        assert [*adapter.list_jobs()] == []

    def test_a_cancelled_job_ends(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        handle = adapter.submit(score(deployment, "sleep", amount=600))
        assert adapter.job_status(handle).state == "running"

        adapter.cancel(handle)
        adapter.cancel(handle)

        status = adapter.job_status(handle)
        assert (status.state, status.cause) == ("failed", "cancelled")

    def test_undeploy_takes_the_jobs_along(
        self, adapter: Adapter, snapshot: Snapshot, score: Callable[..., Job]
    ) -> None:
        deployment = ready(adapter, plan(snapshot(), mode="batch"))
        handle = adapter.submit(score(deployment, "sleep", amount=600))

        adapter.undeploy(deployment)

        assert adapter.job_status(handle).state == "gone"
        adapter.cancel(handle)
        with pytest.raises(AdapterError, match=deployment["name"]):
            adapter.submit(score(deployment))
