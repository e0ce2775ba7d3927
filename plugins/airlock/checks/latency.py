"""Latency: how long an endpoint takes to answer under a stated load, and how often it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock.checks import scoring_steps, smoke
from airlock.checks.context import CheckContext
from airlock.checks.limits import within
from airlock.checks.result import CheckResult, Interval, Metric, MetricStatus, worst
from airlock.checks.steps import Measurement, Step, failure
from airlock.checks.words import number
from airlock.exceptions import CheckError
from airlock.spec import Latency

LEAST_ANSWERS = {"p50_ms": 2, "p95_ms": 20, "p99_ms": 100}
"""With fewer answers the percentile is simply the slowest of them."""

BUSIEST_CLIENT = 0.8
"""A client that computes for a larger share of the time may have been what was measured."""

NOT_TESTED = (
    "The network between applications and the runtime: the client runs beside the endpoint.",
    "Bursts: each connection sends its next request when the one before is answered.",
)


def plan(check: Latency, context: CheckContext) -> list[Step]:
    """Put the endpoint under load.

    :raises CheckError: the snapshot is deployed in batch, where there is nothing to be late.
    """
    if context.mode != "online":
        raise CheckError(
            f"Check {check.name!r} measures the latency of an endpoint, but {context.snapshot} is deployed "
            "as a batch job at this stage.",
            mend="Remove the check from this stage, or set the service's mode to online here.",
        )
    job = {
        "kind": "latency",
        "endpoint": scoring_steps.endpoint(context),
        "input": context.manifest["input_schema"],
        "golden": list(context.golden),
        "requests": check.requests,
        "concurrency": check.concurrency,
        "records": check.records,
    }
    return [Step("measure", "checks", "check", job)]


def judge(check: Latency, measurements: Mapping[str, Measurement], context: CheckContext) -> CheckResult:
    """Percentiles and error rate must be within their limits; the intervals show how sure that is."""
    if broken := failure(measurements, context, "measure"):
        return CheckResult(
            check=check.name,
            kind=check.kind,
            status=broken.status,
            summary=broken.message,
            not_tested=NOT_TESTED,
        )
    measured = measurements["measure"]
    metrics = [_percentile(name, getattr(check, name), measured) for name in LEAST_ANSWERS]
    metrics.append(_error_rate(check, measured))
    metrics.append(
        Metric(
            name="requests_per_second", value=measured["requests_per_second"], n=check.requests, status="info"
        )
    )
    status = worst(metric.status for metric in metrics)
    load = f"{check.requests:,} requests of {check.records:,} record{'s' if check.records > 1 else ''}, "
    load += f"{check.concurrency} at a time"
    limited = [metric for metric in metrics if metric.limit is not None and metric.unit == "ms"]
    good = "; ".join(
        f"{metric.name[:-3]} {number(metric.value, 'ms')} ({metric.limit})" for metric in limited
    )
    return CheckResult(
        check=check.name,
        kind=check.kind,
        status=status if status in ("pass", "fail", "inconclusive") else "inconclusive",
        summary=smoke.summary(metrics, f"{good} with {load}."),
        metrics=tuple(metrics),
        figures=tuple(measured["figures"]),
        records={
            "requests": check.requests,
            "answered": measured["answered"],
            "failed": measured["failed"],
            "requests to warm up, not counted": measured["warm_up"],
        },
        notes=(
            f"The load: {load}, on kept connections.",
            f"The client computed for {measured['client_busy']:.0%} of the time.",
        ),
        not_tested=NOT_TESTED,
    )


def _percentile(name: str, highest: float | None, measured: Mapping[str, Any]) -> Metric:
    found = measured["percentiles"][name]
    value, interval, answered = found["value"], _interval(found["interval"]), measured["answered"]
    status: MetricStatus = within(value, None, highest)
    message = ""
    if status == "fail" and value is None:
        message = f"{name[:-3]} cannot be told: no request was answered."
    elif status != "info" and answered < LEAST_ANSWERS[name]:
        status = "inconclusive"
        message = (
            f"{answered} answers are too few for {name[:-3]}: send {LEAST_ANSWERS[name]} or more requests."
        )
    elif status == "fail" and measured["client_busy"] >= BUSIEST_CLIENT:
        status = "inconclusive"
        message = (
            f"{name[:-3]} is {value:.3g} ms, above {highest:g} ms, but the client that measures was itself "
            f"busy for {measured['client_busy']:.0%} of the time: lower the concurrency."
        )
    elif status == "fail":
        message = f"{name[:-3]} is {value:.3g} ms; the limit is {highest:g} ms."
    elif status == "pass" and (interval[1] is None or (highest is not None and interval[1] > highest)):
        bound = "does not bound it from above" if interval[1] is None else f"reaches {interval[1]:.3g} ms"
        message = f"Within the limit, but the interval {bound}: more requests would tell more."
    return Metric(
        name=name,
        value=value,
        unit="ms",
        n=answered,
        ci=interval,
        limit=None if highest is None else f"at most {highest:g} ms",
        bound=None if highest is None else (None, highest),
        status=status,
        message=message,
    )


def _error_rate(check: Latency, measured: Mapping[str, Any]) -> Metric:
    status = within(measured["error_rate"], None, check.error_rate)
    kinds = ", ".join(f"{count:,} x {kind}" for kind, count in list(measured["errors"].items())[:3])
    return Metric(
        name="error_rate",
        value=measured["error_rate"],
        n=check.requests,
        unit="share",
        ci=_interval(measured["error_rate_interval"]),
        limit=f"at most {100 * check.error_rate:g} %",
        bound=(None, check.error_rate),
        status=status,
        message=f"{measured['failed']:,} of {check.requests:,} requests failed: {kinds}." if kinds else "",
    )


def _interval(bounds: list[float | None]) -> Interval:
    lower, upper = bounds
    return lower, upper
