"""Steps that several kinds of checks share: write records, and have them scored in batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock.checks.context import CheckContext
from airlock.checks.steps import Failure, Measurement, Place, Step, failure
from airlock.exceptions import CheckError

ROW = "airlock_row"
"""The column with which the checks environment numbers records; the host keeps it beside each answer."""

ANSWERED = ("records", "score")
"""The steps of a batch before one looks at the answers."""


def schemas(context: CheckContext) -> dict[str, Any]:
    """The candidate's schemas, as jobs take them."""
    return {"input": context.manifest["input_schema"], "output": context.manifest["output_schema"]}


def write_records(context: CheckContext, *, count: int | None, bad: bool) -> Step:
    """Write records to try the candidate with, in the checks environment.

    :param count: how many; ``None`` for all golden ones.
    :param bad: end with one that must be refused.
    """
    return Step(
        name="records",
        where="checks",
        command="check",
        arguments={
            "kind": "records",
            "input": context.manifest["input_schema"],
            "golden": list(context.golden),
            "count": count,
            "bad": bad,
            "output": path(context, "records.parquet"),
        },
    )


def score(
    context: CheckContext,
    *,
    name: str,
    where: Place,
    records: str,
    needs: tuple[str, ...],
    snapshot: str,
    digest: str,
) -> Step:
    """Have a file scored in a snapshot's own environment.

    :param records: the file's name in the scratch folder.
    :param needs: the step that writes it, and others that must have succeeded.
    """
    return Step(
        name=name,
        where=where,
        command="batch",
        arguments={
            "kind": "score",
            "input": [path(context, records)],
            "output": path(context, f"{name}.parquet"),
            "rejects": rejects(context, name),
            "columns": [ROW],
            "provenance": {"snapshot": snapshot, "digest": digest, "purpose": "check"},
        },
        needs=needs,
    )


def ask(context: CheckContext, job: Mapping[str, Any], *, records: int | None, bad: bool) -> list[Step]:
    """Have the candidate answer records in the way it is deployed, and look at the answers.

    Online the step that looks asks the endpoint itself; in batch the records are written and scored before.

    :param job: what the step that looks is told, but for where the answers come from.
    :param records: how many, in batch; ``None`` for all golden ones.
    :param bad: end with one that must be refused, in batch.
    """
    job = {**job, "mode": context.mode, **schemas(context)}
    if context.mode == "online":
        return [Step("measure", "checks", "check", {**job, "endpoint": endpoint(context)})]
    return [
        write_records(context, count=records, bad=bad),
        score(
            context,
            name="score",
            where="candidate",
            records="records.parquet",
            needs=("records",),
            snapshot=context.snapshot,
            digest=context.digest,
        ),
        Step("measure", "checks", "check", {**job, "rejects": rejects(context, "score")}, needs=ANSWERED),
    ]


def not_asked(measurements: Mapping[str, Measurement], context: CheckContext) -> Failure | None:
    """What went wrong in the steps of :func:`ask`, or ``None``."""
    needed = ("measure",) if context.mode == "online" else (*ANSWERED, "measure")
    return failure(measurements, context, *needed)


def rejects(context: CheckContext, name: str) -> str:
    """Where the records that a score step refuses are written."""
    return path(context, f"{name}-rejects.jsonl")


def path(context: CheckContext, name: str) -> str:
    """A file in the scratch folder."""
    return f"{context.scratch}/{name}"


def endpoint(context: CheckContext) -> str:
    """The candidate's REST endpoint.

    :raises CheckError: it has none.
    """
    if context.endpoint is None:
        raise CheckError(
            f"{context.snapshot} is deployed {context.mode} and has no endpoint to ask.",
            mend="Deploy it again: the runtime must report a REST endpoint of an online deployment.",
        )
    return context.endpoint
