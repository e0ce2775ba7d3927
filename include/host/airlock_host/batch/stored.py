"""Batch jobs whose files may be in object stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airlock_host.batch.job import BatchJob
from airlock_host.batch.part import METADATA_KEY
from airlock_host.batch.run import MANIFEST, run
from airlock_host.staging import Mirror, is_url, mirror


def run_stored(job: dict[str, Any]) -> dict[str, Any]:
    """Score as :func:`~airlock_host.batch.run.run` does, with URLs wherever there may be paths.

    What was in a store before is untouched until all is scored. Then each file is put there whole, the
    manifest last, so that a job that is killed and repeated leaves the same files.

    :raises InputUnusable: as for paths, or a bucket does not exist.
    :raises StoreUnusable: a store cannot be reached, or refuses.
    """
    with mirror() as copies:
        local = dict(job)
        inputs = job.get("input")
        if is_url(inputs):
            local["input"] = copies.reads(job["input"])
        elif isinstance(inputs, list):
            local["input"] = [copies.reads(place) if is_url(place) else place for place in inputs]
        for key in ("output", "rejects"):
            if is_url(job.get(key)):
                local[key] = copies.writes(job[key])
        checked = BatchJob.read(local)
        copies.fetch()
        result = run(local)
        _put(checked, result, copies)
        named: dict[str, Any] = copies.named_in(result)
        return named


def _put(job: BatchJob, result: dict[str, Any], copies: Mirror) -> None:
    """In the order in which a local job puts them in place."""
    stored, manifest = copies.holds(job.output), job.output / MANIFEST
    if stored and not job.one_file:
        copies.remove(manifest)
    if copies.holds(job.rejects):
        if result["rejects"] is None:
            copies.remove(job.rejects)
        else:
            copies.put([job.rejects])
    if not stored:
        return
    files = [Path(file["path"]) for file in result["files"]]
    copies.put(files)
    if not job.one_file:
        kept = [path.name for path in files]
        copies.remove_others(job.output, kept, name="part-*.parquet", stamp=METADATA_KEY)
        copies.put([manifest])
