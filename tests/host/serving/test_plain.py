"""POST /score."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from host.building import GOOD


def test_a_record_is_answered_by_a_record(loans: TestClient) -> None:
    answer = loans.post("/score", json=GOOD)
    assert answer.status_code == 200
    assert answer.json() == {"score": pytest.approx(0.88, abs=0.01), "decision": "yes"}


def test_a_list_is_answered_by_a_list(loans: TestClient) -> None:
    answer = loans.post("/score", json=[GOOD, {**GOOD, "debt": 1e5}])
    assert [record["decision"] for record in answer.json()] == ["yes", "no"]


def test_an_empty_list_is_answered_by_one(loans: TestClient) -> None:
    assert loans.post("/score", json=[]).json() == []


def test_the_answer_says_who_gave_it(loans: TestClient) -> None:
    headers = loans.post("/score", json=GOOD).headers
    assert headers["X-Airlock-Snapshot"] == "loans@3"
    assert headers["X-Airlock-Digest"] == "sha256:abc"
    assert headers["X-Airlock-Deployment"] == "dep-1"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"age": 17}, ("age", "is 17", "an integer of at least 18 and at most 120")),
        ({"age": None}, ("age", "is null", "an integer of at least 18 and at most 120")),
        ({"income": "1"}, ("income", 'is the string "1"', "a finite number of at least 0")),
        ({"purpose": "boat"}, ("purpose", "is 'boat'", 'one of "car", "house"')),
        ({"colour": 1}, ("colour", "is not a field of this model", "one of income, age, ")),
    ],
)
def test_a_bad_record_is_refused_by_name(
    loans: TestClient, change: dict[str, Any], problem: tuple[str, str, str]
) -> None:
    answer = loans.post("/score", json=[GOOD, {**GOOD, **change}])
    assert answer.status_code == 422
    [found] = answer.json()["problems"]
    assert (found["record"], found["field"], found["problem"]) == (1, *problem[:2])
    assert found["expected"].startswith(problem[2])
    assert answer.json()["error"].startswith(f"record 1: field {problem[0]!r} {problem[1]}; expected ")


def test_a_missing_field_is_named(loans: TestClient) -> None:
    answer = loans.post("/score", json={name: value for name, value in GOOD.items() if name != "age"})
    assert (answer.status_code, answer.json()["problems"][0]["problem"]) == (422, "is missing")


def test_many_problems_are_counted_and_some_listed(loans: TestClient) -> None:
    answer = loans.post("/score", json=[{**GOOD, "age": 1}] * 250)
    assert len(answer.json()["problems"]) == 100
    assert answer.json()["error"].endswith("(and 249 more)")


@pytest.mark.parametrize("record", [1, {}, {**GOOD, "age": 1}, {**GOOD, "age": "x"}])
def test_with_thousands_of_problems_no_more_are_looked_for(loans: TestClient, record: Any) -> None:
    """Each takes more memory than what it is about."""
    answer = loans.post("/score", json=[record] * 12_000)
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_record")
    assert answer.json()["error"].endswith("(and thousands more)")
    assert len(answer.json()["problems"]) == 100


@pytest.mark.parametrize("body", [b"", b"{", b'{"income": NaN}', b'{"income": Infinity}', b"\xff"])
def test_what_is_not_json_is_400(loans: TestClient, body: bytes) -> None:
    answer = loans.post("/score", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_json")


@pytest.mark.parametrize("body", ["1", '"a"', "null"])
def test_json_that_is_neither_record_nor_list_is_400(loans: TestClient, body: str) -> None:
    answer = loans.post("/score", content=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")


def test_another_content_type_is_415(loans: TestClient) -> None:
    answer = loans.post(
        "/score", content="a=1", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 415
    assert "send application/json" in answer.json()["error"]
