"""The parts of the kind ``docker`` that need no engine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from airlock.exceptions import AdapterError, SpecError
from airlock.runtimes.base import DeploymentPlan, Job
from airlock.runtimes.docker import archive, container, labels
from airlock.runtimes.docker.logs import lines_after, second_of, without_times
from airlock.runtimes.docker.mounts import mounts_of_job
from airlock.runtimes.docker.names import container_name
from airlock.runtimes.docker.ports import pick_port
from airlock.runtimes.docker.readiness import look
from airlock.spec import MiB
from airlock.spec.runtime_options import DockerOptions, Publish, Volume

# --- names


def test_a_name_can_be_read_and_is_a_host_name() -> None:
    name = container_name("airlock", "docker-dev", "dep-0123456789ab")

    assert name.startswith("airlock-docker-dev-dep-0123456789ab-")
    assert len(name) <= 63
    assert name.replace("-", "").isalnum()
    assert name == container_name("airlock", "docker-dev", "dep-0123456789ab")


def test_names_differ_wherever_anything_differs() -> None:
    parts: list[tuple[str, str, str | None, str | None]] = [
        ("a", "b-c", "d", None),
        ("a-b", "c", "d", None),
        ("a", "b", "c-d", None),
        ("a", "b", None, "c-d"),
        ("a", "b", "c", "d"),
        ("a", "b", "c_d", None),
        ("a", "b", "C-d", None),
        ("a", "b", "x" * 80, None),
        ("a", "b", "x" * 81, None),
    ]

    names = {container_name(*part) for part in parts}

    assert len(names) == len(parts)
    assert all(len(name) <= 63 and not name.endswith("-") for name in names)


# --- ports


def test_a_port_follows_from_the_name_and_passes_over_taken_ones() -> None:
    publish = Publish(ports="20000-20003")
    first = pick_port(publish, "dep-1", set())

    assert first == pick_port(publish, "dep-1", set())
    assert {pick_port(publish, "dep-1", taken) for taken in ({first}, {20000, 20001, 20002})} <= {
        20000,
        20001,
        20002,
        20003,
    }
    assert pick_port(publish, "dep-1", {20000, 20001, 20002}) == 20003
    with pytest.raises(AdapterError, match="No port of 20000-20003 is free on 127"):
        pick_port(publish, "dep-1", {20000, 20001, 20002, 20003})


# --- logs

LOG = (
    "2026-11-22T10:00:00.100000000Z one\n"
    "2026-11-22T10:00:01.100000000Z two\n"
    "2026-11-22T10:00:01.100000000Z three with  spaces\r\n"
)


def since(text: str, position: str | None) -> str:
    """What an engine gives from a position's second on."""
    second = second_of(position)
    if second is None:
        return text
    times = {"10:00:00": 1795341600, "10:00:01": 1795341601, "10:00:02": 1795341602}
    return "".join(line for line in text.splitlines(keepends=True) if times[line[11:19]] >= second)


def test_a_log_is_read_on_from_where_it_was_left() -> None:
    first = lines_after(LOG, None)
    assert [*first.lines] == ["one", "two", "three with  spaces"]
    assert [*lines_after(since(LOG, first.position), first.position).lines] == []
    longer = LOG + "2026-11-22T10:00:01.100000000Z four\n2026-11-22T10:00:02.000000000Z \n"

    second = lines_after(since(longer, first.position), first.position)

    assert [*second.lines] == ["four", ""]
    assert [*lines_after(since(longer, second.position), second.position).lines] == []


def test_an_empty_log_keeps_the_position() -> None:
    assert lines_after("", None).position == ""
    assert lines_after("", "1795341600/2").position == "1795341600/2"
    assert second_of("") is None


def test_lines_without_times() -> None:
    assert without_times(LOG)[-1] == "three with  spaces"


# --- archives


def test_what_is_packed_can_be_read() -> None:
    packed = archive.pack(uid=1, gid=2, files={"result.json": b'{"rows": 1}'})

    assert archive.read_json(packed) == {"rows": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_what_is_no_result_is_none(content: bytes) -> None:
    assert archive.read_json(archive.pack(uid=1, gid=2, files={"result.json": content})) is None


def test_a_folder_in_place_of_a_result_is_none() -> None:
    assert archive.read_json(archive.pack(uid=1, gid=2, folders=["result.json"], files={})) is None
    assert archive.read_json(None) is None
    assert archive.read_json(b"no archive") is None


# --- states


def found(mode: str = "online", policy: str = "always", restarts: int = 0, **state: Any) -> dict[str, Any]:
    """A container as the engine describes it."""
    times = {"StartedAt": "2026-11-22T10:00:00.123456789Z", "FinishedAt": "2026-11-22T10:00:05.1Z"}
    return {
        "Name": "/airlock-it",
        "RestartCount": restarts,
        "Config": {"Labels": {labels.MODE: mode}},
        "HostConfig": {"RestartPolicy": {"Name": policy}, "Memory": 512 * MiB},
        "State": {"Status": "running", "ExitCode": 0, "OOMKilled": False, "Error": "", **times, **state},
    }


@pytest.mark.parametrize(
    ("container", "state", "words"),
    [
        (found("batch", Status="created"), "ready", ""),
        (found("batch", Status="removing"), "gone", ""),
        (found(Status="created"), "failed", "never started"),
        (found(Status="created", Error="no such program"), "failed", "no such program"),
        (found(Health={"Status": "healthy"}), "ready", ""),
        (found(Health={"Status": "healthy"}, restarts=2), "ready", "started again 2 times"),
        (found(Health={"Status": "starting"}), "starting", "does not say yet"),
        (
            found(Health={"Status": "starting", "Log": [{"Output": "not ready: x\n"}]}),
            "starting",
            "(not ready: x)",
        ),
        (found(Health={"Status": "unhealthy"}), "failed", "no longer says"),
        (found(policy="on-failure", Health={"Status": "unhealthy"}), "failed", "did not say in time"),
        (found(Status="paused", Paused=True), "failed", "docker unpause airlock-it"),
        (found(Status="restarting", ExitCode=137, restarts=1), "starting", "signal 9"),
        (found(Status="restarting", ExitCode=7, restarts=5), "failed", "5 times, at last with exit code 7"),
        (
            found(Status="restarting", ExitCode=7, restarts=5, FinishedAt="2026-11-22T11:00:00Z"),
            "starting",
            "exit code 7",
        ),
        (
            found(policy="on-failure", Status="exited", ExitCode=137, OOMKilled=True, restarts=1),
            "failed",
            "2 times before it was ready, at last with a need for more memory than its 512 MiB",
        ),
        (found(policy="on-failure", Status="exited", ExitCode=3), "failed", "It ended before it was ready"),
        (found(Status="exited", ExitCode=143), "failed", "It was stopped"),
        (found(Status="exited", ExitCode=128, Error="port is taken"), "failed", "port is taken"),
    ],
)
def test_states(container: dict[str, Any], state: str, words: str) -> None:
    status = look(container)

    assert (status.state, words in status.message) == (state, True), status


# --- what the engine is told


def test_a_job_takes_the_labels_of_its_deployment_but_not_what_is_its_own() -> None:
    owner = labels.of_runtime("airlock", "docker-dev")
    own = {
        **owner,
        "airlock.deployment": "dep-1",
        "airlock.service": "cc-fraud",
        labels.MODE: "online",
        labels.PORT: "20001",
        "org.opencontainers.image.title": "of the image",
    }

    made = labels.of_job(
        owner, Job("job-1", "batch", {}, timeout_seconds=90), labels.for_jobs(own), "sha256:1"
    )

    assert made["airlock.service"] == "cc-fraud"
    assert made[labels.MODE] == "job"
    assert made[labels.TIMEOUT] == "90"
    assert labels.PORT not in made
    assert "org.opencontainers.image.title" not in made
    assert labels.variables(made) == {
        "runtime": "docker-dev",
        "deployment": "dep-1",
        "service": "cc-fraud",
        "job": "job-1",
    }


def shape(**changes: Any) -> container.Shape:
    known = {"image": "sha256:1", "labels": {}, "cpu": 0.5, "memory": 256 * MiB, "user": "10001:10001"}
    return container.Shape(**{**known, "network": "airlock", **changes})


def server(made_of: container.Shape, api_version: tuple[int, ...] = (1, 41), **more: Any) -> dict[str, Any]:
    return container.server(
        made_of, address=None, port=None, ready_within=600, api_version=api_version, **more
    )


@pytest.mark.parametrize(
    "told", [server(shape()), container.job(shape(), command="check", timeout_seconds=60)]
)
def test_every_container_is_secured_and_limited(told: dict[str, Any]) -> None:
    host = told["HostConfig"]

    assert told["User"] == "10001:10001"
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges"],
    )
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 256 * MiB, 256 * MiB)
    assert host["PidsLimit"] > 0
    assert "Privileged" not in host


def test_a_server_is_asked_more_often_while_it_starts_where_the_engine_can() -> None:
    old, new = (server(shape(), version)["Healthcheck"] for version in ((1, 41), (1, 44)))

    assert ("StartInterval" in old, "StartInterval" in new) == (False, True)
    assert old["Interval"] <= 5_000_000_000
    assert old["StartPeriod"] == 600_000_000_000


def test_what_bounds_logs_by_itself_is_left_alone() -> None:
    assert "LogConfig" not in server(shape(bound_log=False))["HostConfig"]


def test_a_placeholder_gets_no_secret() -> None:
    assert "Env" not in container.placeholder("sha256:1", {})


def test_a_deployment_keeps_the_words_of_its_plan() -> None:
    plan = DeploymentPlan("dep-1", "sha256:0", None, "batch", None, {"service": "a", "digest": "b"})  # type: ignore[arg-type]

    made = labels.of_deployment(labels.of_runtime("airlock", "r"), plan, "sha256:1")

    assert labels.deployment_handle(made) == {
        "kind": "docker",
        "runtime": "r",
        "name": "dep-1",
        "digest": "sha256:0",
        "image": "sha256:1",
    }


# --- files


def job(folder: Path) -> Job:
    (folder / "in").mkdir()
    arguments = {"input": [str(folder / "in" / "a.csv")], "output": str(folder / "out" / "x")}
    return Job("job-1", "batch", arguments)


def test_a_job_gets_binds_for_what_it_names(tmp_path: Path) -> None:
    mounts = mounts_of_job(job(tmp_path), [], (os.getuid(), os.getgid()))

    kept = {(mount["Type"], mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in mounts}
    assert kept == {
        ("bind", f"{tmp_path}/in", f"{tmp_path}/in", True),
        ("bind", f"{tmp_path}/out/x", f"{tmp_path}/out/x", False),
    }
    assert (tmp_path / "out" / "x").is_dir()


def test_a_job_gets_a_volume_instead_of_a_bind(tmp_path: Path) -> None:
    volumes = [Volume(volume="data", folder=str(tmp_path)), Volume(volume="unused", folder="/elsewhere")]

    mounts = mounts_of_job(job(tmp_path), volumes, (os.getuid(), os.getgid()))

    assert mounts == [{"Type": "volume", "Source": "data", "Target": str(tmp_path), "ReadOnly": False}]
    assert (tmp_path / "out" / "x").is_dir()


def test_a_volume_that_airflow_does_not_see_is_left_to_the_host() -> None:
    hidden = Job("job-1", "batch", {"output": "/no/such/volume/out"})

    mounts = mounts_of_job(hidden, [Volume(volume="data", folder="/no/such/volume")], (1, 1))

    assert [mount["Source"] for mount in mounts] == ["data"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another group")
def test_where_airflow_is_root_the_containers_group_may_write_to_outputs_and_nobody_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "out" / "x").mkdir(parents=True, mode=0o750)

    mounts_of_job(job(tmp_path), [], (10001, 10001))

    about = (tmp_path / "out" / "x").stat()
    assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (0, 10001, 0o770)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    with pytest.raises(AdapterError, match=rf"output folder {tmp_path}/out/x cannot be made"):
        mounts_of_job(job(tmp_path), [], (os.getuid(), os.getgid()))


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    made = job(tmp_path)
    (tmp_path / "in").chmod(0o700)

    with pytest.raises(AdapterError, match=rf"77:77 may not read the folder {tmp_path}/in"):
        mounts_of_job(made, [], (77, 77))


# --- options


@pytest.mark.parametrize("user", ["root", "1000", "1000:", "-1:0"])
def test_a_user_is_two_numbers(user: str) -> None:
    with pytest.raises(SpecError, match="no user and group"):
        DockerOptions(user=user)


def test_a_model_never_runs_as_root() -> None:
    with pytest.raises(SpecError, match="models do not run as root"):
        DockerOptions(user="0:0")


def test_a_server_keeps_its_answers_only_where_it_is_told_to() -> None:
    assert "--record-answers" not in server(shape())["Cmd"]
    assert server(shape(), record_answers=1000)["Cmd"][-2:] == ["--record-answers", "1000"]
