"""Smoke: the snapshot is up, is the right one, and answers a few records as it promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airlock_host.measure.answers import describe_answers
from airlock_host.measure.endpoint import RECORDS_A_REQUEST, Endpoint, EndpointError, content, in_words
from airlock_host.measure.predictions import Scored
from airlock_host.measure.records import Record, golden_and_made
from airlock_host.schema import Schema


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the endpoint (mode ``online``), or at the answers of a score job (mode ``batch``)."""
    return _online(job) if job["mode"] == "online" else _batch(job)


def _online(job: Mapping[str, Any]) -> dict[str, Any]:
    golden = job["golden"][: job["records"]]
    records = golden_and_made(golden, Schema.read(job["input"]), job["records"])
    with Endpoint(job["endpoint"]) as endpoint:
        measured: dict[str, Any] = {
            "live": _health(endpoint, "/v2/health/live"),
            "ready": _health(endpoint, "/v2/health/ready"),
            "served": None,
            "asked": {"golden": len(golden), "made": len(records) - len(golden)},
        }
        try:
            answers = _answers(endpoint, records, measured)
        except (EndpointError, _RefusedError) as error:
            return {**measured, "answers": nothing(str(error))}
    return {**measured, "answers": describe_answers(answers, Schema.read(job["output"]))}


class _RefusedError(Exception):
    """The endpoint did not answer good records with as many answers; the message says what it did."""


def _answers(endpoint: Endpoint, records: Sequence[Record], measured: dict[str, Any]) -> list[Any]:
    """The answers to all records; which snapshot gave them is added to what was measured."""
    answers: list[Any] = []
    for begin in range(0, len(records), RECORDS_A_REQUEST):
        asked = records[begin : begin + RECORDS_A_REQUEST]
        response = endpoint.score(asked)
        measured["served"] = served(response.headers)
        answered = content(response)
        if response.status_code != 200:
            raise _RefusedError(in_words(response))
        if not isinstance(answered, list) or len(answered) != len(asked):
            raise _RefusedError(f"{len(asked)} records were not answered with a list of as many answers")
        answers += answered
    return answers


def _batch(job: Mapping[str, Any]) -> dict[str, Any]:
    scored = Scored.read(job["results"]["score"], job["rejects"])
    records = job["results"]["records"]
    answers = describe_answers(scored.table.to_pylist(), Schema.read(job["output"]))
    answers["problems"] = [*scored.describe_rejects(), *answers["problems"]]
    return {
        "asked": {"golden": records["golden"], "made": records["made"]},
        "answers": answers,
        "rejected": len(scored.rejects),
    }


def _health(endpoint: Endpoint, path: str) -> dict[str, Any]:
    try:
        response = endpoint.get(path)
    except EndpointError as error:
        return {"ok": False, "message": str(error)}
    return {"ok": response.status_code == 200, "message": f"GET {path} answered {response.status_code}"}


def served(headers: Mapping[str, str]) -> dict[str, str]:
    """Which snapshot the endpoint says it answers with."""
    return {"snapshot": headers.get("x-airlock-snapshot", ""), "digest": headers.get("x-airlock-digest", "")}


def nothing(why: str) -> dict[str, Any]:
    """No answers, and why."""
    return {"answered": 0, "valid": 0, "problems": [why]}
