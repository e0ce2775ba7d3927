"""One check's result as a section of Markdown, for Airflow's pages, logs and pull requests."""

from __future__ import annotations

import re

from airlock.checks.result import CheckResult, Metric
from airlock.checks.words import STATUS, interval, number, signed, words

_SPECIAL = re.compile(r"([\\`*\[\]<>|~]|(?<!\w)_|_(?!\w))")


def markdown(result: CheckResult) -> str:
    """Write a result so that a person can read it without the code: verdict first, then every number."""
    lines = [f"### {_text(result.check)}: {STATUS[result.status]}", "", _text(result.summary), ""]
    if result.metrics:
        lines += [
            "| measure | verdict | measured | limit | champion | n | remark |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *map(_row, result.metrics),
            "",
        ]
    if result.dataset is not None:
        data = result.dataset
        lines += [f"Data set **{_text(data.name)}**: {data.rows:,} rows, `{_text(data.digest)}`.", ""]
    if result.records:
        lines += ["; ".join(f"{_text(name)}: {count:,}" for name, count in result.records.items()) + ".", ""]
    lines += [f"- {_text(note)}" for note in result.notes]
    lines += [f"- Not tested: {_text(gap)}" for gap in result.not_tested]
    return "\n".join(lines).rstrip() + "\n"


def _row(metric: Metric) -> str:
    measured = number(metric.value, metric.unit)
    if metric.delta is not None:
        measured = f"{signed(metric.delta)} ({interval(metric.delta_ci, difference=True)})"
    elif metric.ci is not None and (bounds := interval(metric.ci, metric.unit)):
        measured += f" ({bounds})"
    cells = [
        words(metric.name).label,
        STATUS[metric.status],
        measured,
        metric.limit or "",
        "" if metric.champion is None else number(metric.champion, metric.unit),
        "" if metric.n is None else f"{metric.n:,}",
        metric.message,
    ]
    return "| " + " | ".join(map(_text, cells)) + " |"


def _text(text: str) -> str:
    """Text that Markdown shows as it is, on one line: names and messages come from people and models."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
