"""Writes a model folder: what ``airlock snapshot create`` takes."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

ENVIRONMENT = Path(__file__).parent / "environment"
"""The requirements of all three models, and their lock: one environment to build, not three."""


def write_model_folder(
    out: Path, *, source: Sequence[Path], weights: dict[str, Any], golden_inputs: pa.Table
) -> None:
    """Put source files, requirements, weights and golden records into a new folder.

    :param out: the folder; what is in it is removed first.
    :param source: ``model.yaml``, ``model.py`` and what ``model.py`` imports.
    :param weights: what training found, to be written as JSON. JSON runs no code when it is opened,
        unlike pickle, and a person can read what changed between two versions.
    :param golden_inputs: a few rows. What the model answers to them now, it must answer at every stage.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for file in (*source, ENVIRONMENT / "requirements.txt", ENVIRONMENT / "requirements.lock"):
        shutil.copyfile(file, out / file.name)
    write_lines(out / "weights.json", [json.dumps(weights, indent=1)])

    model = load_module(out / "model.py")
    model.init(out)
    answers = model.score(columns(golden_inputs))
    rows = zip(*(rounded(values, digits=9) for values in answers.values()), strict=True)
    outputs = [dict(zip(answers, row, strict=True)) for row in rows]
    inputs = [as_json(record) for record in golden_inputs.to_pylist()]
    golden = [{"input": record, "output": output} for record, output in zip(inputs, outputs, strict=True)]
    write_lines(out / "golden.jsonl", [json.dumps(record) for record in golden])


def load_module(path: Path) -> ModuleType:
    """Import one file, which may import its neighbours."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(path.parent))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
        sys.dont_write_bytecode = writes_bytecode
    return module


def columns(table: pa.Table) -> dict[str, np.ndarray]:
    """The columns as a model gets them: empty numbers are NaN, times are ``datetime64`` in UTC."""
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def rounded(values: Any, digits: int = 7) -> Any:
    """Numbers with a few significant digits: processors differ in the last ones.

    So the same training gives the same bytes on every machine, and with them the same digest.
    """
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list):
        return [rounded(value, digits) for value in values]
    return float(f"{values:.{digits}g}") if isinstance(values, float) else values


def as_json(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose times are text, as in RFC 3339."""
    return {
        name: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for name, value in record.items()
    }


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write text with the same line ends on every system."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
