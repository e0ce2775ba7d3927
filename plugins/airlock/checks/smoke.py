"""Smoke: the snapshot is up, is the right one, and answers a few records as its schema promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock.checks import scoring_steps
from airlock.checks.context import CheckContext
from airlock.checks.result import CheckResult, Metric, worst
from airlock.checks.steps import Measurement, Step
from airlock.spec import Smoke

NOT_TESTED = ("How good the answers are: only that they come and have the promised form.",)


def plan(check: Smoke, context: CheckContext) -> list[Step]:
    """Online: ask the endpoint. Batch: write records, have them scored, look at the answers."""
    job = {
        "kind": "smoke",
        "golden": list(context.golden[: check.records]),
        "records": check.records,
    }
    return scoring_steps.ask(context, job, records=check.records, bad=False)


def judge(check: Smoke, measurements: Mapping[str, Measurement], context: CheckContext) -> CheckResult:
    """Every part of it must be so."""
    if broken := scoring_steps.not_asked(measurements, context):
        return CheckResult(
            check=check.name,
            kind=check.kind,
            status=broken.status,
            summary=broken.message,
            not_tested=NOT_TESTED,
        )
    measured = measurements["measure"]
    metrics = [answers(measured)]
    if context.mode == "online":
        metrics = [
            yes_or_no("live", measured["live"]["ok"], measured["live"]["message"]),
            yes_or_no("ready", measured["ready"]["ok"], measured["ready"]["message"]),
            right_snapshot(measured["served"], context),
            *metrics,
        ]
    status = worst(metric.status for metric in metrics)
    return CheckResult(
        check=check.name,
        kind=check.kind,
        status="fail" if status == "fail" else "pass",
        summary=summary(metrics, f"{asked(measured)} records are answered as promised."),
        metrics=tuple(metrics),
        records=records(measured),
        notes=made_note(measured),
        not_tested=NOT_TESTED,
    )


def answers(measured: Mapping[str, Any]) -> Metric:
    """How many records were answered as the output schema promises."""
    found, number = measured["answers"], asked(measured)
    return Metric(
        name="valid_answers",
        value=found["valid"],
        n=number,
        limit=f"all {number}",
        bound=(number, number),
        status="pass" if found["valid"] == number and not found["problems"] else "fail",
        message=" ".join(f"{sentence(problem)}" for problem in found["problems"][:3]),
    )


def yes_or_no(name: str, ok: bool, message: str) -> Metric:
    """Something that must be so; the message is kept where it is not."""
    return Metric(
        name=name,
        value=float(ok),
        unit="yes/no",
        limit="yes",
        status="pass" if ok else "fail",
        message="" if ok else sentence(message),
    )


def right_snapshot(served: Mapping[str, str] | None, context: CheckContext) -> Metric:
    """The endpoint must say that it answers with this very snapshot."""
    digest = (served or {}).get("digest", "")
    name = (served or {}).get("snapshot", "") or "an unnamed snapshot"
    return yes_or_no(
        "right_snapshot",
        digest == context.digest,
        f"the endpoint answers with {name} {digest}".strip()
        + f" instead of {context.snapshot} {context.digest}",
    )


def asked(measured: Mapping[str, Any]) -> int:
    """How many good records were sent."""
    return int(measured["asked"]["golden"] + measured["asked"]["made"])


def records(measured: Mapping[str, Any]) -> dict[str, int]:
    """What was asked and what came back, as counts."""
    return {
        "golden records": measured["asked"]["golden"],
        "records made from the schema": measured["asked"]["made"],
        "answered": measured["answers"]["answered"],
        "answered as promised": measured["answers"]["valid"],
    }


def made_note(measured: Mapping[str, Any]) -> tuple[str, ...]:
    """Made records obey the schema, but may be like nothing that the model will ever see."""
    made = measured["asked"]["made"]
    if not made:
        return ()
    return (f"{made} records were made from the input schema, for want of golden ones.",)


def summary(metrics: list[Metric], good: str) -> str:
    """What is wrong, or ``good`` when nothing is."""
    wrong = [metric for metric in metrics if metric.status in ("fail", "inconclusive")]
    return " ".join(metric.message or f"{metric.name} is not as asked." for metric in wrong) or good


def sentence(text: str) -> str:
    """Begin with a capital, end with a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
