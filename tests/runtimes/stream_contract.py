"""What every adapter must do with streams: each kind's tests inherit this suite.

A kind's class gives the fixture ``connect`` as for :class:`AdapterContract`, and its module ``brokers``, whom
deployments of this kind reach.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from airlock.exceptions import AdapterError, Conflict
from airlock.runtimes.base import Adapter, DeploymentPlan, Handle
from airlock.runtimes.streams import StreamRole
from airlock.spec import Kafka

from . import contract
from .brokers import SECRET, Brokers
from .conftest import Snapshot
from .contract import Connect, plan, ready
from .waiting import wait_for

INPUT = StreamRole("input")


def stream_plan(brokers: Brokers, snapshot: Snapshot, kafka: Kafka) -> DeploymentPlan:
    """A plan of a stream, which reads nothing at first."""
    made = plan(snapshot())
    return replace(made, stream=brokers.file(kafka, made.name))


def reads(adapter: Adapter, handle: Handle) -> str | None:
    """What a deployment says that it reads; ``None`` while it does not say."""
    [metrics] = [found for found in adapter.endpoints(handle) if found.kind == "metrics"]
    address, headers = contract.address_of(metrics)
    text = httpx.get(f"{address}/metrics", headers=headers, timeout=30).text
    return next(iter(re.findall(r'airlock_stream_reads\{[^}]*reads="(\w+)"[^}]*\} 1\.0', text)), None)


class StreamContract:
    """Run by each kind's tests."""

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError("each kind gives this fixture")

    @pytest.fixture
    def adapter(self, connect: Connect) -> Iterator[Adapter]:
        adapter = connect()
        yield adapter
        for handle in adapter.list():
            adapter.undeploy(handle)

    @pytest.fixture
    def let_read(self, brokers: Brokers) -> Callable[[Adapter, Handle, Kafka], None]:
        """Has a deployment read the input, and waits until it says so."""

        def tell(adapter: Adapter, handle: Handle, kafka: Kafka) -> None:
            adapter.stream(handle, brokers.file(kafka, handle["name"], INPUT))
            wait_for(lambda: reads(adapter, handle), lambda found: found == "input", seconds=120)

        return tell

    def test_a_stream_gets_ready_reading_nothing_and_reads_when_it_is_told(
        self,
        adapter: Adapter,
        brokers: Brokers,
        snapshot: Snapshot,
        let_read: Callable[[Adapter, Handle, Kafka], None],
    ) -> None:
        kafka = brokers.topics()
        brokers.write(kafka, range(50))
        handle = ready(adapter, stream_plan(brokers, snapshot, kafka))

        topic, metrics = adapter.endpoints(handle)
        assert (topic.kind, topic.url) == ("kafka", f"kafka://{kafka.input}")
        assert metrics.kind == "metrics"
        assert reads(adapter, handle) == "nothing"
        assert brokers.answers(kafka) == []

        let_read(adapter, handle, kafka)

        expected = [2.0 * amount for amount in range(50)]
        wait_for(lambda: brokers.answers(kafka), lambda found: found == expected, seconds=60)
        assert adapter.status(handle).state == "ready"

    def test_one_goes_and_the_next_reads_on(
        self,
        adapter: Adapter,
        brokers: Brokers,
        snapshot: Snapshot,
        let_read: Callable[[Adapter, Handle, Kafka], None],
    ) -> None:
        kafka = brokers.topics()
        first = ready(adapter, stream_plan(brokers, snapshot, kafka))
        second = ready(adapter, stream_plan(brokers, snapshot, kafka))
        let_read(adapter, first, kafka)
        brokers.write(kafka, range(20))
        wait_for(lambda: brokers.answers(kafka), lambda found: len(found) == 20, seconds=60)

        adapter.undeploy(first)
        brokers.write(kafka, range(20, 40))
        let_read(adapter, second, kafka)

        expected = [2.0 * amount for amount in range(40)]
        wait_for(lambda: brokers.answers(kafka), lambda found: len(found) >= 40, seconds=60)
        assert brokers.answers(kafka) == expected
        assert adapter.status(first).state == "gone"

    def test_one_that_is_adopted_goes_on_reading_what_it_read(
        self,
        adapter: Adapter,
        connect: Connect,
        brokers: Brokers,
        snapshot: Snapshot,
        let_read: Callable[[Adapter, Handle, Kafka], None],
    ) -> None:
        kafka = brokers.topics()
        deployment = stream_plan(brokers, snapshot, kafka)
        handle = ready(adapter, deployment)
        let_read(adapter, handle, kafka)

        assert ready(connect(), deployment) == handle
        connect().stream({"name": handle["name"]}, brokers.file(kafka, handle["name"], INPUT))

        brokers.write(kafka, range(10))
        wait_for(lambda: brokers.answers(kafka), lambda found: len(found) == 10, seconds=60)
        assert reads(adapter, handle) == "input"

    def test_credentials_are_in_no_handle(
        self, adapter: Adapter, brokers: Brokers, snapshot: Snapshot
    ) -> None:
        deployment = stream_plan(brokers, snapshot, brokers.topics())
        handle = ready(adapter, deployment)

        assert SECRET not in json.dumps([handle, *adapter.list()])
        assert SECRET not in repr(deployment)
        assert SECRET not in adapter.logs(handle)

    def test_a_stream_and_a_server_are_not_taken_for_each_other(
        self, adapter: Adapter, brokers: Brokers, snapshot: Snapshot
    ) -> None:
        stream = stream_plan(brokers, snapshot, brokers.topics())
        server = plan(snapshot(), mode="batch")
        ready(adapter, stream)
        handle = ready(adapter, server)

        with pytest.raises(Conflict, match=stream.name):
            adapter.deploy(replace(stream, stream=None))
        with pytest.raises(AdapterError, match="no stream"):
            adapter.stream(handle, dict(stream.stream or {}))
        with pytest.raises(AdapterError, match="no stream"):
            adapter.stream({"name": "dep-never"}, dict(stream.stream or {}))
