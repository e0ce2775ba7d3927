"""Kind ``docker``: the contract of all kinds' streams, and where their credentials are not."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Iterator

import docker.types  # type: ignore[import-untyped]
import pytest

from airlock.runtimes.docker.container import STREAM_FILE
from airlock.runtimes.docker.names import container_name
from airlock.runtimes.streams import StreamRole
from tests.docker_engine import DockerEngine

from ..brokers import SECRET, Brokers
from ..conftest import Snapshot
from ..contract import Connect, plan, ready
from ..stream_contract import StreamContract, reads, stream_plan
from ..waiting import wait_for
from .conftest import PROJECT, Runtime

pytestmark = [pytest.mark.docker, pytest.mark.package_index]

_HERE = "10.99.1.1"
"""This machine as containers see it: as long as the address that the mock cluster writes into its answers."""


@pytest.fixture(scope="module")
def network(docker_engine: DockerEngine) -> Iterator[str]:
    """A network in which this machine has that address."""
    client = docker_engine.client()
    name = f"streams-{uuid.uuid4().hex[:8]}"
    pool = docker.types.IPAMPool(subnet="10.99.1.0/24", gateway=_HERE)
    client.create_network(name, driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    yield name
    client.remove_network(name)


@pytest.fixture(scope="module")
def brokers(network: str) -> Brokers:
    return Brokers(_HERE)


@pytest.fixture
def connect(runtime: Runtime, network: str) -> Connect:
    return lambda: runtime(network=network)


class TestStreams(StreamContract):
    """What is asked of every kind's streams."""

    @pytest.fixture
    def connect(self, connect: Connect) -> Connect:
        return connect


def test_the_file_is_for_its_user_alone_and_nothing_else_holds_what_is_in_it(
    connect: Connect, docker_engine: DockerEngine, brokers: Brokers, snapshot: Snapshot
) -> None:
    adapter = connect()
    handle = ready(adapter, stream_plan(brokers, snapshot, brokers.topics()))
    client = docker_engine.client()
    name = container_name(PROJECT, handle["runtime"], handle["name"])

    pieces, _ = client.get_archive(name, STREAM_FILE)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as packed:
        [file] = packed.getmembers()
        content = json.load(packed.extractfile(file))  # type: ignore[arg-type]

    assert file.mode & 0o777 == 0o600
    assert file.uid != 0
    assert content["client"]["sasl.password"] == SECRET
    assert content["reads"] == "nothing"
    assert SECRET not in json.dumps(client.inspect_container(name))


def test_a_worker_that_is_killed_goes_on_reading_what_it_read(
    connect: Connect, docker_engine: DockerEngine, brokers: Brokers, snapshot: Snapshot
) -> None:
    adapter, client, kafka = connect(), docker_engine.client(), brokers.topics()
    handle = ready(adapter, stream_plan(brokers, snapshot, kafka))
    adapter.stream(handle, brokers.file(kafka, handle["name"], StreamRole("input")))
    wait_for(lambda: reads(adapter, handle), lambda found: found == "input")
    name = container_name(PROJECT, handle["runtime"], handle["name"])

    client.exec_start(client.exec_create(name, ["python", "-c", "import os; os.kill(-1, 9)"])["Id"])

    wait_for(lambda: client.inspect_container(name)["RestartCount"], lambda count: count == 1)
    brokers.write(kafka, range(10))
    wait_for(lambda: brokers.answers(kafka), lambda found: len(found) == 10)


def test_a_stream_has_an_image_of_its_own(
    connect: Connect, docker_engine: DockerEngine, brokers: Brokers, snapshot: Snapshot
) -> None:
    adapter, client = connect(), docker_engine.client()
    server = ready(adapter, plan(snapshot()))
    stream = ready(adapter, stream_plan(brokers, snapshot, brokers.topics()))

    assert stream["image"] != server["image"]
    assert (stream.get("stream"), server.get("stream")) == (True, None)
    tags = [client.inspect_image(handle["image"])["RepoTags"] for handle in (server, stream)]
    assert [[tag.endswith("-stream") for tag in own] for own in tags] == [[False], [True]]
