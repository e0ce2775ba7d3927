"""A batch job, as its JSON file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from airlock_host.exceptions import InputUnusable
from airlock_host.processors import processors

_KEYS = frozenset(
    {
        "kind",
        "model",
        "input",
        "output",
        "rejects",
        "columns",
        "provenance",
        "processes",
        "batch_rows",
        "result",
    }
)


@dataclass(frozen=True)
class BatchJob:
    """What to score with what, and where to.

    :param source: the job as it was written.
    :param inputs: files, folders and glob patterns, Parquet or CSV.
    :param output: a folder, or a file if its name ends in ``.parquet``.
    :param rejects: the JSON lines file for the records the model cannot take; by default ``_rejects.jsonl``
        in the output folder, or ``_<name>.rejects.jsonl`` beside the output file: readers of a folder of
        Parquet files leave out what begins with an underscore.
    :param columns: what the output holds: ``all`` columns of the input and the model's answers, the
        ``outputs`` alone, or the answers with the input columns of the given names.
    :param provenance: what is stamped into the output, as it is.
    :param processes: how many score at the same time.
    :param batch_rows: how many rows the model gets in one call.
    """

    source: Mapping[str, Any]
    model: Path
    inputs: tuple[str, ...]
    output: Path
    rejects: Path
    columns: Literal["all", "outputs"] | tuple[str, ...]
    provenance: Mapping[str, Any]
    processes: int
    batch_rows: int | None

    @property
    def one_file(self) -> bool:
        """Whether the output is a single file."""
        return self.output.suffix == ".parquet"

    @classmethod
    def read(cls, job: Mapping[str, Any]) -> BatchJob:
        """Read a job.

        :raises InputUnusable: naming the key that is missing, unknown or wrong.
        """
        unknown = set(job) - _KEYS
        if unknown:
            raise InputUnusable(
                f"the job has unknown keys {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KEYS))}"
            )
        if job.get("kind", "score") != "score":
            raise InputUnusable(f"a batch job is of kind 'score', not {job['kind']!r}", field="kind")
        for key in ("model", "output"):
            if not isinstance(job.get(key), str):
                raise InputUnusable(f"the job must name its {key!r}", field=key)
        inputs = [job["input"]] if isinstance(job.get("input"), str) else job.get("input")
        if not isinstance(inputs, list) or not inputs or not all(isinstance(path, str) for path in inputs):
            raise InputUnusable("'input' must be a path, or a list of paths", field="input")
        output = Path(job["output"]).absolute()
        rejects = job.get("rejects")
        if rejects is None:
            in_file_mode = output.with_name(f"_{output.stem}.rejects.jsonl")
            rejects = in_file_mode if output.suffix == ".parquet" else output / "_rejects.jsonl"
        columns = job.get("columns", "all")
        if isinstance(columns, list) and all(isinstance(name, str) for name in columns):
            columns = tuple(columns)
        elif columns not in ("all", "outputs"):
            raise InputUnusable("'columns' must be 'all', 'outputs' or a list of names", field="columns")
        provenance = job.get("provenance", {})
        if not isinstance(provenance, dict):
            raise InputUnusable("'provenance' must be an object", field="provenance")
        return cls(
            source=job,
            model=Path(job["model"]).absolute(),
            inputs=tuple(inputs),
            output=output,
            rejects=Path(rejects).absolute(),
            columns=columns,
            provenance=provenance,
            processes=_positive(job, "processes") or processors(),
            batch_rows=_positive(job, "batch_rows"),
        )


def _positive(job: Mapping[str, Any], key: str) -> int | None:
    value = job.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise InputUnusable(f"{key!r} must be a whole number of at least 1", field=key)
    return value
