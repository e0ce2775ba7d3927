"""Contract: golden answers repeat, answers keep their schema, bad records are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock.checks import scoring_steps, smoke
from airlock.checks.context import CheckContext
from airlock.checks.result import CheckResult, Metric, worst
from airlock.checks.steps import Measurement, Step
from airlock.spec import Contract

NOT_TESTED = ("How good the answers are: only that they are the ones that were promised.",)


def plan(check: Contract, context: CheckContext) -> list[Step]:
    """Online: ask the endpoint. Batch: have golden records and a bad one scored, look at what came."""
    job = {
        "kind": "contract",
        "golden": list(context.golden),
        "rtol": check.rtol,
        "atol": check.atol,
    }
    return scoring_steps.ask(context, job, records=None, bad=True)


def judge(check: Contract, measurements: Mapping[str, Measurement], context: CheckContext) -> CheckResult:
    """Every part that applies must be so."""
    if broken := scoring_steps.not_asked(measurements, context):
        return CheckResult(
            check=check.name,
            kind=check.kind,
            status=broken.status,
            summary=broken.message,
            not_tested=NOT_TESTED,
        )
    measured = measurements["measure"]
    metrics = [
        smoke.answers(measured),
        _golden(measured["golden"], check),
        *_bad_record(measured.get("bad_record")),
    ]
    not_tested = list(NOT_TESTED)
    if context.mode == "online":
        metrics = [smoke.right_snapshot(measured["served"], context), *metrics, _published(measured)]
    else:
        not_tested.append("What an endpoint publishes: this deployment takes no requests.")
    not_tested += [metric.message for metric in metrics if metric.status == "not_applicable"]
    status = worst(metric.status for metric in metrics)
    golden = measured["golden"]["compared"]
    good = f"{golden} golden record{' repeats' if golden == 1 else 's repeat'}; " if golden else ""
    return CheckResult(
        check=check.name,
        kind=check.kind,
        status="fail" if status == "fail" else "pass",
        summary=smoke.summary(
            metrics, smoke.sentence(f"{good}answers keep the schema; bad records are refused")
        ),
        metrics=tuple(metrics),
        records=smoke.records(measured),
        notes=smoke.made_note(measured),
        not_tested=tuple(not_tested),
    )


def _golden(measured: Mapping[str, Any], check: Contract) -> Metric:
    compared, matching = measured["compared"], measured["matching"]
    if compared == 0:
        message = "Golden records: the snapshot has none, so a changed answer would not be noticed."
        return Metric(name="golden_records", value=None, status="not_applicable", message=message)
    return Metric(
        name="golden_records",
        value=matching,
        n=compared,
        limit=f"all {compared}, within {check.rtol:g} relative and {check.atol:g} absolute",
        bound=(compared, compared),
        status="pass" if matching == compared else "fail",
        message=" ".join(smoke.sentence(mismatch) for mismatch in measured["mismatches"][:3])
        or f"The largest relative deviation is {measured['largest_deviation']:.2g}.",
    )


def _bad_record(measured: Mapping[str, Any] | None) -> list[Metric]:
    if measured is None:
        message = "Refusal of bad records: the input schema allows everything, so there is no bad record."
        return [Metric(name="bad_record_refused", value=None, status="not_applicable", message=message)]
    what = f"a record in which {measured['field']!r} {measured['why']}"
    return [
        smoke.yes_or_no(
            "bad_record_refused", measured["refused"], f"{what} was not refused: {measured['answer']}"
        ),
        smoke.yes_or_no(
            "bad_field_named",
            measured["named"],
            f"the answer to {what} does not name the field: {measured['answer']}",
        ),
    ]


def _published(measured: Mapping[str, Any]) -> Metric:
    found = measured.get("published", ["the endpoint publishes nothing"])
    return Metric(
        name="published_schema_differences",
        value=len(found),
        limit="none",
        bound=(0, 0),
        status="fail" if found else "pass",
        message=" ".join(smoke.sentence(difference) for difference in found[:3]),
    )
