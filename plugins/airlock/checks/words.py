"""What numbers are called and mean, and how they are written, for readers who do not know the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airlock.checks.result import CheckStatus, Interval, MetricStatus

NOT_AVAILABLE = "none"


@dataclass(frozen=True)
class Words:
    """What a number is called, and what it means."""

    label: str
    meaning: str


_WORDS: Mapping[str, Words] = {
    "roc_auc": Words(
        "Ranking (ROC AUC)",
        "How often a positive case gets a higher score than a negative one. 0.5 is chance, 1 is perfect.",
    ),
    "average_precision": Words(
        "Average precision",
        "How right alarms are, averaged over all thresholds. Guessing gives the share of positives.",
    ),
    "accuracy": Words("Accuracy", "The share of cases that are put in the right class."),
    "balanced_accuracy": Words(
        "Balanced accuracy", "The share put in the right class, both classes counted alike. 0.5 is chance."
    ),
    "precision": Words("Precision", "Of the cases called positive, the share that are."),
    "recall": Words("Recall", "Of the positive cases, the share that are found."),
    "f1": Words("F1", "Precision and recall in one number, drawn to the lower of the two. 1 is perfect."),
    "log_loss": Words(
        "Log loss",
        "How far the probabilities are from what happened; sure mistakes count most. 0 is perfect.",
    ),
    "brier": Words(
        "Brier score", "The mean squared distance of the probabilities from what happened. 0 is perfect."
    ),
    "r2": Words(
        "R²", "The share of the variation that is explained. 0 is no better than the mean, 1 is perfect."
    ),
    "rmse": Words(
        "Root mean squared error", "The typical error, large ones counted more, in the target's unit."
    ),
    "mae": Words("Mean absolute error", "The average size of the errors, in the target's unit."),
    "mape": Words(
        "Mean absolute percentage error", "The average size of the errors as a share of the target."
    ),
    "median_absolute_error": Words(
        "Median absolute error", "Half of the errors are smaller than this, in the target's unit."
    ),
    "max_error": Words("Largest error", "The worst single error, in the target's unit."),
    "rows_predicted": Words(
        "Rows with a prediction", "Every row must get one: leaving out hard cases would flatter the model."
    ),
    "rows": Words("Rows to judge by", "With fewer rows the numbers are too uncertain for a verdict."),
    "rows_of_smaller_class": Words(
        "Rows of the rarer class", "With fewer of them the numbers are mostly chance."
    ),
    "target_varies": Words("The target varies", "Where all rows have one target, nothing can be told apart."),
    "duplicate_rows": Words(
        "Repeated rows", "Rows that repeat another make the numbers look surer than they are."
    ),
    "p50_ms": Words("Median time to answer", "Half of the requests were answered within this time."),
    "p95_ms": Words(
        "95th percentile of the time to answer", "95 of 100 requests were answered within this time."
    ),
    "p99_ms": Words(
        "99th percentile of the time to answer", "99 of 100 requests were answered within this time."
    ),
    "error_rate": Words(
        "Failed requests", "The share of requests that were refused, broken off or not answered."
    ),
    "requests_per_second": Words(
        "Requests per second", "The throughput at this load; not the most it can do."
    ),
    "live": Words("Server is live", "The server process answers."),
    "ready": Words("Model is ready", "The model is loaded and takes requests."),
    "right_snapshot": Words(
        "Answers come from this snapshot",
        "The endpoint names the digest of the snapshot that is being tested.",
    ),
    "valid_answers": Words(
        "Answers as promised", "Answers that have the fields, types, ranges and values of the output schema."
    ),
    "golden_records": Words(
        "Golden records repeated",
        "Known records must get the same answers here as when the snapshot was made.",
    ),
    "bad_record_refused": Words(
        "Bad record is refused", "A record that breaks the input schema must not be scored."
    ),
    "bad_field_named": Words(
        "The refusal names the field", "Whoever sent a bad record must learn what to mend."
    ),
    "published_schema_differences": Words(
        "Differences in the published schema",
        "What the endpoint tells its clients must be what the snapshot promises.",
    ),
}

_COMPARISON = "_vs_champion"


def words(name: str) -> Words:
    """The words for a metric; its own name where there are none."""
    if name.endswith(_COMPARISON):
        known = words(name.removesuffix(_COMPARISON))
        return Words(f"{known.label} against the champion", f"{known.meaning} Both models on the same rows.")
    return _WORDS.get(name, Words(name.replace("_", " ").capitalize(), ""))


STATUS: Mapping[CheckStatus | MetricStatus, str] = {
    "pass": "passed",
    "warn": "warning",
    "fail": "failed",
    "inconclusive": "inconclusive",
    "error": "could not run",
    "skipped": "not run",
    "not_applicable": "not applicable",
    "info": "no limit",
}
"""A status as people read it."""


def number(value: float | None, unit: str = "") -> str:
    """A number as people read it: counts with thousands separators, others with four digits."""
    if value is None:
        return NOT_AVAILABLE
    if unit == "yes/no":
        return "yes" if value else "no"
    if unit == "share":
        return f"{100 * value:.3g} %"
    text = f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.4g}"
    return f"{text} {unit}".strip()


def signed(value: float | None) -> str:
    """A difference, with its sign."""
    return NOT_AVAILABLE if value is None else f"{value:+.4f}" if abs(value) < 1 else f"{value:+.4g}"


def interval(bounds: Interval | None, unit: str = "", *, difference: bool = False) -> str:
    """An interval: ``0.81 to 0.88``; an open side is said."""
    if bounds is None:
        return ""
    write = signed if difference else lambda value: number(value, unit)
    lower, upper = bounds
    if lower is None and upper is None:
        return ""
    if lower is None:
        return f"up to {write(upper)}"
    if upper is None:
        return f"{write(lower)} or more"
    return f"{write(lower)} to {write(upper)}"
