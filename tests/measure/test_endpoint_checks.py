"""Smoke and contract against an endpoint: what is told of good ones, bad ones, wrong ones and dead ones."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from airlock_host.measure import run
from airlock_host.measure.predictions import Scored
from measure.building import INPUT, OUTPUT, customers, schema
from measure.serving import Answer, Behaviour, endpoint

GOLDEN = [
    {
        "input": {"customer": f"g-{number}", "income": 1000.0 * number, "children": number},
        "output": {"customer": f"g-{number}", "risk": number / 10},
    }
    for number in range(4)
]


def model(records: list[dict[str, Any]]) -> Answer:
    """A model that obeys its contract."""
    for position, record in enumerate(records):
        for name in ("customer", "income"):
            if record.get(name) is None:
                problem = {"record": position, "field": name, "problem": "is null", "expected": "a value"}
                return 422, {"error": f"record {position}: {name} is null", "problems": [problem]}
    return 200, [
        {"customer": record["customer"], "risk": min(record["income"] / 10_000, 1.0)} for record in records
    ]


def published(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The part of an OpenAPI document that is compared."""
    types = {"string": "string", "number": "number", "integer": "integer"}

    def record(fields: list[dict[str, Any]]) -> dict[str, Any]:
        properties = {}
        for field in fields:
            type_ = types[field["type"]]
            properties[field["name"]] = {"type": [type_, "null"] if field.get("nullable") else type_}
            if "min" in field:
                properties[field["name"]]["minimum"] = field["min"]
            if "max" in field:
                properties[field["name"]]["maximum"] = field["max"]
        required = [field["name"] for field in fields if not field.get("nullable")]
        return {"properties": properties, "required": required}

    return {"components": {"schemas": {"Record": record(inputs), "Answer": record(outputs)}}}


def healthy(**changed: Any) -> Behaviour:
    pages: dict[str, Answer] = {
        "/v2/health/live": (200, {"live": True}),
        "/v2/health/ready": (200, {"ready": True}),
        "/openapi.json": (200, published(INPUT, OUTPUT)),
    }
    headers = {"x-airlock-snapshot": "credit@3", "x-airlock-digest": "sha256:3"}
    return Behaviour(**{"score": model, "pages": pages, "headers": headers, **changed})


def check(kind: str, behaviour: Behaviour, **changed: Any) -> dict[str, Any]:
    job = {"kind": kind, "mode": "online", "input": INPUT, "output": OUTPUT, "golden": GOLDEN, "records": 5}
    with endpoint(behaviour) as url:
        return run({**job, "endpoint": url, "rtol": 1e-6, "atol": 1e-9, **changed})


def test_smoke_of_a_good_endpoint() -> None:
    found = check("smoke", healthy())

    assert found["live"]["ok"]
    assert found["ready"]["ok"]
    assert found["served"] == {"snapshot": "credit@3", "digest": "sha256:3"}
    assert found["asked"] == {"golden": 4, "made": 1}
    assert found["answers"] == {"answered": 5, "valid": 5, "problems": []}


def test_many_records_go_in_several_requests() -> None:
    behaviour = healthy()

    found = check("smoke", behaviour, records=1200)

    assert behaviour.asked == [500, 500, 200]
    assert found["answers"]["valid"] == 1200


@pytest.mark.parametrize("content", [{"risk": 0.5}, [], [{}] * 4])
def test_smoke_tells_too_few_answers(content: Any) -> None:
    found = check("smoke", healthy(score=lambda records: (200, content)))

    assert found["answers"]["problems"] == ["5 records were not answered with a list of as many answers"]


def test_smoke_tells_an_endpoint_that_is_not_ready() -> None:
    behaviour = healthy(score=lambda records: (503, {"error": "the model is still loading"}))
    behaviour.pages["/v2/health/ready"] = (503, {"ready": False})

    found = check("smoke", behaviour)

    assert found["live"]["ok"]
    assert found["ready"] == {"ok": False, "message": "GET /v2/health/ready answered 503"}
    assert found["answers"]["problems"] == ["the endpoint answered 503: the model is still loading"]


def test_smoke_tells_a_dead_endpoint() -> None:
    job = {"kind": "smoke", "mode": "online", "input": INPUT, "output": OUTPUT, "golden": [], "records": 1}

    found = run({**job, "endpoint": "http://127.0.0.1:9"})

    assert not found["live"]["ok"]
    assert "ConnectError" in found["answers"]["problems"][0]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"customer": "a"}, "record 1: 'risk' is missing"),
        ({"customer": "a", "risk": 1.5}, "record 1: 'risk' is 1.5; promised is a finite number"),
        ({"customer": "a", "risk": None}, "record 1: 'risk' is null"),
        ({"customer": "a", "risk": "high"}, "record 1: 'risk' is 'high'"),
        ({"customer": "a", "risk": True}, "record 1: 'risk' is True"),
        ({"customer": 7, "risk": 0.5}, "record 1: 'customer' is 7; promised is a string"),
        ({"customer": "a", "risk": 0.5, "debug": 1}, "record 1: 'debug' is answered but not promised"),
        (0.5, "record 1: the answer is 0.5 instead of an object"),
    ],
)
def test_answers_that_break_the_schema_are_told(answer: Any, problem: str) -> None:
    found = check("smoke", healthy(score=lambda records: (200, [answer for _ in records])))

    assert found["answers"]["valid"] == 0
    assert found["answers"]["problems"][0].startswith(problem)


def test_contract_of_a_good_endpoint() -> None:
    found = check("contract", healthy())

    assert found["golden"] == {"compared": 4, "matching": 4, "largest_deviation": 0.0, "mismatches": []}
    assert found["bad_record"]["refused"]
    assert found["bad_record"]["named"]
    assert found["published"] == []


def test_contract_compares_golden_records_within_tolerances() -> None:
    def slightly_off(records: list[dict[str, Any]]) -> Answer:
        status, content = model(records)
        if status == 200:
            for answer in content:
                answer["risk"] *= 1 + 1e-4
        return status, content

    strict = check("contract", healthy(score=slightly_off))["golden"]
    lax = check("contract", healthy(score=slightly_off), rtol=1e-3)["golden"]

    assert strict["matching"] == 1  # the first golden risk is 0
    assert strict["largest_deviation"] == pytest.approx(1e-4)
    assert strict["mismatches"][0].startswith("golden record 2: 'risk' is 0.10001")
    assert lax["matching"] == 4


def test_contract_tells_an_endpoint_that_scores_anything() -> None:
    def careless(records: list[dict[str, Any]]) -> Answer:
        return 200, [{"customer": str(record["customer"]), "risk": 0.5} for record in records]

    found = check("contract", healthy(score=careless))["bad_record"]

    assert found["field"] == "customer"
    assert not found["refused"]
    assert "200" in found["answer"]


def test_contract_tells_a_refusal_that_names_no_field() -> None:
    def mute(records: list[dict[str, Any]]) -> Answer:
        status, content = model(records)
        return (status, content) if status == 200 else (400, {"error": "bad"})

    found = check("contract", healthy(score=mute))["bad_record"]

    assert found["refused"]
    assert not found["named"]


def test_a_server_error_is_no_refusal() -> None:
    def broken(records: list[dict[str, Any]]) -> Answer:
        status, content = model(records)
        return (status, content) if status == 200 else (500, {"error": "KeyError"})

    assert not check("contract", healthy(score=broken))["bad_record"]["refused"]


def test_contract_tells_how_the_published_schema_differs() -> None:
    behaviour = healthy()
    changed = [{"name": "customer", "type": "string"}, {"name": "income", "type": "number", "min": 1}]
    behaviour.pages["/openapi.json"] = (200, published(changed, [*OUTPUT, {"name": "why", "type": "string"}]))

    assert check("contract", behaviour)["published"] == [
        "input 'income' is published otherwise than as a finite number of at least 0",
        "input 'children' is not published",
        "output 'why' is published but not in the snapshot",
    ]


def test_contract_tells_that_nothing_is_published() -> None:
    behaviour = healthy()
    del behaviour.pages["/openapi.json"]

    assert check("contract", behaviour)["published"] == ["/openapi.json describes no records"]


def test_contract_without_golden_records_tries_made_ones() -> None:
    found = check("contract", healthy(), golden=[])

    assert found["golden"]["compared"] == 0
    assert found["asked"] == {"golden": 0, "made": 5}
    assert found["answers"]["valid"] == 5


def test_a_data_set_is_scored_in_several_requests_and_refused_rows_are_left_out() -> None:
    table = customers(1200).drop_columns("defaulted")
    income = table.column("income").to_pylist()
    income[3] = income[700] = None
    table = table.set_column(1, "income", pa.array(income, pa.float64()))
    behaviour = healthy()

    with endpoint(behaviour) as url:
        scored = Scored.ask(url, table, schema(*OUTPUT), ["risk"])

    assert scored.failure is None
    assert [reject.record for reject in scored.rejects] == [3, 700]
    assert scored.table.num_rows == len(scored.positions) == 1198
    assert max(behaviour.asked) == 500
    assert scored.table.column_names == ["risk"]


def test_a_failing_endpoint_ends_the_scoring_with_its_words() -> None:
    behaviour = healthy(score=lambda records: (500, {"error": "the model failed"}))

    with endpoint(behaviour) as url:
        scored = Scored.ask(url, customers(5).drop_columns("defaulted"), schema(*OUTPUT), ["risk"])

    assert scored.failure == "the endpoint answered 500: the model failed"
