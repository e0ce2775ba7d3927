"""The steps of a performance check: candidate and champion score the data set without its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock.checks import scoring_steps
from airlock.checks.context import Champion, CheckContext
from airlock.checks.steps import Step
from airlock.exceptions import CheckError
from airlock.spec import METRICS, Performance


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
