"""What can be checked at a stage, and within which limits: the statement, not the measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError

from airlock.spec.base import Spec
from airlock.spec.kinded import Kinded, written_kind
from airlock.spec.metrics import METRICS, Metric
from airlock.spec.mistakes import did_you_mean, shown
from airlock.spec.names import CheckName, Line, Name
from airlock.spec.refusal import details_of, refusal, refusal_at, together

CheckKind = Literal["smoke", "contract", "performance", "latency"]


class Check(Kinded):
    """What all checks have in common.

    In YAML a check is its kind (``smoke``) or ``{kind: {option: value}}``.
    """

    kind: ClassVar[CheckKind]

    name: CheckName = pydantic.Field(default="", kw_only=True, validate_default=False)
    """What the check is called; different for each check of a stage. Without it: the kind."""
    on_fail: Literal["reject", "warn"] = pydantic.Field(default="reject", kw_only=True)
    """What a failure does: ``reject`` ends the passage, ``warn`` only tells the approvers."""


class Smoke(Check):
    """A few records are scored, and every answer has the promised fields, with finite numbers in them."""

    kind = "smoke"

    records: int = pydantic.Field(default=5, ge=1, le=100_000)
    """How many records are scored."""


class Contract(Check):
    """Answers keep the promised schema, bad records are refused, golden records give their known answers."""

    kind = "contract"

    rtol: float = pydantic.Field(default=1e-6, ge=0, le=1)
    """How far a number may be from its golden value, relative to that value."""
    atol: float = pydantic.Field(default=1e-9, ge=0)
    """How far a number may be from its golden value beside that, in its own unit."""


class Limit(Spec):
    """Between which values a metric must lie, ends included."""

    min: float | None = None
    """The least value that passes."""
    max: float | None = pydantic.Field(default=None, validate_default=True)
    """The greatest value that passes."""

    @pydantic.field_validator("max")
    @classmethod
    def _says_something(cls, value: float | None, info: pydantic.ValidationInfo) -> float | None:
        if "min" not in info.data:
            return value
        least = info.data["min"]
        if value is None and least is None:
            raise refusal("the limit has neither min nor max", "Write {min: …} or {max: …}.")
        if value is not None and least is not None and least > value:
            raise refusal(f"min {least:g} is above max {value:g}", "No value can pass: swap them.")
        return value


class Delta(Spec):
    """How far a metric may fall behind the champion's: a margin of non-inferiority."""

    min_delta: float | None = None
    """Where higher is better: the least difference (candidate minus champion) that passes."""
    max_delta: float | None = pydantic.Field(default=None, validate_default=True)
    """Where lower is better: the greatest difference (candidate minus champion) that passes."""

    @pydantic.field_validator("max_delta")
    @classmethod
    def _says_one_thing(cls, value: float | None, info: pydantic.ValidationInfo) -> float | None:
        if "min_delta" in info.data and (value is None) == (info.data["min_delta"] is None):
            raise refusal(
                "a comparison needs either min_delta or max_delta",
                "Write min_delta where higher is better, max_delta where lower is better.",
            )
        return value


_LimitModel = TypeVar("_LimitModel", Limit, Delta)


def _each_metric(
    model: type[_LimitModel], mistake: Callable[[str, Metric, _LimitModel], PydanticCustomError | None]
) -> pydantic.WrapValidator:
    """Validate a mapping of metric to limit item by item, so that one mistake does not hide another."""

    def check(value: Any, _validate: pydantic.ValidatorFunctionWrapHandler) -> dict[str, _LimitModel]:
        if not isinstance(value, Mapping):
            raise PydanticKnownError("dict_type")
        valid: dict[str, _LimitModel] = {}
        wrong: list[InitErrorDetails] = []
        for name, limit in value.items():
            if name not in METRICS:
                mend = did_you_mean(str(name), METRICS)
                error: PydanticCustomError | None = refusal(f"unknown metric {shown(name)}", mend)
            else:
                try:
                    valid[name] = model.model_validate(limit)
                except pydantic.ValidationError as invalid:
                    wrong += details_of(invalid, within=(name,))
                    continue
                error = mistake(name, METRICS[name], valid[name])
            if error is not None:
                wrong.append(refusal_at(str(name), error))
        if wrong:
            raise together(wrong)
        return valid

    return pydantic.WrapValidator(check)


def _limit_mistake(name: str, metric: Metric, limit: Limit) -> PydanticCustomError | None:
    least, greatest = metric.range
    for bound in (limit.min, limit.max):
        if bound is not None and not least <= bound <= greatest:
            return refusal(f"{name} is never {bound:g}", f"It lies between {least:g} and {greatest:g}.")
    if metric.higher_is_better and limit.min is None:
        return refusal(f"the limit of {name} has no min", "Higher is better here: write {min: …}.")
    if not metric.higher_is_better and limit.max is None:
        return refusal(f"the limit of {name} has no max", "Lower is better here: write {max: …}.")
    return None


def _delta_mistake(name: str, metric: Metric, delta: Delta) -> PydanticCustomError | None:
    if metric.higher_is_better and delta.min_delta is None:
        return refusal(f"max_delta does not fit {name}", "Higher is better here: write {min_delta: …}.")
    if not metric.higher_is_better and delta.max_delta is None:
        return refusal(f"min_delta does not fit {name}", "Lower is better here: write {max_delta: …}.")
    least, greatest = metric.range
    bound = delta.min_delta if delta.max_delta is None else delta.max_delta
    if bound is not None and abs(bound) > greatest - least:
        return refusal(
            f"two values of {name} never differ by {bound:g}", f"They lie between {least:g} and {greatest:g}."
        )
    return None


class Performance(Check):
    """Metrics on a labelled dataset, within limits and, where asked, against the champion on the same rows.

    In YAML each metric with its limit is a key of its own:
    ``performance: {dataset: holdout, roc_auc: {min: 0.85}}``.
    """

    kind = "performance"

    dataset: Name
    """One of the service's datasets."""
    metrics: Annotated[dict[str, Limit], _each_metric(Limit, _limit_mistake)] = pydantic.Field(
        default_factory=dict
    )
    """The limits, by name of the metric (see ``airlock.spec.metrics``)."""
    vs_champion: Annotated[dict[str, Delta], _each_metric(Delta, _delta_mistake)] = pydantic.Field(
        default_factory=dict, validate_default=True
    )
    """How the candidate must compare with the service's current version, by name of the metric."""
    min_rows: int = pydantic.Field(default=200, ge=2, le=1_000_000_000)
    """With fewer rows the check is inconclusive."""
    confidence: float = pydantic.Field(default=0.95, ge=0.5, lt=1)
    """The level of the confidence intervals."""
    resamples: int = pydantic.Field(default=1000, ge=100, le=100_000)
    """How many bootstrap samples the intervals are made of."""
    threshold: float = pydantic.Field(default=0.5, ge=0, le=1)
    """From which score on a record counts as positive, for metrics that need classes."""
    score: Line | None = None
    """The output that is measured; without it the first numeric one."""

    @classmethod
    def known_keys(cls) -> list[str]:
        return [*super().known_keys(), *METRICS]

    @pydantic.model_validator(mode="before")
    @classmethod
    def _gather_metrics(cls, data: Any) -> Any:
        # Runs before the short forms are read (pydantic runs the last before-validator first).
        options = data[cls.kind] if isinstance(data, Mapping) and list(data) == [cls.kind] else data
        if not isinstance(options, Mapping):
            return data
        named = options.get("metrics", {})
        beside = {key: value for key, value in options.items() if key in METRICS}
        if not beside or not isinstance(named, Mapping):
            return data
        rest = {key: value for key, value in options.items() if key not in METRICS}
        return {**rest, "metrics": {**named, **beside}}

    @pydantic.field_validator("vs_champion")
    @classmethod
    def _limits_something_of_one_task(
        cls, deltas: dict[str, Delta], info: pydantic.ValidationInfo
    ) -> dict[str, Delta]:
        if "metrics" not in info.data:
            return deltas
        names = sorted({*info.data["metrics"], *deltas})
        if not names:
            raise refusal("the check limits no metric", "Add one, like 'roc_auc: {min: 0.85}'.")
        if len({METRICS[name].task for name in names}) > 1:
            raise refusal(
                f"{', '.join(names)} are not all of one task",
                "Make two checks: one for classification, one for regression.",
            )
        return deltas


class Latency(Check):
    """How fast an online deployment answers under a stated load. Times are in milliseconds."""

    kind = "latency"

    p50_ms: float | None = pydantic.Field(default=None, gt=0)
    """Half of the requests must be answered within this time."""
    p95_ms: float | None = pydantic.Field(default=None, gt=0)
    """95 of 100 requests must be answered within this time."""
    p99_ms: float | None = pydantic.Field(default=None, gt=0, validate_default=True)
    """99 of 100 requests must be answered within this time."""
    error_rate: float = pydantic.Field(default=0.0, ge=0, le=1)
    """The greatest share of requests that may fail."""
    requests: int = pydantic.Field(default=200, ge=1, le=1_000_000)
    """How many requests are sent."""
    concurrency: int = pydantic.Field(default=4, ge=1, le=1000)
    """How many requests are under way at the same time."""
    records: int = pydantic.Field(default=1, ge=1, le=100_000)
    """How many records one request carries."""

    @pydantic.field_validator("p99_ms")
    @classmethod
    def _percentiles_limit_and_rise(cls, p99_ms: float | None, info: pydantic.ValidationInfo) -> float | None:
        if "p50_ms" not in info.data or "p95_ms" not in info.data:
            return p99_ms
        limits = [limit for limit in (info.data["p50_ms"], info.data["p95_ms"], p99_ms) if limit is not None]
        if not limits:
            raise refusal("the check limits no percentile", "Add one of p50_ms, p95_ms and p99_ms.")
        if limits != sorted(limits):
            raise refusal("a lower percentile has the greater limit", "Let p50_ms <= p95_ms <= p99_ms.")
        return p99_ms


AnyCheck = Annotated[
    Annotated[Smoke, pydantic.Tag("smoke")]
    | Annotated[Contract, pydantic.Tag("contract")]
    | Annotated[Performance, pydantic.Tag("performance")]
    | Annotated[Latency, pydantic.Tag("latency")],
    pydantic.Discriminator(written_kind),
]
"""A check of any kind, as an item of a stage's list."""
