"""POST /invocations, as clients of MLflow and SageMaker call it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.testclient import TestClient

from host.building import GOOD, INPUTS

NAMES = [entry["name"] for entry in INPUTS]
POOR = {**GOOD, "income": 0.0, "debt": 1e5}


def as_csv(*records: Mapping[str, Any], header: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(NAMES)
    writer.writerows([record[name] for name in NAMES] for record in records)
    return text.getvalue()


def decisions(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [record["decision"] for record in answer.json()["predictions"]]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": NAMES, "data": [list(GOOD.values()), list(POOR.values())]}},
        {"dataframe_split": {"data": [list(GOOD.values()), list(POOR.values())]}},
        {
            "dataframe_split": {
                "index": [0, 1],
                "columns": NAMES[::-1],
                "data": [list(GOOD.values())[::-1], list(POOR.values())[::-1]],
            }
        },
        {"dataframe_records": [GOOD, POOR]},
        {"instances": [GOOD, POOR]},
        {"instances": [list(GOOD.values()), list(POOR.values())]},
        {"inputs": [GOOD, POOR]},
        {"inputs": {name: [GOOD[name], POOR[name]] for name in NAMES}},
        {"inputs": {name: [GOOD[name], POOR[name]] for name in NAMES if name != "applied"}, "params": {}},
    ],
    ids=lambda body: "-".join(body),
)
def test_json_bodies(loans: TestClient, body: dict[str, Any]) -> None:
    assert decisions(loans.post("/invocations", json=body)) == ["yes", "no"]


@pytest.mark.parametrize("header", [True, False])
def test_csv_with_and_without_names(loans: TestClient, header: bool) -> None:
    body = as_csv(GOOD, POOR, header=header)
    answer = loans.post("/invocations", content=body, headers={"content-type": "text/csv; charset=utf-8"})
    assert decisions(answer) == ["yes", "no"]


def test_json_lines(loans: TestClient) -> None:
    body = "\n".join(json.dumps(record) for record in (GOOD, POOR))
    answer = loans.post(
        "/invocations",
        content=body,
        headers={"content-type": "application/jsonlines", "accept": "application/jsonlines"},
    )
    assert [json.loads(line)["decision"] for line in answer.text.splitlines()] == ["yes", "no"]
    assert answer.headers["content-type"] == "application/jsonlines"


def test_a_csv_answer(loans: TestClient) -> None:
    answer = loans.post("/invocations", json={"instances": [POOR]}, headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    [[score, decision]] = csv.reader(io.StringIO(answer.text))
    assert float(score) == pytest.approx(0.0, abs=1e-9)
    assert decision == "no"


def test_one_output_is_answered_by_plain_values(serving: Callable[..., TestClient]) -> None:
    client = serving(
        "def score(rows):\n    return rows['age'] / 10\n", outputs=({"name": "score", "type": "number"},)
    )
    assert client.post("/invocations", json={"instances": [GOOD]}).json() == {"predictions": [4.0]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([GOOD], "the body must be an object with one of dataframe_split"),
        ({}, "found none"),
        ({"instances": [], "inputs": []}, "found instances, inputs"),
        ({"instances": {}}, "instances must be a list"),
        ({"instances": [GOOD], "colour": 1}, "the body has 'colour' beside instances"),
        ({"dataframe_split": [1]}, "dataframe_split must be an object"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "each once"),
        ({"inputs": {"age": 1}}, "a list of values for each field"),
        ({"inputs": {"age": [1], "income": [1, 2]}}, "of one length; found {'age': 1, 'income': 2}"),
        ({"instances": [GOOD], "params": {"threshold": 0.1}}, "params are not taken"),
    ],
)
def test_bodies_of_no_known_shape_are_400(loans: TestClient, body: Any, reason: str) -> None:
    answer = loans.post("/invocations", json=body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            {"dataframe_split": {"columns": NAMES, "data": [[1]]}},
            "record 0 has 1 values; expected a list of 6",
        ),
        ({"instances": [list(GOOD.values()), 3]}, "record 1 is not a list"),
        ({"inputs": {"age": [1]}}, "record 0: field 'income' is missing"),
        ({"inputs": {"age": []}}, "record 0: field 'income' is missing"),
        ({"dataframe_split": {"columns": [*NAMES, "a"], "data": []}}, "record 0: field 'a' is not a field"),
        ({"dataframe_records": [GOOD, {**GOOD, "age": 1}]}, "record 1: field 'age' is 1"),
    ],
)
def test_bad_records_are_422(loans: TestClient, body: Any, problem: str) -> None:
    answer = loans.post("/invocations", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(problem)


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ("many,40,car,True,,", "field 'income' is the string \"many\""),
        ("nan,40,car,True,,", "field 'income' is the string \"nan\""),
        ("inf,40,car,True,,", "field 'income' is the string \"inf\""),
        ("1e999,40,car,True,,", "field 'income' is inf"),
        (",40,car,True,,", "field 'income' is null"),
        ("1,40.5,car,True,,", "field 'age' is the string \"40.5\""),
        ("1,40,car,yes,,", "field 'owner' is the string \"yes\""),
        ("1,40,car,True,,tomorrow", "field 'applied' is the string \"tomorrow\""),
        ("1,40,car,True", "has 4 cells; expected 6 cells"),
    ],
)
def test_bad_cells_are_422(loans: TestClient, cells: str, problem: str) -> None:
    body = as_csv(GOOD, header=True) + cells + "\r\n"
    answer = loans.post("/invocations", content=body, headers={"content-type": "text/csv"})
    assert answer.status_code == 422, answer.text
    assert problem in answer.json()["error"]
    assert answer.json()["problems"][0]["record"] == 1


@pytest.mark.parametrize("body", [b"\xff\xfe", b'a,"b', b"age,age\r\n1,2\r\n"])
def test_broken_csv_is_400(loans: TestClient, body: bytes) -> None:
    answer = loans.post("/invocations", content=body, headers={"content-type": "text/csv"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_csv")


def test_other_content_types_are_415(loans: TestClient) -> None:
    answer = loans.post("/invocations", content=b"x", headers={"content-type": "application/x-parquet"})
    assert answer.status_code == 415
    assert "application/json or text/csv or application/jsonlines" in answer.json()["error"]
