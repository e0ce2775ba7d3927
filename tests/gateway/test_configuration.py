"""Whatever the registry says, Envoy understands what it is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airlock.gateway import configuration
from airlock.gateway.program import find_envoy
from airlock.registry.records import Backend, Route


def backends(percent: st.SearchStrategy[int]) -> st.SearchStrategy[Backend]:
    urls = st.sampled_from(
        ["http://127.0.0.1:20001", "http://airlock-1:8080", "https://models.test", "http://[::1]:80"]
    )
    return st.builds(
        Backend,
        deployment_id=st.from_regex(r"dep-[0-9a-f]{4}", fullmatch=True),
        snapshot_name=st.just("m@1"),
        url=urls,
        inside=urls,
        percent=percent,
    )


routes = st.builds(
    Route,
    service=st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
    stage=st.sampled_from(["DEV", "PROD"]),
    backends=st.lists(
        backends(st.integers(0, 100)), max_size=3, unique_by=lambda backend: backend.deployment_id
    ).map(tuple),
    mirror=st.none() | backends(st.integers(1, 100)),
    sticky=st.none() | st.sampled_from(["X-Customer", "x_key"]),
)


@given(st.lists(routes, max_size=4, unique_by=lambda route: (route.service, route.stage)), st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_envoy_takes_whatever_the_registry_says(tmp_path: Path, some: list[Route], inside: bool) -> None:
    document = configuration.bootstrap(tmp_path, "127.0.0.1", 0)
    found = [backend for route in some for backend in (*route.backends, *filter(None, [route.mirror]))]
    resources = document["static_resources"]
    resources["clusters"] = [_static(cluster) for cluster in configuration.clusters(found, inside=inside)]
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"], document["dynamic_resources"]
    manager["route_config"] = _static(configuration.route_table(some)[0])
    (tmp_path / "all.json").write_text(json.dumps(document))

    done = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", tmp_path / "all.json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def _static(resource: configuration.Document) -> configuration.Document:
    return {key: value for key, value in resource.items() if key != "@type"}
