"""Performance: measures on labelled data within limits, and no worse than the champion on the same rows.

How it is judged:

* A record without a usable prediction fails the check: leaving out hard records must not pay.
* Too few rows, or too few of one class, make it inconclusive, whatever the numbers say.
* A limit is judged on the measured value, the limit itself allowed. The confidence interval is shown,
  and a limit inside it is remarked on.
* Against the champion the interval of the difference is judged, both models on the same rows. The
  whole interval within the margin passes; the whole interval beyond it fails; otherwise the rows do
  not tell and it is inconclusive.
* Where there is no champion a comparison is not applicable, neither pass nor fail, so that a first
  version can pass by its limits. A check that has comparisons only then warns: nothing was judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock.checks import scoring_steps
from airlock.checks.context import Champion, CheckContext
from airlock.checks.limits import interval_words, limit_words, margin_words, non_inferior, within
from airlock.checks.result import (
    CheckResult,
    CheckStatus,
    DatasetFacts,
    Interval,
    Metric,
    MetricStatus,
    worst,
)
from airlock.checks.smoke import sentence
from airlock.checks.steps import Measurement, Step, error_message, failure, has_failed
from airlock.exceptions import CheckError
from airlock.spec import METRICS, Delta, Limit, Performance

LEAST_OF_A_CLASS = 20
"""With fewer rows of either class its measures are mostly chance."""

MOST_DUPLICATES = 0.05
"""A larger share of repeated rows makes intervals narrower than they should be, which is warned of."""

_FOR_PROBABILITIES = ("log_loss", "brier")


def plan(check: Performance, context: CheckContext) -> list[Step]:
    """Have the data set scored without its target, by candidate and champion, and measure both.

    :raises CheckError: the data set is not the service's, the output to measure does not exist, or a
        comparison is asked for a measure that has no interval.
    """
    dataset = context.datasets.get(check.dataset)
    if dataset is None:
        known = ", ".join(sorted(context.datasets)) or "none"
        raise CheckError(
            f"Check {check.name!r} measures on {check.dataset!r}, a data set that the service does not have.",
            mend=f"Add it under datasets in the service's file; it has: {known}.",
        )
    if "max_error" in check.vs_champion:
        raise CheckError(
            f"Check {check.name!r} compares max_error, but a maximum has no confidence interval.",
            mend="Compare rmse, mae or median_absolute_error.",
        )
    facts = {"name": check.dataset, "path": dataset.path, "target": dataset.target}
    task = METRICS[next(iter({**check.metrics, **check.vs_champion}))].task
    online = context.mode == "online"
    steps = [] if online else _score_candidate(context, facts)
    champion = context.champion
    if champion is not None:
        steps += _score_champion(context, champion, facts, batch=not online)
    measure = Step(
        name="measure",
        where="checks",
        command="check",
        arguments={
            "kind": "performance",
            "task": task,
            "dataset": facts,
            "threshold": check.threshold,
            "confidence": check.confidence,
            "resamples": check.resamples,
            "candidate": {
                "snapshot": context.snapshot,
                "digest": context.digest,
                **scoring_steps.schemas(context),
                "column": _column(context.snapshot, context.manifest, check.score),
                "endpoint": scoring_steps.endpoint(context) if online else None,
                "rejects": scoring_steps.rejects(context, "score"),
            },
            "champion": champion and _champion_job(champion, context, check),
        },
        needs=() if online else ("score",),
        may_use=("champion_score",) if champion is not None else (),
    )
    return [*steps, measure]


def _score_candidate(context: CheckContext, dataset: Mapping[str, str]) -> list[Step]:
    return [
        _features("features", context, dataset, context.manifest),
        scoring_steps.score(
            context,
            name="score",
            where="candidate",
            records="features.parquet",
            needs=("features",),
            snapshot=context.snapshot,
            digest=context.digest,
        ),
    ]


def _score_champion(
    context: CheckContext, champion: Champion, dataset: Mapping[str, str], *, batch: bool
) -> list[Step]:
    """The champion gets the columns of its own schema; in batch the candidate's file, if that is the same."""
    same = batch and champion.manifest["input_schema"] == context.manifest["input_schema"]
    features = "features" if same else "champion_features"
    steps = [] if same else [_features(features, context, dataset, champion.manifest)]
    return [
        *steps,
        scoring_steps.score(
            context,
            name="champion_score",
            where="champion",
            records=f"{features}.parquet",
            needs=(features, "score") if batch else (features,),
            snapshot=champion.name,
            digest=champion.digest,
        ),
    ]


def _features(
    name: str, context: CheckContext, dataset: Mapping[str, str], manifest: Mapping[str, Any]
) -> Step:
    return Step(
        name=name,
        where="checks",
        command="check",
        arguments={
            "kind": "features",
            "dataset": dict(dataset),
            "input": manifest["input_schema"],
            "output": scoring_steps.path(context, f"{name}.parquet"),
        },
    )


def _champion_job(champion: Champion, context: CheckContext, check: Performance) -> dict[str, Any]:
    outputs = {field["name"] for field in champion.manifest["output_schema"]}
    return {
        "snapshot": champion.name,
        "digest": champion.digest,
        "input": champion.manifest["input_schema"],
        "output": champion.manifest["output_schema"],
        "column": _column(champion.name, champion.manifest, check.score if check.score in outputs else None),
        "rejects": scoring_steps.rejects(context, "champion_score"),
    }


def _column(snapshot: str, manifest: Mapping[str, Any], wanted: str | None) -> str:
    """The output that is measured: the one that is asked for, or the first number that is no input too.

    :raises CheckError: there is none.
    """
    inputs = {field["name"] for field in manifest["input_schema"]}
    numbers = [field["name"] for field in manifest["output_schema"] if field["type"] in ("number", "integer")]
    if wanted is None:
        numbers = [name for name in numbers if name not in inputs]
    if wanted in numbers:
        return str(wanted)
    if wanted is None and numbers:
        return str(numbers[0])
    known = ", ".join(field["name"] for field in manifest["output_schema"])
    raise CheckError(
        f"{snapshot} has no numeric output {wanted or 'to measure'}; its outputs are {known}.",
        mend="Name one of them that is a number as the check's score.",
    )


def judge(check: Performance, measurements: Mapping[str, Measurement], context: CheckContext) -> CheckResult:
    """Hold values against limits, and differences against margins."""
    needed = ("measure",) if context.mode == "online" else ("features", "score", "measure")
    if broken := failure(measurements, context, *needed):
        return CheckResult(check=check.name, kind=check.kind, status=broken.status, summary=broken.message)
    return _Judgement(check, measurements, context).result()


class _Judgement:
    def __init__(
        self, check: Performance, measurements: Mapping[str, Measurement], context: CheckContext
    ) -> None:
        self._check = check
        self._context = context
        self._measurements = measurements
        self._measured = measurements["measure"]
        self._candidate = self._measured["candidate"]
        self._champion = self._measured["champion"]
        self._too_few = ""

    def result(self) -> CheckResult:
        basis = [self._predicted(), *self._enough(), *self._duplicates()]
        limited = [self._value(name, limit) for name, limit in self._check.metrics.items()]
        compared = [self._difference(name, delta) for name, delta in self._check.vs_champion.items()]
        others = [
            self._value(name, None) for name in self._candidate["values"] if name not in self._check.metrics
        ]
        metrics = [*limited, *compared, *basis, *others]
        return CheckResult(
            check=self._check.name,
            kind=self._check.kind,
            status=self._status(metrics, limited + compared),
            summary=self._summary(metrics, limited + compared),
            metrics=tuple(metrics),
            dataset=DatasetFacts.model_validate(self._measured["dataset"]),
            figures=tuple(self._measured["figures"]),
            records=self._records(),
            notes=tuple(self._notes()),
            not_tested=tuple(self._not_tested(compared)),
        )

    def _status(self, metrics: list[Metric], judged: list[Metric]) -> CheckStatus:
        status = worst(metric.status for metric in metrics)
        if status == "pass" and all(metric.status == "not_applicable" for metric in judged):
            return "warn"
        return status if status in ("fail", "inconclusive", "warn") else "pass"

    def _summary(self, metrics: list[Metric], judged: list[Metric]) -> str:
        status = worst(metric.status for metric in metrics)
        telling = [metric.message for metric in metrics if metric.status == status and metric.message]
        if status in ("fail", "inconclusive"):
            return " ".join(telling)
        if all(metric.status == "not_applicable" for metric in judged):
            return "Nothing was judged: the check only compares with a champion, and there is none yet."
        return "; ".join([*map(_in_short, judged), *telling[: status == "warn"]]) + "."

    # What the numbers rest on.

    def _predicted(self) -> Metric:
        rows = self._measured["rows"]
        problems = self._candidate["problems"]
        return Metric(
            name="rows_predicted",
            value=rows["used"],
            n=rows["labelled"],
            limit=f"all {rows['labelled']:,}",
            bound=(rows["labelled"], rows["labelled"]),
            status="fail" if problems or rows["used"] < rows["labelled"] else "pass",
            message=" ".join(map(sentence, problems)),
        )

    def _enough(self) -> list[Metric]:
        used, classes = self._measured["rows"]["used"], self._measured["classes"]
        found = [self._at_least("rows", used, self._check.min_rows, f"{used:,} rows are too few")]
        if classes is not None:
            rarer = "positive" if classes[1] < classes[0] else "negative"
            words = f"only {min(classes):,} of {used:,} rows are {rarer}"
            found.append(self._at_least("rows_of_smaller_class", min(classes), LEAST_OF_A_CLASS, words))
        elif used and not self._measured["target_varies"]:
            self._too_few = "Every row has the same target: there is nothing to tell apart."
            found.append(Metric(name="target_varies", value=0, status="inconclusive", message=self._too_few))
        return found

    def _at_least(self, name: str, value: int, least: int, words: str) -> Metric:
        if value >= least:
            return Metric(
                name=name, value=value, limit=f"at least {least:,}", bound=(least, None), status="pass"
            )
        self._too_few = sentence(f"{words} to judge by; at least {least:,} are needed")
        return Metric(
            name=name,
            value=value,
            limit=f"at least {least:,}",
            bound=(least, None),
            status="inconclusive",
            message=self._too_few,
        )

    def _duplicates(self) -> list[Metric]:
        repeated, rows = self._measured["rows"]["duplicates"], self._measured["dataset"]["rows"]
        if not repeated:
            return []
        share = repeated / rows
        message = (
            f"{repeated:,} of {rows:,} rows repeat an earlier one, so intervals look narrower than they are."
        )
        return [
            Metric(
                name="duplicate_rows",
                value=repeated,
                n=rows,
                limit=f"at most {MOST_DUPLICATES:.0%}",
                bound=(None, MOST_DUPLICATES * rows),
                status="warn" if share > MOST_DUPLICATES else "pass",
                message=message,
            )
        ]

    # What they say.

    def _value(self, name: str, limit: Limit | None) -> Metric:
        lowest, highest = (limit.min, limit.max) if limit is not None else (None, None)
        value, interval = (
            self._candidate["values"].get(name),
            _interval(self._candidate["intervals"].get(name)),
        )
        status = within(value, lowest, highest)
        words = limit_words(lowest, highest)
        message = ""
        if status != "info" and value is None:
            message = f"{name} could not be computed{self._why_missing(name)}."
        elif status == "fail":
            message = f"{name} is {value:.4g}; the limit is {words}."
        elif status == "pass" and interval is not None and within_is_open(interval, lowest, highest):
            message = f"Within the limit, but the {self._interval(interval)} holds the limit too."
        if status != "info" and self._too_few:
            status, message = "inconclusive", message if value is None else ""
        return Metric(
            name=name,
            value=value,
            n=self._candidate["rows"],
            ci=interval,
            limit=words,
            bound=None if limit is None else (lowest, highest),
            champion=self._champion["values"].get(name) if self._champion is not None else None,
            status=status,
            message=message,
        )

    def _difference(self, name: str, margin: Delta) -> Metric:
        limit = margin_words(margin.min_delta, margin.max_delta)
        named = f"{name}_vs_champion"
        if self._context.champion is None:
            message = f"{name} was not compared: the service has no champion yet."
            return Metric(name=named, value=None, limit=limit, status="not_applicable", message=message)
        value = self._candidate["values"].get(name)
        if self._champion is None:
            return Metric(
                name=named,
                value=value,
                limit=limit,
                status="inconclusive",
                message=self._why_no_champion(name),
            )
        delta = self._champion["differences"].get(name)
        interval = _interval(self._champion["difference_intervals"].get(name))
        status, message = self._compare(name, margin, delta, interval)
        return Metric(
            name=named,
            value=value,
            n=self._champion["rows"],
            limit=limit,
            bound=(margin.min_delta, margin.max_delta),
            champion=self._champion["values"].get(name),
            delta=delta,
            delta_ci=interval,
            status=status,
            message=message,
        )

    def _compare(
        self, name: str, margin: Delta, delta: float | None, interval: Interval | None
    ) -> tuple[MetricStatus, str]:
        if self._candidate["values"].get(name) is None and not self._too_few:
            return (
                "fail",
                f"{name} could not be computed{self._why_missing(name)}, nor compared with the champion.",
            )
        if self._too_few:
            return "inconclusive", ""
        rows = self._champion["rows"]
        if rows < self._check.min_rows:
            problems = " ".join(map(sentence, self._champion["problems"]))
            return "inconclusive", f"Only {rows:,} rows were predicted by both models. {problems}".strip()
        if delta is None or interval is None:
            return "inconclusive", f"The difference of {name} from the champion could not be computed."
        status = non_inferior(interval, margin.min_delta, margin.max_delta)
        found = f"{name} differs from the champion's by {delta:+.4g} ({self._interval(interval)})"
        asked = margin_words(margin.min_delta, margin.max_delta)
        if status == "fail":
            return status, f"{found}: worse than the margin allows ({asked})."
        if status == "inconclusive":
            return status, f"{found}: these rows do not tell whether it is within the margin ({asked})."
        return status, ""

    def _interval(self, interval: Interval) -> str:
        return interval_words(interval, percent=100 * self._check.confidence)

    def _why_missing(self, name: str) -> str:
        if name in _FOR_PROBABILITIES and self._candidate["rows"] and not self._candidate["is_probability"]:
            return f": {self._candidate['column']!r} holds values outside 0 to 1, which are no probabilities"
        if name == "precision" and self._candidate["rows"]:
            return f": no row is predicted positive at the threshold {self._check.threshold:g}"
        return ""

    def _why_no_champion(self, name: str) -> str:
        for step in ("features", "champion_features", "champion_score"):
            measurement = self._measurements.get(step)
            if measurement is not None and has_failed(measurement):
                return (
                    f"{name} was not compared: the champion could not be scored: {error_message(measurement)}"
                )
        return f"{name} was not compared: the champion was not scored."

    # What else a reader should know.

    def _records(self) -> dict[str, int]:
        rows, classes = self._measured["rows"], self._measured["classes"]
        found = {"rows": self._measured["dataset"]["rows"], "rows with a target": rows["labelled"]}
        found |= {"rows predicted": rows["used"], "rows refused by the snapshot": rows["refused"]}
        return found | ({"negatives": classes[0], "positives": classes[1]} if classes is not None else {})

    def _notes(self) -> list[str]:
        check, column = self._check, self._candidate["column"]
        notes = [
            f"Measured is the output {column!r}; a score of {check.threshold:g} or more counts as positive."
            if self._measured["task"] == "classification"
            else f"Measured is the output {column!r}.",
            f"Intervals hold {100 * check.confidence:g} % and come from {check.resamples:,} bootstrap "
            "samples of the rows, the same for both models, drawn alike every time.",
        ]
        proof = self._measured["order_proven_by"]
        if proof:
            notes.append(f"Each answer belongs to its record: {proof[0]!r} came back as it was sent.")
        else:
            notes.append("The model gives back no key of its records: that it keeps their order is trusted.")
        unlabelled = self._measured["dataset"]["rows"] - self._measured["rows"]["labelled"]
        if unlabelled:
            notes.append(f"{unlabelled:,} rows have no target and were left out.")
        if self._champion is not None and self._champion["rows"] < self._candidate["rows"]:
            notes.append(
                f"The comparison rests on the {self._champion['rows']:,} rows that both models predicted."
            )
        return notes

    def _not_tested(self, compared: list[Metric]) -> list[str]:
        return [
            "Other data than this data set: other times, other customers.",
            *(metric.message for metric in compared if metric.status == "not_applicable"),
        ]


def within_is_open(interval: Interval, lowest: float | None, highest: float | None) -> bool:
    """Whether the interval of a value that is within its limits reaches beyond them."""
    lower, upper = interval
    return (lowest is not None and lower is not None and lower < lowest) or (
        highest is not None and upper is not None and upper > highest
    )


def _in_short(metric: Metric) -> str:
    if metric.status == "not_applicable" or metric.value is None:
        return f"{metric.name.removesuffix('_vs_champion')} not compared, no champion yet"
    if metric.delta is not None:
        name = metric.name.removesuffix("_vs_champion")
        return f"{name} {metric.delta:+.3g} against the champion ({metric.limit})"
    return f"{metric.name} {metric.value:.4g} ({metric.limit})"


def _interval(bounds: list[float] | None) -> Interval | None:
    return None if bounds is None else (bounds[0], bounds[1])
