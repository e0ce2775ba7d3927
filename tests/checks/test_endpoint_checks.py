"""Smoke, contract and latency: every part must be so, and each failure says what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.spec import Contract, Latency, Smoke
from checks.building import BATCH, ONLINE, contract, judged, latency, metric, smoke


def test_a_good_smoke_passes() -> None:
    result = judged(Smoke(), smoke(), ONLINE)

    assert result.status == "pass"
    assert result.summary == "5 records are answered as promised."
    assert result.records["records made from the schema"] == 4
    assert [metric.name for metric in result.metrics] == ["live", "ready", "right_snapshot", "valid_answers"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"live": {"ok": False, "message": "GET /v2/health/live answered 502"}}, "answered 502."),
        ({"ready": {"ok": False, "message": "GET /v2/health/ready answered 503"}}, "answered 503."),
        (
            {"answers": {"answered": 5, "valid": 4, "problems": ["record 2: 'risk' is null"]}},
            "Record 2: 'risk' is null.",
        ),
        ({"answers": {"answered": 0, "valid": 0, "problems": ["timeout"]}}, "Timeout."),
        (
            {"served": {"snapshot": "fraud@2", "digest": "sha256:old"}},
            "answers with fraud@2 sha256:old instead of fraud@3",
        ),
        ({"served": None}, "an unnamed snapshot"),
    ],
)
def test_one_bad_part_fails_a_smoke(changed: dict[str, Any], message: str) -> None:
    result = judged(Smoke(), smoke(**changed), ONLINE)

    assert result.status == "fail"
    assert message in result.summary


def test_in_batch_there_is_no_endpoint_to_look_at() -> None:
    result = judged(Smoke(), smoke(), BATCH)

    assert [metric.name for metric in result.metrics] == ["valid_answers"]


def test_refused_records_fail_a_smoke_though_all_answers_are_valid() -> None:
    answers = {"answered": 4, "valid": 4, "problems": ["record 5 was refused: 'amount' is null"]}

    assert judged(Smoke(), smoke(answers=answers), BATCH).status == "fail"


def test_a_good_contract_passes() -> None:
    result = judged(Contract(), contract(), ONLINE)

    assert result.status == "pass"
    assert result.summary == "1 golden record repeats; answers keep the schema; bad records are refused."


@pytest.mark.parametrize(
    ("changed", "name", "message"),
    [
        (
            {
                "golden": {
                    "compared": 1,
                    "matching": 0,
                    "largest_deviation": 0.1,
                    "mismatches": ["golden record 1: 'risk' is 0.6 instead of 0.5"],
                }
            },
            "golden_records",
            "'risk' is 0.6 instead of 0.5",
        ),
        (
            {
                "bad_record": {
                    "field": "payment",
                    "why": "is null",
                    "refused": False,
                    "named": False,
                    "answer": "200: {}",
                }
            },
            "bad_record_refused",
            "A record in which 'payment' is null was not refused: 200: {}",
        ),
        (
            {
                "bad_record": {
                    "field": "payment",
                    "why": "is null",
                    "refused": True,
                    "named": False,
                    "answer": "400: bad",
                }
            },
            "bad_field_named",
            "does not name the field",
        ),
        (
            {"published": ["input 'amount' is not published"]},
            "published_schema_differences",
            "is not published",
        ),
        ({"served": {"snapshot": "fraud@2", "digest": "sha256:old"}}, "right_snapshot", "instead of fraud@3"),
    ],
)
def test_one_broken_promise_fails_a_contract(changed: dict[str, Any], name: str, message: str) -> None:
    result = judged(Contract(), contract(**changed), ONLINE)

    assert result.status == "fail"
    assert metric(result, name).status == "fail"
    assert message in result.summary


def test_a_contract_that_lost_the_endpoint_midway_fails() -> None:
    measured = contract(answers={"answered": 0, "valid": 0, "problems": ["GET /openapi.json: ReadTimeout"]})
    del measured["published"]
    del measured["bad_record"]

    result = judged(Contract(), measured, ONLINE)

    assert result.status == "fail"
    assert "ReadTimeout" in result.summary


def test_without_golden_records_a_contract_passes_and_says_what_is_open() -> None:
    golden = {"compared": 0, "matching": 0, "largest_deviation": 0.0, "mismatches": []}

    result = judged(Contract(), contract(golden=golden, asked={"golden": 0, "made": 1}), ONLINE)

    assert result.status == "pass"
    assert metric(result, "golden_records").status == "not_applicable"
    assert any("a changed answer would not be noticed" in gap for gap in result.not_tested)


def test_a_schema_that_refuses_nothing_has_no_bad_record() -> None:
    result = judged(Contract(), contract(bad_record=None), ONLINE)

    assert result.status == "pass"
    assert metric(result, "bad_record_refused").status == "not_applicable"


@given(st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(0.1, 1e4))
def test_a_faster_endpoint_is_never_judged_worse(time: float, other: float, limit: float) -> None:
    order = {"fail": 0, "pass": 1}
    fast, slow = (
        judged(Latency(p99_ms=limit), latency(each), ONLINE).status for each in sorted((time, other))
    )

    assert order[slow] <= order[fast]


def test_latency_within_its_limit_passes_and_states_the_load() -> None:
    result = judged(Latency(p99_ms=100, records=2), latency(50.0), ONLINE)

    assert result.status == "pass"
    assert result.summary == "p99 50 ms (at most 100 ms) with 200 requests of 2 records, 4 at a time."
    assert metric(result, "p50_ms").status == "info"
    assert result.records["requests to warm up, not counted"] == 20


def test_latency_beyond_its_limit_fails() -> None:
    result = judged(Latency(p99_ms=40), latency(50.0), ONLINE)

    assert result.status == "fail"
    assert result.summary == "p99 is 50 ms; the limit is 40 ms."


def test_a_slow_answer_of_a_busy_client_is_nobodys_fault_yet() -> None:
    slow = judged(Latency(p99_ms=40), latency(50.0, client_busy=0.9), ONLINE)
    fast = judged(Latency(p99_ms=60), latency(50.0, client_busy=0.9), ONLINE)

    assert slow.status == "inconclusive"
    assert "busy for 90%" in slow.summary
    assert fast.status == "pass"  # what a busy client adds only makes it slower


@pytest.mark.parametrize(("answered", "status"), [(99, "inconclusive"), (100, "pass")])
def test_too_few_answers_have_no_99th_percentile(answered: int, status: str) -> None:
    assert judged(Latency(p99_ms=100), latency(50.0, answered=answered), ONLINE).status == status


def test_no_answer_at_all_fails() -> None:
    measured = latency(None, answered=0, failed=200, error_rate=1.0, errors={"answered 500": 200})

    result = judged(Latency(p99_ms=100), measured, ONLINE)

    assert result.status == "fail"
    assert "200 of 200 requests failed: 200 x answered 500." in result.summary


@pytest.mark.parametrize(("rate", "status"), [(0.0, "pass"), (0.01, "pass"), (0.0101, "fail")])
def test_failed_requests_are_allowed_up_to_their_limit(rate: float, status: str) -> None:
    measured = latency(50.0, error_rate=rate, failed=2, errors={"answered 503": 2})

    assert judged(Latency(p99_ms=100, error_rate=0.01), measured, ONLINE).status == status


def test_an_interval_without_an_upper_bound_is_remarked_on() -> None:
    measured = latency(50.0)
    measured["percentiles"]["p99_ms"]["interval"] = [40.0, None]

    found = metric(judged(Latency(p99_ms=100), measured, ONLINE), "p99_ms")

    assert found.ci == (40.0, None)
    assert "does not bound it from above" in found.message
