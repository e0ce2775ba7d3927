"""What is watched while traffic moves to a new version, and within which limits.

A guard compares the new version with the current one over the same interval: this is the statement, not the
measuring.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

import pydantic

from airlock.spec.kinded import Kinded, written_kind
from airlock.spec.mistakes import shown
from airlock.spec.names import CheckName
from airlock.spec.refusal import refusal

GuardKind = Literal["error_rate", "latency", "score_distribution", "metric", "answers"]


class Guard(Kinded):
    """What all guards have in common.

    In YAML a guard is its kind (``error_rate``) or ``{kind: {option: value}}``.
    """

    kind: ClassVar[GuardKind]

    name: CheckName = pydantic.Field(default="", kw_only=True, validate_default=False)
    """What the guard is called; different for each guard of a rollout. Without it: the kind."""
    confidence: float = pydantic.Field(default=0.95, kw_only=True, ge=0.5, lt=1)
    """How sure a verdict must be. A guard that is less sure is inconclusive."""


class ErrorRateGuard(Guard):
    """The share of requests that fail, for whatever reason, stays near the current version's."""

    kind = "error_rate"

    max_increase: float = pydantic.Field(default=0.01, gt=0, le=1)
    """How much larger than the current version's the share may be: 0.01 is one request of a hundred."""
    max: float | None = pydantic.Field(default=None, ge=0, le=1)
    """The greatest share, whatever the current version's is."""


class LatencyGuard(Guard):
    """The time to answer stays near the current version's."""

    kind = "latency"

    p50_ratio: float | None = pydantic.Field(default=None, gt=0)
    """The greatest ratio of the new version's median to the current one's."""
    p95_ratio: float | None = pydantic.Field(default=1.5, gt=0)
    """The greatest ratio of the 95th percentiles."""
    p99_ratio: float | None = pydantic.Field(default=None, gt=0)
    """The greatest ratio of the 99th percentiles."""
    p50_ms: float | None = pydantic.Field(default=None, gt=0)
    """Half of the requests must be answered within this time, whatever the current version does."""
    p95_ms: float | None = pydantic.Field(default=None, gt=0)
    """95 of 100 requests must be answered within this time."""
    p99_ms: float | None = pydantic.Field(default=None, gt=0)
    """99 of 100 requests must be answered within this time."""
    tolerance_ms: float = pydantic.Field(default=5.0, ge=0, validate_default=True)
    """A percentile that is longer by no more than this passes, whatever the ratio."""

    @pydantic.field_validator("tolerance_ms")
    @classmethod
    def _limits_something(cls, tolerance_ms: float, info: pydantic.ValidationInfo) -> float:
        limits = [f"p{percent}_{of}" for percent in (50, 95, 99) for of in ("ratio", "ms")]
        if all(limit in info.data for limit in limits) and not any(info.data[limit] for limit in limits):
            raise refusal("the guard limits no percentile", "Write p95_ratio: 1.5, or leave it out.")
        return tolerance_ms


class ScoreDistributionGuard(Guard):
    """The first number that the model answers is spread as the current version's is.

    Both versions get the same mix of requests, so a difference is the model's.
    """

    kind = "score_distribution"

    max_psi: float = pydantic.Field(default=0.2, gt=0)
    """The greatest population stability index. By custom 0.1 is a small shift, and 0.25 a large one."""


_METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"


def _check_metric(metric: str) -> str:
    if re.fullmatch(_METRIC, metric) is None:
        raise refusal(f"{shown(metric)} is not the name of a metric", "Write it as /metrics shows it.")
    return metric


MetricName = Annotated[
    str,
    pydantic.AfterValidator(_check_metric),
    pydantic.WithJsonSchema({"type": "string", "pattern": _METRIC, "maxLength": 200}),
    pydantic.Field(max_length=200),
]
"""The name of a metric, as Prometheus takes it."""


class MetricGuard(Guard):
    """Any number that a deployment shows at ``/metrics``.

    A counter (its name ends with ``_total``) is taken per request of the interval, anything else as it is.
    """

    kind = "metric"

    metric: MetricName
    """The metric, like ``process_resident_memory_bytes``."""
    labels: dict[str, str] = pydantic.Field(default_factory=dict)
    """Which of its series count; their sum is taken. Without it, all of them."""
    max: float | None = None
    """The greatest value that passes."""
    max_increase: float | None = pydantic.Field(default=None, ge=0)
    """How much more than the current version's it may be."""
    max_ratio: float | None = pydantic.Field(default=None, gt=0, validate_default=True)
    """How many times the current version's it may be."""

    @pydantic.field_validator("max_ratio")
    @classmethod
    def _limits_something(cls, max_ratio: float | None, info: pydantic.ValidationInfo) -> float | None:
        others = ("max", "max_increase")
        known = max_ratio is None and all(other in info.data for other in others)
        if known and all(info.data[other] is None for other in others):
            raise refusal("the guard limits nothing", "Add one of max, max_increase and max_ratio.")
        return max_ratio


class AnswersGuard(Guard):
    """The new version answers the same requests as the current one does. Only under a ``shadow``.

    Two answers differ where their statuses do, or any of their outputs.
    """

    kind = "answers"

    max_differ: float | None = pydantic.Field(default=0.01, gt=0, le=1)
    """The greatest share of requests whose answers differ. ``null`` sets no limit: they are reported only."""
    tolerance: float = pydantic.Field(default=1e-6, ge=0, allow_inf_nan=False)
    """Numbers no further apart are the same: the last digits depend on libraries and processors."""
    examples: int = pydantic.Field(default=5, ge=0, le=50)
    """How many differing answers are kept in the registry and shown in the report; 0 for none."""


AnyGuard = Annotated[
    Annotated[ErrorRateGuard, pydantic.Tag("error_rate")]
    | Annotated[LatencyGuard, pydantic.Tag("latency")]
    | Annotated[ScoreDistributionGuard, pydantic.Tag("score_distribution")]
    | Annotated[MetricGuard, pydantic.Tag("metric")]
    | Annotated[AnswersGuard, pydantic.Tag("answers")],
    pydantic.Discriminator(written_kind),
]
"""A guard of any kind, as an item of a rollout's list."""
