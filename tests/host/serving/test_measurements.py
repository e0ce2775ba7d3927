"""What two versions are compared by."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from airlock_host.schema import Schema
from airlock_host.serving.measurements import Measurements
from airlock_host.snapshot import Deployment
from host.building import GOOD, OUTPUTS


def bounds(measurements: Measurements, name: str) -> list[str]:
    """The bounds of a histogram's buckets, as they are written."""
    lines = measurements.text().decode().splitlines()
    return [line.split('le="')[1].split('"')[0] for line in lines if line.startswith(f"{name}_bucket")]


def p99(seconds: Sequence[float]) -> float:
    """What the buckets tell of the 99th percentile: the middle of the bucket that has it."""
    measurements = Measurements(Deployment(), Schema.read(OUTPUTS))
    for value in seconds:
        measurements.request("score", 200, value)
    [family] = [one for one in measurements.collect() if one.name == "airlock_request_seconds"]
    buckets = [
        (float(sample.labels["le"]), sample.value) for sample in family.samples if "le" in sample.labels
    ]
    below = 0.0
    for bound, count in buckets:
        if count >= math.ceil(0.99 * len(seconds)):
            return math.sqrt(below * bound)
        below = bound
    raise AssertionError("the last bucket has all")


@given(st.lists(st.floats(0.0002, 9.9), min_size=1, max_size=300))
def test_the_99th_percentile_is_told_within_a_tenth(seconds: list[float]) -> None:
    true = sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]
    assert p99(seconds) == pytest.approx(true, rel=0.1)


def test_two_versions_of_one_schema_have_the_same_buckets() -> None:
    versions = [
        Measurements(Deployment(snapshot=f"loans@{number}"), Schema.read(OUTPUTS)) for number in (1, 2)
    ]
    versions[0].request("score", 200, 0.1)
    assert bounds(versions[0], "airlock_score") == bounds(versions[1], "airlock_score")


def test_scores_near_the_ends_are_told_apart() -> None:
    found = bounds(Measurements(Deployment(), Schema.read(OUTPUTS)), "airlock_score")
    assert found[:6] == ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05"]
    assert found[-7:] == ["0.98", "0.99", "0.995", "0.998", "0.999", "1", "+Inf"]
    assert sorted(found, key=float) == found


def test_a_restart_shows(serving: Callable[..., TestClient]) -> None:
    """Counters begin at 0 again; the start of the process says when."""
    client = serving()
    client.post("/score", json=GOOD)
    [line] = [
        line
        for line in client.get("/metrics").text.splitlines()
        if line.startswith("process_start_time_seconds ")
    ]
    assert 0 < float(line.split()[1]) < time.time()
