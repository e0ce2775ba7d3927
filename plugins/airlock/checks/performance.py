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

from airlock.checks.context import CheckContext
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
from airlock.checks.steps import Measurement, error_message, failure, has_failed
from airlock.spec import Delta, Limit, Performance

LEAST_OF_A_CLASS = 20
"""With fewer rows of either class its measures are mostly chance."""

MOST_DUPLICATES = 0.05
"""A larger share of repeated rows makes intervals narrower than they should be, which is warned of."""

_FOR_PROBABILITIES = ("log_loss", "brier")


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
        judged, lacking = limited + compared, basis[0].status == "fail"
        metrics = [*basis, *judged, *others] if lacking else [*judged, *basis, *others]
        return CheckResult(
            check=self._check.name,
            kind=self._check.kind,
            status=self._status(metrics, judged),
            summary=self._summary(metrics, judged),
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
        unpredicted = bool(self._candidate["problems"])  # which explains every value that is missing
        telling = list(
            dict.fromkeys(
                metric.message
                for metric in metrics
                if metric.status == status and metric.message and not (unpredicted and metric.value is None)
            )
        )
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
        rows, classes = self._measured["rows"]["labelled"], self._measured["classes"]
        found = [self._at_least("rows", rows, self._check.min_rows, f"{rows:,} rows are too few")]
        if classes is not None:
            rarer = "positive" if classes[1] < classes[0] else "negative"
            words = f"only {min(classes):,} of {rows:,} rows are {rarer}"
            found.append(self._at_least("rows_of_smaller_class", min(classes), LEAST_OF_A_CLASS, words))
        elif not self._measured["target_varies"]:
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
            status, message = "inconclusive", self._too_few
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
            return "inconclusive", self._too_few
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
            notes.append(
                "The model gives back no key of its records, so nothing here proves that it keeps their "
                "order; golden records do, in a contract check."
            )
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
