"""What goes wrong with engines, images, ports and disks: told in words, and mended by doing it again."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as parquet  # type: ignore[import-untyped]
import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Handle, Job, RuntimeSettings
from airlock.runtimes.docker.adapter import DockerAdapter
from airlock.runtimes.docker.engine import Engine
from airlock.runtimes.docker.network import ensure_network
from airlock.spec import DockerOptions, MiB, RuntimeSpec
from tests import base_image as machine_image
from tests.docker_engine import DockerEngine

from ..conftest import Snapshot
from ..contract import ask, ended, plan, ready, settled
from ..waiting import wait_for
from .conftest import Runtime

pytestmark = [pytest.mark.docker, pytest.mark.package_index]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the input of jobs, beside that of their output."""
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "data" / "in").chmod(0o755)
    return tmp_path / "data"


def job(data: Path, deployment: Handle, act: str = "", *, name: str = "", amount: float = 1.0) -> Job:
    """A job that scores one record."""
    name = name or f"job-{uuid.uuid4().hex[:12]}"
    path = data / "in" / f"{name}.parquet"
    parquet.write_table(pa.table({"act": [act], "text": [""], "amount": [amount]}), path)
    arguments = {"kind": "score", "input": [str(path)], "output": str(data / "out" / name), "processes": 1}
    return Job(name=name, command="batch", arguments=arguments, deployment=deployment)


# --- the engine


def test_an_engine_without_addresses_for_a_network_is_told() -> None:
    engine = DockerEngine.in_new_folder(pool="10.215.0.0/24")
    engine.start()
    try:
        engine.client().create_network("took-them-all", driver="bridge")
        options = DockerOptions(engine=engine.url)
        with pytest.raises(AdapterError, match=r"cannot make the network airlock: .*'docker network prune'"):
            ensure_network(Engine(options, None), options)
    finally:
        engine.remove()


def test_a_killed_engine_is_told_and_all_goes_on_once_it_is_back(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine, data: Path
) -> None:
    adapter = runtime()
    online, batch = ready(adapter, plan(snapshot())), ready(adapter, plan(snapshot(), mode="batch"))
    before = [*adapter.endpoints(online)]
    running = adapter.submit(job(data, batch, "sleep", name="interrupted", amount=600))
    assert adapter.job_status(running).state == "running"

    docker_engine.kill()
    try:
        assert not adapter.check().ok
        with pytest.raises(AdapterError, match=re.escape(docker_engine.url)):
            adapter.job_status(running)
    finally:
        docker_engine.start()

    status = ended(adapter, running)
    assert (status.state, status.cause in ("lost", "signal")) == ("failed", True), status
    back = settled(adapter, online)
    assert back.state == "ready", back.message
    assert [*adapter.endpoints(online)] == before
    assert ask(adapter, online).status_code == 200
    assert adapter.status(batch).state == "ready"
    again = ended(adapter, adapter.submit(job(data, batch, name="interrupted")))
    assert again.state == "succeeded", again.message


def test_a_restarted_engine_brings_servers_back(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine, data: Path
) -> None:
    adapter = runtime()
    online, batch = ready(adapter, plan(snapshot())), ready(adapter, plan(snapshot(), mode="batch"))
    running = adapter.submit(job(data, batch, "sleep", amount=600))
    wait_for(lambda: "scoring" in adapter.logs(running))

    docker_engine.stop()
    docker_engine.start()

    status = adapter.job_status(running)
    assert (status.state, status.cause in ("lost", "signal")) == ("failed", True), status
    assert settled(adapter, online).state == "ready"
    assert ask(adapter, online).status_code == 200


def test_an_engine_that_is_not_there(runtime: Runtime, snapshot: Snapshot, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/docker.sock"
    for engine, why in (
        (nowhere, f"There is no Docker engine at {nowhere}"),
        ("tcp://127.0.0.1:1", "The Docker engine at tcp://127.0.0.1:1 cannot be reached"),
    ):
        adapter = runtime(engine=engine)

        health = adapter.check()

        assert (health.ok, why in health.message) == (False, True), health
        with pytest.raises(AdapterError, match=re.escape(why)):
            adapter.deploy(plan(snapshot()))
        with pytest.raises(AdapterError, match=re.escape(why)):
            adapter.status({"name": "dep-1"})


# --- ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A stranger that listens, with a free port behind its own."""
    for port in range(28000, 28900, 2):
        taken, free = socket.socket(), socket.socket()
        try:
            taken.bind(("127.0.0.1", port))
            free.bind(("127.0.0.1", port + 1))
        except OSError:
            continue
        finally:
            free.close()
        with taken:
            taken.listen()
            yield taken
        return
    raise AssertionError("no two free ports")


def test_a_taken_port_is_passed_over(runtime: Runtime, snapshot: Snapshot, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    adapter = runtime(publish={"ports": f"{port}-{port + 1}"})

    handle = ready(adapter, plan(snapshot()))

    assert [endpoint.url for endpoint in adapter.endpoints(handle)] == [f"http://127.0.0.1:{port + 1}"]
    with pytest.raises(AdapterError, match=rf"No port of {port}-{port + 1} is free.*Widen publish\.ports"):
        adapter.deploy(plan(snapshot()))
    assert [*adapter.list()] == [handle]


# --- images


def test_an_image_that_was_removed_is_made_again(
    runtime: Runtime, snapshot: Snapshot, docker_engine: DockerEngine, data: Path
) -> None:
    adapter = runtime()
    deployment = plan(snapshot(only_here=uuid.uuid4().hex), mode="batch")
    handle = ready(adapter, deployment)
    docker_engine.client().remove_image(handle["image"], force=True)

    status = adapter.status(handle)

    assert (status.state, "image" in status.message) == ("failed", True)
    with pytest.raises(AdapterError, match="image"):
        adapter.submit(job(data, handle))
    again = ready(adapter, deployment)
    assert ended(adapter, adapter.submit(job(data, again))).state == "succeeded"


def test_a_base_image_that_cannot_be_had_is_named(runtime: Runtime, snapshot: Snapshot) -> None:
    adapter = runtime(images={"base": "127.0.0.1:1/no-such-image:latest"})

    with pytest.raises(AdapterError, match="no-such-image"):
        adapter.deploy(plan(snapshot(only_here=uuid.uuid4().hex)))

    assert [*adapter.list()] == []


# --- models


def test_a_server_that_never_gets_ready_is_told_with_its_last_lines(
    runtime: Runtime, snapshot: Snapshot
) -> None:
    adapter = runtime(ready_within="3s")
    handle = adapter.deploy(plan(snapshot(slow=600)))

    status = settled(adapter, handle)

    assert status.state == "failed"
    assert "did not say in time that it is ready" in status.message
    assert "loading obedient" in status.message
    adapter.undeploy(handle)
    assert adapter.status(handle).state == "gone"


def test_a_model_that_needs_more_memory_than_it_may_have_to_start(
    runtime: Runtime, snapshot: Snapshot
) -> None:
    adapter = runtime()

    status = settled(adapter, adapter.deploy(plan(snapshot(allocate=2048), memory=300 * MiB)))

    assert status.state == "failed"
    assert "2 times before it was ready" in status.message
    assert "more memory than its 300 MiB" in status.message


# --- disks


@pytest.fixture
def small_engine() -> Iterator[DockerEngine]:
    """An engine whose disk is small."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-small-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500m", "small", str(folder)], check=True)
    engine = DockerEngine(folder / "e")
    try:
        engine.start()
        machine_image.make(engine.client(timeout=300))
        yield engine
    finally:
        engine.remove()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def small_runtime(engine: DockerEngine, settings: RuntimeSettings) -> DockerAdapter:
    options = {"engine": engine.url, "images": {"base": machine_image.TAG}}
    return DockerAdapter(
        RuntimeSpec("small", kind="docker", stages=["DEV"], options=DockerOptions.model_validate(options)),
        settings,
    )


def test_a_full_disk_is_told_and_all_goes_on_once_there_is_room(
    small_engine: DockerEngine, settings: RuntimeSettings, snapshot: Snapshot, data: Path
) -> None:
    adapter = small_runtime(small_engine, settings)
    handle = ready(adapter, plan(snapshot(), mode="batch"))
    filler = small_engine.folder / "filler"
    fill(filler)

    health = adapter.check()
    assert (health.ok, "MiB of space left" in health.message) == (False, True), health
    with pytest.raises(AdapterError, match=r"disk of the Docker engine at .* is full.*docker system df"):
        adapter.submit(job(data, handle))

    filler.unlink()
    assert ended(adapter, adapter.submit(job(data, handle))).state == "succeeded"
    adapter.undeploy(handle)
    assert small_engine.client().containers(all=True) == []


def fill(path: Path) -> None:
    """Write until the disk is full."""
    free = shutil.disk_usage(path.parent).free
    with path.open("wb", buffering=0) as stream:
        os.posix_fallocate(stream.fileno(), 0, free)
    assert shutil.disk_usage(path.parent).free == 0


# --- TLS


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Path]:
    """An authority, and what it certifies of an engine on loopback and of a client."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority",
            "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
    for name, extension in (
        ("engine", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
        ("client", "extendedKeyUsage=clientAuth\n"),
    ):
        (tmp_path / f"{name}.ext").write_text(extension)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip
    return {path.name: path for path in tmp_path.iterdir()}


@pytest.fixture
def tls_engine(tls: dict[str, Path]) -> Iterator[str]:
    """The address of an engine that talks to those alone whom the authority certifies."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-tls-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = [f"--data-root={folder}/d", f"--exec-root={folder}/x", f"--pidfile={folder}/pid"]
    files = [
        f"--tlscacert={tls['ca.pem']}",
        f"--tlscert={tls['engine.pem']}",
        f"--tlskey={tls['engine.key']}",
    ]
    network = ["--iptables=false", "--ip6tables=false", "--bridge=none", f"--host=tcp://127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["dockerd", *folders, *network, "--tlsverify", *files], stdout=log, stderr=log
        )
    try:
        wait_for(lambda: "API listen on 127.0.0.1" in (folder / "log").read_text(), seconds=60)
        yield f"tcp://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_engine_behind_tls(tls: dict[str, Path], tls_engine: str, settings: RuntimeSettings) -> None:
    def adapter(**options: Any) -> DockerAdapter:
        chosen = DockerOptions.model_validate({"engine": tls_engine, **options})
        return DockerAdapter(
            RuntimeSpec("behind-tls", kind="docker", stages=["DEV"], options=chosen), settings
        )

    files = {"ca": tls["ca.pem"], "certificate": tls["client.pem"], "key": tls["client.key"]}
    known = adapter(tls={name: str(path) for name, path in files.items()})

    health = known.check()

    assert health.ok, health.message
    assert (known.status({"name": "dep-1"}).state, [*known.list()]) == ("gone", [])
    assert not adapter().check().ok
    strangers = {**files, "certificate": tls["engine.pem"], "key": tls["engine.key"]}
    assert not adapter(tls={name: str(path) for name, path in strangers.items()}).check().ok
