"""The id of a request, and the answers that are kept to be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from host.building import GOOD

Serving = Callable[..., TestClient]

ANSWERS = "/airlock/answers"
INFER = "/v2/models/loans/infer"
POOR = {**GOOD, "income": 0.0, "debt": 1e5}


@pytest.fixture
def recording(serving: Serving) -> TestClient:
    """A client of the model of loans that keeps four answers."""
    return serving(record_answers=4)


def score(client: TestClient, request_id: str | None, body: Any = GOOD, path: str = "/score") -> None:
    client.post(path, json=body, headers={} if request_id is None else {"x-request-id": request_id})


def page(client: TestClient, **query: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(ANSWERS, params=query).json()
    return found


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/score"), ("GET", "/score"), ("GET", "/nowhere"), ("GET", "/ping"), ("GET", "/metrics")],
)
def test_an_answer_carries_the_id_of_its_request(loans: TestClient, method: str, path: str) -> None:
    assert loans.request(method, path, headers={"x-request-id": "a-1"}).headers["x-request-id"] == "a-1"
    assert "x-request-id" not in loans.request(method, path).headers


@pytest.mark.parametrize("request_id", ["", "two words", "x" * 201, b"\xe4"])
def test_an_id_that_is_none_is_left_out(recording: TestClient, request_id: Any) -> None:
    answer = recording.post("/score", json=GOOD, headers={"x-request-id": request_id})
    assert answer.status_code == 200
    assert "x-request-id" not in answer.headers
    assert page(recording)["answers"] == []


def test_answers_are_kept_with_what_the_model_said_and_nothing_of_the_input(recording: TestClient) -> None:
    score(recording, "one")
    score(recording, None)
    score(recording, "two", {"instances": [GOOD, POOR]}, "/invocations")
    first, second = page(recording)["answers"]
    assert (first["sequence"], first["id"], first["endpoint"]) == (1, "one", "score")
    assert (first["status"], first["rows"]) == (200, 1)
    assert first["columns"] == {"score": [pytest.approx(0.88, abs=0.01)], "decision": ["yes"]}
    assert (second["endpoint"], second["rows"]) == ("invocations", 2)
    assert second["columns"]["decision"] == ["yes", "no"]


def test_a_refusal_is_kept_without_columns(recording: TestClient) -> None:
    score(recording, "bad", {})
    [answer] = page(recording)["answers"]
    assert (answer["status"], answer["rows"], answer["columns"]) == (422, 0, None)


def test_page_by_page(recording: TestClient) -> None:
    for number in range(3):
        score(recording, str(number))
    first = page(recording, limit=2)
    assert ([answer["id"] for answer in first["answers"]], first["next"]) == (["0", "1"], 2)
    second = page(recording, after=first["next"], limit=2)
    assert ([answer["id"] for answer in second["answers"]], second["next"]) == (["2"], 3)
    assert page(recording, after=second["next"])["answers"] == []
    assert page(recording, after=second["next"])["next"] == 3


def test_what_was_lost_is_counted(recording: TestClient) -> None:
    for number in range(10):
        score(recording, str(number))
    found = page(recording, after=3)
    assert ([answer["id"] for answer in found["answers"]], found["lost"]) == (["6", "7", "8", "9"], 3)
    assert page(recording, after=8)["lost"] == 0


def test_a_number_of_an_earlier_process_begins_anew(recording: TestClient) -> None:
    score(recording, "first")
    found = page(recording, after=1000)
    assert [answer["id"] for answer in found["answers"]] == ["first"]
    assert found["started"] == page(recording)["started"]


def test_of_long_answers_the_first_rows_are_kept(recording: TestClient) -> None:
    score(recording, "long", [GOOD] * 1500)
    [answer] = page(recording)["answers"]
    assert (answer["rows"], len(answer["columns"]["score"])) == (1500, 1000)


def test_a_page_ends_before_it_is_too_long(serving: Serving) -> None:
    client = serving(record_answers=100)
    for number in range(60):
        score(client, str(number), [GOOD] * 1000)
    first = page(client)
    assert (len(first["answers"]), first["next"]) == (50, 50)
    assert len(page(client, after=50)["answers"]) == 10


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=10001", f"after={'9' * 5000}"])
def test_a_bad_query_is_400(recording: TestClient, query: str) -> None:
    answer = recording.get(f"{ANSWERS}?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")


def test_without_it_there_is_no_such_path(loans: TestClient, recording: TestClient) -> None:
    assert loans.get(ANSWERS).json()["reason"] == "no_such_route"
    assert ANSWERS not in loans.get("/openapi.json").json()["paths"]
    assert ANSWERS in recording.get("/openapi.json").json()["paths"]
