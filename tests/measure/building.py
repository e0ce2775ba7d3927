"""What the tests of measuring are made with: schemas, data sets, files of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from airlock_host.measure.records import ROW
from airlock_host.schema import Schema

INPUT: list[dict[str, Any]] = [
    {"name": "customer", "type": "string"},
    {"name": "income", "type": "number", "min": 0},
    {"name": "children", "type": "integer", "nullable": True},
]
OUTPUT: list[dict[str, Any]] = [
    {"name": "customer", "type": "string"},
    {"name": "risk", "type": "number", "min": 0, "max": 1},
]
KEYLESS_OUTPUT = OUTPUT[1:]


def schema(*fields: dict[str, Any]) -> Schema:
    return Schema.read(fields)


def customers(rows: int, *, positives: float = 0.3, seed: int = 0) -> pa.Table:
    """Customers of whom a share defaults, the poorer ones sooner."""
    random = np.random.default_rng(seed)
    income = random.gamma(3, 1000, rows)
    score = -income + random.normal(0, 1500, rows)
    defaulted = np.zeros(rows, dtype=np.int64)
    defaulted[np.argsort(-score)[: round(positives * rows)]] = 1
    return pa.table(
        {
            "customer": [f"c-{number}" for number in range(rows)],
            "income": income,
            "children": pa.array(
                [None if number % 7 == 0 else number % 4 for number in range(rows)], pa.int64()
            ),
            "defaulted": defaulted,
        }
    )


def good_scores(table: pa.Table) -> np.ndarray[Any, Any]:
    """What a sensible model answers."""
    return 1 / (1 + np.exp(table.column("income").to_numpy() / 1000 - 2))


def write_dataset(folder: Path, table: pa.Table, name: str = "holdout.parquet") -> dict[str, str]:
    """Write a data set; the entry of a job that names it."""
    pq.write_table(table, folder / name)
    return {"name": "holdout", "path": str(folder / name), "target": "defaulted"}


def write_answers(
    folder: Path,
    scores: Any,
    *,
    keys: Any = None,
    positions: Any = None,
    name: str = "score",
) -> dict[str, Any]:
    """Write answers as a score job does; the job's result."""
    columns: dict[str, Any] = {
        ROW: pa.array(range(len(scores)) if positions is None else positions, pa.int64())
    }
    if keys is not None:
        columns["customer"] = keys
    table = pa.table({**columns, "risk": pa.array(scores)})
    path = folder / f"{name}.parquet"
    pq.write_table(table, path)
    return {"files": [{"path": str(path), "rows": len(scores), "sha256": ""}]}


def performance_job(folder: Path, table: pa.Table, scores: Any, **changed: Any) -> dict[str, Any]:
    """A job that measures ``scores`` for the rows of ``table``."""
    return {
        "kind": "performance",
        "task": "classification",
        "dataset": write_dataset(folder, table),
        "threshold": 0.5,
        "confidence": 0.95,
        "resamples": 200,
        "candidate": model_job(folder, "score"),
        "champion": None,
        "results": {"score": write_answers(folder, scores)},
        **changed,
    }


def model_job(folder: Path, name: str, **changed: Any) -> dict[str, Any]:
    return {
        "snapshot": f"{name}@1",
        "digest": f"sha256:{name}",
        "input": INPUT,
        "output": KEYLESS_OUTPUT,
        "column": "risk",
        "endpoint": None,
        "rejects": str(folder / f"{name}-rejects.jsonl"),
        **changed,
    }
