"""Latency: percentiles and their intervals, and a client that counts every request once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from airlock_host.measure import load, run
from airlock_host.measure.latency import percentile
from measure.building import INPUT
from measure.serving import Answer, Behaviour, endpoint

times = arrays.arrays(np.float64, st.integers(1, 400), elements=st.floats(0.01, 1e4)).map(np.sort)


@given(times, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_the_first_time_that_enough_requests_keep(ordered: np.ndarray, share: float) -> None:
    value = percentile(ordered, share)["value"]

    assert (ordered <= value).mean() >= share - 1e-12
    assert (ordered < value).mean() < share


@given(times, st.sampled_from([0.5, 0.95, 0.99]))
def test_the_interval_of_a_percentile_holds_it(ordered: np.ndarray, share: float) -> None:
    found = percentile(ordered, share)
    low, high = found["interval"]

    assert low is None or low <= found["value"]
    assert high is None or high >= found["value"]


@pytest.mark.parametrize(("count", "bounded"), [(200, False), (300, False), (400, True), (5000, True)])
def test_few_requests_do_not_bound_a_high_percentile_from_above(count: int, bounded: bool) -> None:
    high = percentile(np.arange(1.0, count + 1), 0.99)["interval"][1]

    assert (high is not None) == bounded


def test_about_95_of_100_intervals_hold_the_true_percentile() -> None:
    random = np.random.default_rng(0)
    truth = -math.log(0.05)  # the 95th percentile of the exponential distribution
    held = 0
    for _ in range(400):
        low, high = percentile(np.sort(random.exponential(size=400)), 0.95)["interval"]
        held += low <= truth <= high

    assert 370 <= held <= 399


def test_no_answer_has_no_percentile() -> None:
    assert percentile(np.array([]), 0.5) == {"value": None, "interval": [None, None]}


def good(records: list[dict[str, Any]]) -> Answer:
    return 200, [{"risk": 0.5} for _ in records]


@pytest.mark.parametrize("chunked", [False, True])
def test_each_request_is_sent_and_counted_once(chunked: bool) -> None:
    behaviour = Behaviour(good, chunked=chunked)

    with endpoint(behaviour) as url:
        found = load.send(url, load.encode(url, [[{"a": 1}], [{"a": 2}]]), count=101, concurrency=4)

    assert len(found.seconds) == len(behaviour.asked) == 101
    assert not found.errors
    assert 0 < found.busy < 1.5
    assert found.duration >= max(found.seconds)


def test_failed_requests_are_counted_by_kind_and_have_no_time() -> None:
    turns = iter(range(1000))

    def every_fourth_fails(records: list[dict[str, Any]]) -> Answer:
        return (500, {"error": "no"}) if next(turns) % 4 == 0 else good(records)

    with endpoint(Behaviour(every_fourth_fails)) as url:
        found = load.send(url, load.encode(url, [[{"a": 1}]]), count=40, concurrency=1)

    assert len(found.seconds) == 30
    assert dict(found.errors) == {"answered 500": 10}


def test_a_server_that_closes_each_connection_is_asked_on_new_ones() -> None:
    with endpoint(Behaviour(good, headers={"connection": "close"})) as url:
        found = load.send(url, load.encode(url, [[{"a": 1}]]), count=20, concurrency=2)

    assert len(found.seconds) == 20


def test_a_dead_server_is_all_errors() -> None:
    url = "http://127.0.0.1:9"

    found = load.send(url, load.encode(url, [[{"a": 1}]]), count=7, concurrency=3)

    assert found.seconds == []
    assert sum(found.errors.values()) == 7


def test_a_request_of_several_records_is_a_list() -> None:
    behaviour = Behaviour(good)

    with endpoint(behaviour) as url:
        load.send(url, load.encode(url, [[{"a": 1}, {"a": 2}, {"a": 3}]]), count=2, concurrency=1)

    assert behaviour.asked == [3, 3]


def latency_of(behaviour: Behaviour, **changed: Any) -> dict[str, Any]:
    job = {"kind": "latency", "input": INPUT, "golden": [], "requests": 120, "concurrency": 3, "records": 2}
    with endpoint(behaviour) as url:
        return run({**job, "endpoint": url, **changed})


def test_warm_up_is_sent_but_not_counted() -> None:
    behaviour = Behaviour(good)

    found = latency_of(behaviour)

    assert len(behaviour.asked) == 120 + found["warm_up"]
    assert found["answered"] == 120
    assert found["failed"] == 0
    assert found["error_rate_interval"][0] == 0
    assert found["percentiles"]["p50_ms"]["value"] <= found["percentiles"]["p99_ms"]["value"]
    assert set(behaviour.asked) == {2}
    assert len(found["figures"]) == 1


def test_large_requests_are_prepared_in_small_number() -> None:
    found = latency_of(Behaviour(good), records=10_000, requests=3, concurrency=1)

    assert found["different_requests"] == 2


def test_only_failures_have_no_percentile_and_no_figure() -> None:
    found = latency_of(Behaviour(lambda records: (500, {})))

    assert found["error_rate"] == 1.0
    assert found["percentiles"]["p99_ms"]["value"] is None
    assert found["figures"] == []
