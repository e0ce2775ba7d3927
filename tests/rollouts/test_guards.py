"""What guards say of two versions."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.rollouts import Compared, Finding, Look, Measured, judge
from airlock.rollouts.answers import Example, Labels, Numbers
from airlock.rollouts.measured import COUNTED_FROM_THE_FIRST
from airlock.rollouts.score_distribution import index_bounds, stability_index
from airlock.spec import (
    AnswersGuard,
    ErrorRateGuard,
    Guard,
    LatencyGuard,
    MetricGuard,
    ScoreDistributionGuard,
)
from tests.rollouts.building import measured, measured_stream

PROJECT = Path(__file__).resolve().parents[2]
END = Look(planned=True, least_requests=300)
BEFORE = Look(planned=False, least_requests=300)


def only(guard: Guard, new: Measured, current: Measured, look: Look = END) -> Finding:
    [result] = judge([guard], new, current, look)
    [finding] = result.findings
    assert result.status == finding.status
    assert result.summary == finding.sentence
    return finding


@pytest.mark.parametrize(
    ("new", "current", "status"),
    [
        ((1000, 0), (9000, 0), "pass"),
        ((1000, 3), (9000, 20), "pass"),
        ((1000, 80), (9000, 20), "fail"),
        ((1000, 12), (9000, 20), "inconclusive"),
        ((100, 0), (9000, 0), "inconclusive"),
        ((1000, 200), (9000, 1800), "inconclusive"),
        ((0, 0), (9000, 0), "inconclusive"),
    ],
)
def test_error_rates_are_compared(new: tuple[int, int], current: tuple[int, int], status: str) -> None:
    assert only(ErrorRateGuard(), measured(*new), measured(*current)).status == status


def test_a_sentence_says_the_numbers() -> None:
    finding = only(ErrorRateGuard(), measured(1000, 80), measured(9000, 20))

    assert finding.sentence == (
        "80 of 1,000 requests failed, and 20 of 9,000 of the current version: more than 0.01 above it."
    )
    assert (finding.new, finding.limit) == (0.08, "at most 1 percentage point above the current version")


def test_what_is_plain_fails_before_the_end_and_nothing_passes_before_it() -> None:
    broken, fine, current = measured(6, 6), measured(1000, 0), measured(120, 0)

    assert only(ErrorRateGuard(), broken, current, BEFORE).status == "fail"
    assert only(ErrorRateGuard(), fine, measured(9000, 0), BEFORE).status == "inconclusive"


def test_an_error_rate_may_have_a_limit_of_its_own() -> None:
    [result] = judge([ErrorRateGuard(max=0.02)], measured(1000, 100), measured(9000, 900), END)

    assert [finding.status for finding in result.findings] == ["inconclusive", "fail"]


def slow(milliseconds: float, n: int = 2000) -> Measured:
    """Most requests in 3 ms, one of ten in so many."""
    return measured(n, milliseconds=[3.0] * (n * 9 // 10) + [milliseconds] * (n // 10))


@pytest.mark.parametrize(
    ("new", "current", "status"),
    [
        (slow(15), slow(15), "pass"),
        (slow(150), slow(15), "fail"),
        (slow(9.9, 100), slow(9.9, 100), "inconclusive"),
    ],
)
def test_percentiles_are_compared(new: Measured, current: Measured, status: str) -> None:
    assert only(LatencyGuard(), new, current).status == status


def test_a_version_that_hangs_fails_by_what_its_host_counts() -> None:
    """Behind a gateway that counts nothing for Airlock."""
    hangs = measured(others={'airlock_requests_total{endpoint="score",code="499"}': 20})
    finding = only(ErrorRateGuard(), hangs, measured(9000), BEFORE)

    assert finding.status == "fail"
    assert finding.sentence.startswith("20 of 20 requests failed, and 0 of 9,000 of the current version")


def test_two_sides_of_a_bucket_are_no_proof() -> None:
    """19 and 21 ms lie in neighbouring buckets, which end at 20 and 50 ms."""
    assert only(LatencyGuard(), slow(21), slow(19)).status == "inconclusive"


def test_a_few_milliseconds_are_tolerated() -> None:
    fast = measured(2000, milliseconds=[0.9] * 2000)

    assert only(LatencyGuard(), measured(2000, milliseconds=[1.9] * 2000), fast).status == "pass"


def test_a_percentile_may_have_a_limit_of_its_own() -> None:
    guard = LatencyGuard(p95_ratio=None, p99_ms=50)

    assert only(guard, slow(30), slow(30)).status == "pass"
    assert only(guard, slow(300), slow(300)).status == "fail"


def scores(seed: int, n: int, mean: float = 0.3) -> list[float]:
    dice = random.Random(seed)
    return [min(max(dice.gauss(mean, 0.1), 0.0), 1.0) for _ in range(n)]


@pytest.mark.parametrize(
    ("new", "status"),
    [
        (scores(1, 3000), "pass"),
        (scores(1, 3000, mean=0.5), "fail"),
        (scores(1, 250), "inconclusive"),
        ([], "inconclusive"),
    ],
)
def test_scores_are_spread_as_the_current_versions_are(new: list[float], status: str) -> None:
    mine = measured(len(new), scores=new)
    current = measured(9000, scores=scores(2, 9000))

    assert only(ScoreDistributionGuard(), mine, current).status == status


def test_few_scores_of_one_distribution_do_not_fail() -> None:
    """The plain index of 60 scores is above the limit more often than not; its bounds are not."""
    plain = sure = 0
    for seed in range(100):
        mine, other = (measured(60, scores=scores(seed + k, 60)).scores for k in (0, 1000))
        plain += stability_index(mine, other) > 0.2
        sure += index_bounds(mine, other, 1.645)[0] > 0.2

    assert plain > 25
    assert sure <= 5


def test_any_metric_may_be_watched() -> None:
    guard = MetricGuard("process_resident_memory_bytes", max_ratio=1.5)
    current = measured(9, others={"process_resident_memory_bytes": 100})

    assert only(guard, measured(9, others={"process_resident_memory_bytes": 140}), current).status == "pass"
    assert only(guard, measured(9, others={"process_resident_memory_bytes": 160}), current).status == "fail"
    assert only(guard, measured(9), current).status == "inconclusive"


def test_a_counter_is_taken_per_request() -> None:
    guard = MetricGuard("fallbacks_total", max_increase=0.05)
    current = measured(9000, others={"fallbacks_total": 90})

    assert only(guard, measured(1000, others={"fallbacks_total": 12}), current).status == "pass"
    assert only(guard, measured(1000, others={"fallbacks_total": 120}), current).status == "fail"
    assert (
        only(guard, measured(1000), current).sentence == "The new version shows no metric 'fallbacks_total'."
    )


@pytest.mark.parametrize(
    "name", ["airlock_eror_total", "airlock_requests", "airlock_stream_dead_letters_total"]
)
def test_a_metric_that_the_host_does_not_count_passes_no_limit(name: str) -> None:
    """The last one is of streams, and these versions answer requests."""
    finding = only(MetricGuard(name, max=0.01), measured(1000), measured(9000))

    assert (finding.status, finding.sentence) == (
        "inconclusive",
        f"The new version shows no metric {name!r}.",
    )


def test_what_the_host_would_count_and_had_not_to_passes() -> None:
    assert (
        only(MetricGuard("airlock_errors_total", max=0.01), measured(1000), measured(9000)).status == "pass"
    )


def test_a_label_that_a_metric_does_not_have_is_told() -> None:
    guard = MetricGuard("airlock_requests_total", {"status": "500"}, max=0.01)
    finding = only(guard, measured(1000), measured(9000))

    assert (finding.status, finding.sentence) == (
        "inconclusive",
        "The metric 'airlock_requests_total' has no label status. It has code, endpoint.",
    )


def test_a_value_that_no_label_has_is_told_and_may_yet_come() -> None:
    """Before its first failure a version shows no series of it."""
    guard = MetricGuard("airlock_requests_total", {"code": "503"}, max=0.01)
    finding = only(guard, measured(1000), measured(9000))

    assert finding.status == "pass"
    assert finding.sentence.endswith('; neither version shows it with code="503".')


def test_a_gauge_without_the_labels_asked_for_is_told() -> None:
    shown = {'queue_depth{queue="in"}': 3}
    guard = MetricGuard("queue_depth", {"queue": "out"}, max=5)
    finding = only(guard, measured(9, others=shown), measured(9, others=shown))

    assert finding.status == "inconclusive"
    assert finding.sentence == "The new version shows no metric 'queue_depth' with queue=\"out\"."


def test_the_host_shows_these_counters_from_the_first_event_on() -> None:
    source = """
        from airlock_host.schema import Schema
        from airlock_host.serving.measurements import Measurements
        from airlock_host.snapshot import Deployment
        from airlock_host.stream.measurements import StreamMeasurements

        outputs = Schema.read([{"name": "score", "type": "number"}])
        for kind in (Measurements, StreamMeasurements):
            for family in kind(Deployment(), outputs).collect():
                if family.type == "counter" and not family.samples:
                    print(f"{family.name}_total")
    """
    host = {**os.environ, "PYTHONPATH": str(PROJECT / "include" / "host")}
    python = PROJECT / ".venv-host" / "bin" / "python"
    shown = subprocess.run(
        [python, "-c", dedent(source)], env=host, capture_output=True, text=True, check=True
    )

    assert set(shown.stdout.split()) == COUNTED_FROM_THE_FIRST


_versions = st.builds(
    lambda n, failed, times, values: measured(n, min(failed, n), milliseconds=times, scores=values),
    st.integers(0, 5000),
    st.integers(0, 50),
    st.lists(st.floats(0, 5000), max_size=20),
    st.lists(st.floats(0, 1), max_size=20),
)
_GUARDS: list[Guard] = [
    ErrorRateGuard(max=0.1),
    LatencyGuard(p50_ms=3, p99_ratio=2),
    ScoreDistributionGuard(),
    MetricGuard("process_start_time_seconds", max=1),
    MetricGuard("airlock_errors_total", max=0.1, max_increase=0.1, max_ratio=2),
]


@given(_versions, _versions, st.booleans(), st.integers(1, 1000))
def test_there_is_always_a_verdict_in_words(
    new: Measured, current: Measured, planned: bool, least_requests: int
) -> None:
    for result in judge(_GUARDS, new, current, Look(planned, least_requests)):
        assert result.findings
        assert all(finding.sentence.endswith((".", ").", "?")) for finding in result.findings)


@given(_versions, st.integers(1, 1000))
def test_a_version_never_fails_against_itself(version: Measured, least_requests: int) -> None:
    guards = [ErrorRateGuard(), LatencyGuard(p50_ratio=1.1, p99_ratio=1.1), ScoreDistributionGuard()]

    for look in (Look(True, least_requests), Look(False, least_requests)):
        assert {result.status for result in judge(guards, version, version, look)} <= {"pass", "inconclusive"}


def answered(n: int, differ: int, guard: AnswersGuard | None = None, look: Look = END) -> Finding:
    [result] = judge([guard or AnswersGuard()], measured(), measured(), look, Compared(n, differ))
    [finding] = result.findings
    return finding


@pytest.mark.parametrize(
    ("n", "differ", "status"),
    [
        (1000, 0, "pass"),
        (10_000, 80, "pass"),
        (1000, 10, "inconclusive"),
        (1000, 40, "fail"),
        (200, 0, "inconclusive"),
        (0, 0, "inconclusive"),
    ],
)
def test_answers_are_compared(n: int, differ: int, status: str) -> None:
    assert answered(n, differ).status == status


def test_answers_that_plainly_differ_fail_before_the_end() -> None:
    assert answered(6, 6, look=BEFORE).status == "fail"
    assert answered(9000, 0, look=BEFORE).status == "inconclusive"


def test_answers_are_told_of_with_their_numbers() -> None:
    finding = answered(200, 1)

    assert finding.new == 0.005
    assert finding.sentence == (
        "1 of 200 requests were answered differently, which does not tell: 200 requests with both answers "
        "are too few, it needs 300 (at most 1 %)."
    )


def test_answers_without_a_limit_are_told_of_and_pass() -> None:
    finding = answered(200, 180, AnswersGuard(max_differ=None), BEFORE)

    assert (finding.status, finding.new) == ("pass", 0.9)
    assert "No limit" in finding.sentence


def test_answers_that_could_not_be_compared_pass_no_limit() -> None:
    [result] = judge([AnswersGuard()], measured(), measured(), END, Compared(why="The ring is empty."))

    assert (result.status, result.summary) == ("inconclusive", "The ring is empty.")


def test_answers_that_cannot_be_read_any_more_are_said() -> None:
    away = Compared(400, 0, why="It is away.")
    [result] = judge([AnswersGuard()], measured(), measured(), END, away)

    assert result.status == "pass"
    assert result.summary == "0 of 400 requests were answered differently (at most 1 %). It is away."


def test_what_was_found_of_answers_is_plain_json() -> None:
    compared = Compared(
        9,
        2,
        {"score": Numbers(9, 2, 0.5, 0.1, -0.1)},
        {"decision": Labels(9, 1, {("yes", "yes"): 6, ("yes", "no"): 1, (None, None): 1})},
        (Example("a", 0, {"status": 200}, {"status": 500}),),
    )

    assert Compared.from_json(json.loads(json.dumps(compared.to_json()))) == compared
    assert compared.labels["decision"].others == 1


# --- streams


@pytest.mark.parametrize(
    ("dead", "status"),
    [
        ({}, "pass"),
        ({"empty": 200, "too_large": 100}, "pass"),
        ({"model_failed": 80}, "fail"),
        ({"bad_record": 40, "not_decodable": 20, "answer_too_large": 20}, "fail"),
    ],
)
def test_records_fail_where_the_reason_may_lie_with_the_version(dead: dict[str, int], status: str) -> None:
    new = measured_stream(1000 - sum(dead.values()), dead)
    current = measured_stream(8000, {"bad_record": 20}, passed_on=980)

    assert only(ErrorRateGuard(), new, current).status == status


def test_records_that_are_poison_for_both_versions_are_no_difference() -> None:
    new, current = (
        measured_stream(9000, {"bad_record": 1000}),
        measured_stream(90_000, {"bad_record": 10_000}),
    )
    assert only(ErrorRateGuard(max_increase=0.02), new, current).status == "pass"


def test_a_sentence_about_a_stream_is_about_records_that_it_answered_itself() -> None:
    new = measured_stream(920, {"model_failed": 80})
    finding = only(ErrorRateGuard(), new, measured_stream(8980, {"model_failed": 20}, passed_on=1000))

    assert finding.sentence == (
        "80 of 1,000 records failed, and 20 of 9,000 of the current version: more than 0.01 above it."
    )


def test_the_latency_of_a_stream_is_that_of_its_micro_batches() -> None:
    guard, current = LatencyGuard(), measured_stream(90_000, milliseconds=[18] * 900)

    assert only(guard, measured_stream(9_000, milliseconds=[19] * 900), current).status == "pass"
    assert only(guard, measured_stream(9_000, milliseconds=[190] * 900), current).status == "fail"
    few = only(guard, measured_stream(9_000, milliseconds=[19] * 9), current)
    assert (few.status, "9 micro-batches are too few" in few.sentence) == ("inconclusive", True)


def test_a_counter_of_a_stream_is_taken_per_record() -> None:
    guard = MetricGuard("airlock_stream_dead_letters_total", {"reason": "bad_record"}, max=0.01)
    finding = only(guard, measured_stream(900, {"bad_record": 100}), measured_stream(9000))

    assert (finding.status, finding.measure) == ("fail", "airlock_stream_dead_letters_total a record")
