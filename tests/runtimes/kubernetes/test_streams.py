"""Kind ``kubernetes``: the contract of all kinds' streams, on the tests' own cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airlock.spec.kubernetes_parts import KServe

from ..brokers import SECRET, Brokers
from ..conftest import Snapshot
from ..contract import Connect, ready
from ..stream_contract import StreamContract, stream_plan
from .broker_in_pods import BrokerInPods
from .conftest import Runtime
from .stub.cluster import StubCluster

pytestmark = [pytest.mark.kubernetes, pytest.mark.package_index]


@pytest.fixture(scope="module")
def brokers() -> Iterator[Brokers]:
    brokers = Brokers()
    in_pods = BrokerInPods(int(brokers.client["bootstrap.servers"].rpartition(":")[2]))
    yield brokers
    in_pods.close()


class TestStreams(StreamContract):
    """What is asked of every kind's streams."""

    @pytest.fixture
    def connect(self, runtime: Runtime) -> Connect:
        return runtime


def test_a_stream_is_a_deployment_also_where_servers_are_inference_services(
    runtime: Runtime, cluster: StubCluster, namespace: str, brokers: Brokers, snapshot: Snapshot
) -> None:
    adapter = runtime(kserve=KServe().model_dump())

    handle = ready(adapter, stream_plan(brokers, snapshot, brokers.topics()))

    [found] = cluster.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    assert found["metadata"]["name"] == handle["name"]
    pods = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods")
    assert SECRET not in json.dumps([found, pods])
