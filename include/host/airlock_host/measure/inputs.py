"""Writes what a model is asked in batch: records to try it with, or a data set without its target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airlock_host.measure.dataset import Dataset
from airlock_host.measure.records import bad_record, golden_and_made, golden_or_made, write, write_numbered
from airlock_host.schema import Schema


def records(job: Mapping[str, Any]) -> dict[str, Any]:
    """Write golden and made records, and at the end, where the job asks for it, one that must be refused."""
    schema, golden = Schema.read(job["input"]), job["golden"]
    rows = (
        golden_and_made(golden, schema, job["count"])
        if job["count"] is not None
        else golden_or_made(golden, schema)
    )
    bad = bad_record(rows[0], schema, typed=True) if job["bad"] else None
    write([*rows, *([bad.record] if bad else [])], schema, Path(job["output"]))
    of_golden = min(len(golden), len(rows))
    return {
        "golden": of_golden,
        "made": len(rows) - of_golden,
        "bad": {"field": bad.field, "why": bad.why} if bad else None,
    }


def features(job: Mapping[str, Any]) -> dict[str, Any]:
    """Write the columns of a data set that a model takes."""
    schema = Schema.read(job["input"])
    dataset = Dataset.open(job["dataset"], schema)
    write_numbered(dataset.features(schema), Path(job["output"]))
    return {"dataset": dataset.facts}
