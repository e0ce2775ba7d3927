"""Any number that deployments show, compared with the current version's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airlock.rollouts import intervals
from airlock.rollouts.intervals import Bounds
from airlock.rollouts.measured import Measured
from airlock.rollouts.verdict import Finding, Look, Verdict
from airlock.spec import MetricGuard

_COUNTER = "_total"


def judge(guard: MetricGuard, new: Measured, current: Measured, look: Look) -> Iterator[Finding]:
    """Counters are rates per request, with their uncertainty; other metrics are what they are."""
    if guard.metric.endswith(_COUNTER):
        yield from _rates(guard, new, current, look)
    else:
        yield from _values(guard, new, current)


def _rates(guard: MetricGuard, new: Measured, current: Measured, look: Look) -> Iterator[Finding]:
    if not new.counts(guard.metric):
        yield _unknown(guard, f"The new version shows no metric {guard.metric!r}.")
        return
    if mistake := _no_such_label(guard, new, current):
        yield _unknown(guard, mistake)
        return
    events = new.increase(guard.metric, guard.labels)
    current_events = current.increase(guard.metric, guard.labels)
    rate, current_rate = events / max(new.requests, 1), current_events / max(current.requests, 1)

    def of_new(z: float) -> Bounds:
        return intervals.rate(events, new.requests, z)

    def of_difference(z: float) -> Bounds:
        of_current = intervals.rate(current_events, current.requests, z)
        return intervals.increase(rate, of_new(z), current_rate, of_current)

    def over_the_multiple(z: float) -> Bounds:
        assert guard.max_ratio is not None
        lower, upper = intervals.rate(current_events, current.requests, z)
        allowed = lower * guard.max_ratio, upper * guard.max_ratio
        return intervals.increase(rate, of_new(z), current_rate * guard.max_ratio, allowed)

    both = min(new.requests, current.requests)
    questions = (
        (guard.max, of_new, guard.max, new.requests),
        (guard.max_increase, of_difference, guard.max_increase, both),
        (guard.max_ratio, over_the_multiple, 0.0, both),
    )
    one = new.of.removesuffix("s")
    for words, (asked, bounds, limit, n) in zip(_limits(guard), questions, strict=True):
        if asked is None or limit is None:
            continue
        status = look.judge(bounds, limit, guard.confidence, n)
        told = f"{guard.metric} is {rate:.4g} a {one}, and {current_rate:.4g} for the current version"
        if status == "inconclusive":
            told += f", which does not tell{look.missing(n, new.of)}"
        if guard.labels and not any(each.has(guard.metric, guard.labels) for each in (new, current)):
            told += f"; neither version shows it with {_written(guard.labels)}"
        yield Finding(f"{guard.metric} a {one}", status, rate, current_rate, "", words, f"{told}.")


def _values(guard: MetricGuard, new: Measured, current: Measured) -> Iterator[Finding]:
    value, of_current = new.value(guard.metric, guard.labels), current.value(guard.metric, guard.labels)
    if value is None:
        told = _no_such_label(guard, new, current)
        with_labels = f" with {_written(guard.labels)}" if guard.labels else ""
        yield _unknown(guard, told or f"The new version shows no metric {guard.metric!r}{with_labels}.")
        return
    allowed = (
        guard.max,
        None if guard.max_increase is None or of_current is None else of_current + guard.max_increase,
        None if guard.max_ratio is None or of_current is None else of_current * guard.max_ratio,
    )
    asked = (guard.max, guard.max_increase, guard.max_ratio)
    for words, wanted, limit in zip(_limits(guard), asked, allowed, strict=True):
        if wanted is None:
            continue
        status: Verdict = "inconclusive" if limit is None else "pass" if value <= limit else "fail"
        shown = "not shown" if of_current is None else f"{of_current:.4g}"
        told = f"{guard.metric} is {value:.4g}, and {shown} for the current version"
        yield Finding(guard.metric, status, value, of_current, "", words, f"{told}.")


def _limits(guard: MetricGuard) -> tuple[str, str, str]:
    return (
        f"at most {guard.max or 0:g}",
        f"at most {guard.max_increase or 0:g} above the current version's",
        f"at most {guard.max_ratio or 0:g} times the current version's",
    )


def _no_such_label(guard: MetricGuard, new: Measured, current: Measured) -> str:
    """What is wrong with the labels asked for; empty where it cannot be known, as nothing was counted yet."""
    shown = new.label_names(guard.metric) | current.label_names(guard.metric)
    if not shown or guard.labels.keys() <= shown:
        return ""
    wrong, right = ", ".join(sorted(guard.labels.keys() - shown)), ", ".join(sorted(shown))
    return f"The metric {guard.metric!r} has no label {wrong}. It has {right}."


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))


def _unknown(guard: MetricGuard, told: str) -> Finding:
    return Finding(guard.metric, "inconclusive", None, None, "", "", told)
