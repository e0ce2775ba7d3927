"""What holds for every endpoint: readiness, limits, errors, measurements, the description."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from airlock_host.serving.connections import Limits
from host.building import GOOD, MEAN, NUMBERS

Serving = Callable[..., TestClient]

SCORING = ("/score", "/invocations", "/v2/models/loans/infer")


def metric(client: TestClient, name: str, **labels: str) -> float:
    """The value of a metric that has at least these labels."""
    for line in client.get("/metrics").text.splitlines():
        found = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if found and all(f'{label}="{value}"' in found[1] for label, value in labels.items()):
            return float(found[2])
    raise AssertionError(f"there is no {name} with {labels}")


@pytest.mark.parametrize("path", ["/ping", "/v2/health/ready", "/v2/models/loans/ready"])
def test_ready_only_with_a_model(serving: Serving, path: str) -> None:
    assert serving(loaded=False).get(path).status_code == 503
    assert serving().get(path).status_code == 200


def test_live_at_once(serving: Serving) -> None:
    assert serving(loaded=False).get("/v2/health/live").json() == {"live": True}


@pytest.mark.parametrize("path", SCORING)
def test_nothing_is_scored_before(serving: Serving, path: str) -> None:
    answer = serving(loaded=False).post(path, json=GOOD)
    assert (answer.status_code, answer.json()["reason"]) == (503, "not_ready")


@pytest.mark.parametrize("path", SCORING)
def test_a_body_over_the_limit_is_413(serving: Serving, path: str) -> None:
    client = serving(limits=Limits(body=1000))
    for content in (b"x" * 1001, iter([b"x" * 600, b"x" * 600])):  # announced, and not
        answer = client.post(path, content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
        assert "1000 bytes" in answer.json()["error"]


def test_unknown_paths_and_methods_are_told_in_json(loans: TestClient) -> None:
    nowhere = loans.get("/nowhere")
    assert (nowhere.status_code, nowhere.json()["reason"]) == (404, "no_such_route")
    wrong = loans.get("/score")
    assert (wrong.status_code, wrong.json()["error"]) == (405, "/score does not take GET")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def score(rows):\n    raise KeyError('x')\n", "the model raised KeyError: 'x'"),
        ("def score(rows):\n    return [2.0] * len(rows)\n", "record 0: field 'score' is 2.0; expected"),
    ],
)
def test_a_model_that_fails_is_500(serving: Serving, source: str, reason: str) -> None:
    client = serving(source, outputs=({"name": "score", "type": "number", "max": 1},))
    answer = client.post("/score", json=GOOD)
    assert (answer.status_code, answer.json()["reason"]) == (500, "model_failed")
    assert reason in answer.json()["error"]
    assert client.get("/v2/health/ready").status_code == 200


def test_a_fault_of_the_host_is_500_in_json(loans: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr("airlock_host.serving.plain.read_records", fail)
    answer = TestClient(loans.app, raise_server_exceptions=False).post("/score", json=GOOD)
    assert (answer.status_code, answer.json()["reason"]) == (500, "host_failed")
    assert metric(loans, "airlock_errors_total", reason="host_failed") == 1


def test_what_happened_is_measured(loans: TestClient) -> None:
    for _ in range(3):
        loans.post("/score", json=[GOOD, GOOD])
    loans.post("/score", json={})
    loans.post("/invocations", content=b"{")
    who = {"service": "loan-desk", "stage": "SIT", "snapshot": "loans@3"}
    assert metric(loans, "airlock_requests_total", endpoint="score", code="200", **who) == 3
    assert metric(loans, "airlock_requests_total", endpoint="score", code="422", **who) == 1
    assert metric(loans, "airlock_errors_total", reason="bad_record", **who) == 1
    assert metric(loans, "airlock_errors_total", reason="bad_json", **who) == 1
    assert metric(loans, "airlock_rows_total", **who) == 6
    assert metric(loans, "airlock_request_seconds_count", endpoint="score", **who) == 4
    assert metric(loans, "airlock_score_bucket", output="score", le="0.85") == 0
    assert metric(loans, "airlock_score_bucket", output="score", le="0.9") == 6
    assert metric(loans, "airlock_deployment_info", digest="sha256:abc", deployment="dep-1") == 1


def test_scores_without_limits_are_spread_by_powers_of_ten(serving: Serving) -> None:
    client = serving("def score(rows):\n    return rows.mean(axis=1)\n", inputs=NUMBERS, outputs=MEAN)
    record = {entry["name"]: 50.0 for entry in NUMBERS}
    client.post("/score", json=[record, dict.fromkeys(record, -50.0)])
    client.post("/score", json=record)
    assert metric(client, "airlock_score_bucket", le="-10") == 1
    assert metric(client, "airlock_score_bucket", le="10") == 1
    assert metric(client, "airlock_score_bucket", le="100") == 3


def test_the_description_lists_every_route_and_the_models_fields(loans: TestClient) -> None:
    document = loans.get("/openapi.json").json()
    assert document["info"]["title"] == "loan-desk"
    for path, methods in document["paths"].items():
        for method in methods:
            assert loans.request(method, path).status_code not in (404, 405), path
    record = document["components"]["schemas"]["Record"]
    assert record["required"] == ["income", "age", "purpose", "owner"]
    assert record["properties"]["age"] == {
        "type": "integer",
        "format": "int64",
        "minimum": 18,
        "maximum": 120,
    }
    assert record["properties"]["debt"] == {"type": ["number", "null"]}
    assert record["properties"]["purpose"] == {"type": "string", "enum": ["car", "house"]}
    for methods in document["paths"].values():
        if "post" in methods:
            assert {"400", "413", "415", "422", "500", "503"} <= set(methods["post"]["responses"])
