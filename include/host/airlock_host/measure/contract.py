"""Contract: golden answers repeat, answers keep their schema, a bad record is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from airlock_host.measure.answers import MOST_SHOWN, describe_answers
from airlock_host.measure.endpoint import Endpoint, EndpointError, content, in_words
from airlock_host.measure.predictions import Scored
from airlock_host.measure.published import differences
from airlock_host.measure.records import Record, bad_record, golden_or_made
from airlock_host.measure.smoke import nothing, served
from airlock_host.schema import Schema
from airlock_host.times import read_time


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the endpoint (mode ``online``), or look at the answers of a score job (mode ``batch``)."""
    return _online(job) if job["mode"] == "online" else _batch(job)


def _online(job: Mapping[str, Any]) -> dict[str, Any]:
    inputs, outputs = Schema.read(job["input"]), Schema.read(job["output"])
    records = golden_or_made(job["golden"], inputs)
    measured: dict[str, Any] = {
        "asked": {"golden": len(job["golden"]), "made": len(records) - len(job["golden"])},
        "served": None,
    }
    with Endpoint(job["endpoint"]) as endpoint:
        try:
            response = endpoint.score(records)
            measured["served"] = served(response.headers)
            measured["published"] = differences(
                content(endpoint.get("/openapi.json")), inputs=inputs, outputs=outputs
            )
            measured["bad_record"] = _refusal(endpoint, records[0], inputs)
        except EndpointError as error:
            return {**measured, "answers": nothing(str(error)), "golden": _golden(job, [])}
    answers = content(response)
    if response.status_code != 200 or not isinstance(answers, list):
        return {**measured, "answers": nothing(in_words(response)), "golden": _golden(job, [])}
    return {**measured, "answers": describe_answers(answers, outputs), "golden": _golden(job, answers)}


def _refusal(endpoint: Endpoint, good: Record, inputs: Schema) -> dict[str, Any] | None:
    bad = bad_record(good, inputs, typed=False)
    if bad is None:
        return None
    response = endpoint.score(bad.record)
    return {
        "field": bad.field,
        "why": bad.why,
        "refused": 400 <= response.status_code < 500,
        "named": bad.field in _fields_named(response),
        "answer": in_words(response),
    }


def _fields_named(response: httpx.Response) -> set[Any]:
    answer = content(response)
    problems = answer.get("problems", []) if isinstance(answer, dict) else []
    return {problem.get("field") for problem in problems if isinstance(problem, dict)}


def _batch(job: Mapping[str, Any]) -> dict[str, Any]:
    outputs = Schema.read(job["output"])
    scored = Scored.read(job["results"]["score"], job["rejects"])
    records = job["results"]["records"]
    answers = describe_answers(scored.table.to_pylist(), outputs)
    good = records["golden"] + records["made"]
    answers["problems"] = [*scored.describe_rejects(before=good), *answers["problems"]]
    by_record: list[Any] = [None] * good
    for position, answer in zip(scored.positions, scored.table.to_pylist(), strict=True):
        if position < good:
            by_record[position] = answer
    return {
        "asked": {"golden": records["golden"], "made": records["made"]},
        "answers": answers,
        "golden": _golden(job, by_record),
        "bad_record": _reject(records["bad"], scored, good),
    }


def _reject(bad: Mapping[str, str] | None, scored: Scored, record: int) -> dict[str, Any] | None:
    if bad is None:
        return None
    rejects = [reject for reject in scored.rejects if reject.record == record]
    return {
        **bad,
        "refused": bool(rejects),
        "named": any(reject.field == bad["field"] for reject in rejects),
        "answer": "; ".join(map(str, rejects)) or "it was scored",
    }


def _golden(job: Mapping[str, Any], answers: Sequence[Any]) -> dict[str, Any]:
    """Compare answers with the golden ones, position by position."""
    mismatches: list[str] = []
    largest = 0.0
    matching = 0
    for number, golden in enumerate(job["golden"]):
        answer = answers[number] if number < len(answers) else None
        if not isinstance(answer, Mapping):
            mismatches.append(f"golden record {number + 1} was not answered")
            continue
        wrong = []
        for name, expected in golden["output"].items():
            found = answer.get(name)
            deviation = _deviation(found, expected)
            largest = max(largest, deviation or 0.0)
            if not _same(found, expected, deviation, job["rtol"], job["atol"]):
                wrong.append(f"golden record {number + 1}: {name!r} is {found!r} instead of {expected!r}")
        matching += not wrong
        mismatches += wrong
    return {
        "compared": len(job["golden"]),
        "matching": matching,
        "largest_deviation": largest,
        "mismatches": mismatches[:MOST_SHOWN],
    }


def _deviation(found: Any, expected: Any) -> float | None:
    """How far a number is from the golden one, relative to it; ``None`` for what is no number."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (found, expected)):
        return None
    deviation = abs(float(found) - float(expected)) / (abs(float(expected)) or 1.0)
    return deviation if math.isfinite(deviation) else None


def _same(found: Any, expected: Any, deviation: float | None, rtol: float, atol: float) -> bool:
    if deviation is not None:
        return bool(abs(float(found) - float(expected)) <= atol + rtol * abs(float(expected)))
    if isinstance(found, datetime) and isinstance(expected, str):
        return bool(read_time(expected) == read_time(found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")))
    same_type: bool = type(found) is type(expected)
    return same_type and bool(found == expected)
