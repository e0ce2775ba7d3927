"""Snapshots and data for these tests, small enough to read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Entries = Sequence[Mapping[str, Any]]

# A loan application and what the model below makes of it.
INPUTS: Entries = (
    {"name": "income", "type": "number", "min": 0},
    {"name": "age", "type": "integer", "min": 18, "max": 120},
    {"name": "purpose", "type": "string", "values": ["car", "house"]},
    {"name": "owner", "type": "boolean"},
    {"name": "debt", "type": "number", "nullable": True},
    {"name": "applied", "type": "timestamp", "nullable": True},
)
OUTPUTS: Entries = (
    {"name": "score", "type": "number", "min": 0, "max": 1},
    {"name": "decision", "type": "string", "values": ["yes", "no"]},
)
GOOD: Mapping[str, Any] = {
    "income": 3000.0,
    "age": 40,
    "purpose": "car",
    "owner": True,
    "debt": None,
    "applied": "2026-03-31T12:00:00Z",
}
LOANS = """
    import numpy as np

    def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        debt = np.nan_to_num(rows["debt"])
        score = 1 / (1 + np.exp(-(rows["income"] - debt) / 1000 + rows["age"] / 40))
        return {"score": score, "decision": np.where(score > 0.5, "yes", "no")}
"""

# A model of twenty numbers and one answer, their mean.
NUMBERS: Entries = tuple({"name": f"x{number:02}", "type": "number"} for number in range(20))
MEAN: Entries = ({"name": "mean", "type": "number"},)
MEANS = """
    import numpy as np

    def score(rows: np.ndarray) -> np.ndarray:
        return rows.mean(axis=1)
"""


def build_snapshot(
    folder: Path,
    source: str = LOANS,
    *,
    inputs: Entries = INPUTS,
    outputs: Entries = OUTPUTS,
    golden: Sequence[Mapping[str, Any]] | None = None,
    **manifest: Any,
) -> Path:
    """A materialised snapshot of a Python module."""
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(dedent(source), encoding="utf-8")
    if golden is not None:
        lines = [json.dumps({"input": record, "output": {}}) + "\n" for record in golden]
        (folder / "golden.jsonl").write_text("".join(lines), encoding="utf-8")
        manifest["golden"] = "golden.jsonl"
    entry_points = {"module": "model.py", "score": "score"}
    if "def init" in source:
        entry_points["init"] = "init"
    return write_manifest(
        folder,
        {"format": "python", "entry_points": entry_points, "input_schema": inputs, "output_schema": outputs}
        | manifest,
    )


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Make a folder a materialised snapshot."""
    path = folder / ".airlock" / "manifest.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"schema_version": 1, "model": "loans", **manifest}), encoding="utf-8")
    return folder


def numbers(rows: int, *, seed: int = 1) -> pa.Table:
    """A table of the twenty numbers."""
    generator = np.random.default_rng(seed)
    return pa.table({entry["name"]: np.round(generator.normal(size=rows), 3) for entry in NUMBERS})


def write_numbers(path: Path, rows: int, *, row_group: int = 100_000, seed: int = 1) -> pa.Table:
    """A Parquet file of the twenty numbers."""
    table = numbers(rows, seed=seed)
    pq.write_table(table, path, row_group_size=row_group)
    return table
