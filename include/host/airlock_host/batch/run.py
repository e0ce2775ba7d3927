"""A batch job from its file to its result.

Parts are scored into a hidden folder beside the output. Only when all are done do they replace what was
there, each by a rename, and last the manifest is written: ``_airlock.json`` in the output folder says which
files belong to it. Nothing in these files depends on when, where or in how many processes they were made:
a job that runs again, for whatever reason, leaves the same bytes, once.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airlock_host.batch.inputs import Plan, find_files, plan
from airlock_host.batch.job import BatchJob
from airlock_host.batch.part import METADATA_KEY, WRITING, Layout, Scored, file_sha256, layout, score_part
from airlock_host.batch.progress import Progress
from airlock_host.batch.workers import score_parts
from airlock_host.exceptions import InputUnusable
from airlock_host.jobs import write_json
from airlock_host.models import load
from airlock_host.snapshot import Snapshot

log = logging.getLogger(__name__)

MANIFEST = "_airlock.json"

# Below this a second process costs more to start than it saves.
_ROWS_PER_PROCESS = 200_000


def run(job_file: dict[str, Any]) -> dict[str, Any]:
    """Score as the job says, and return its result.

    :raises InputUnusable: the job or its input is wrong.
    :raises SnapshotUnusable: the model does not load.
    :raises ModelFailed: the model failed on some rows.
    :raises WorkerDied: a scoring process was killed.
    """
    started = time.perf_counter()
    job = BatchJob.read(job_file)
    snapshot = Snapshot.open(job.model)
    planned = plan(_input_files(job), snapshot.inputs)
    output_layout = layout(planned.columns, job.columns, snapshot.outputs, dict(job.provenance))
    processes = _processes(job, planned)
    log.info(
        "scoring %s rows in %s parts with %s, %s at the same time",
        "an unknown number of" if planned.rows is None else f"{planned.rows:,}",
        len(planned.parts),
        snapshot.model,
        processes,
    )
    progress = Progress(planned.rows)
    hidden = _hidden_folder(job)
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    try:
        scored = _score(job, job_file, snapshot, planned, output_layout, hidden, processes, progress)
        rejects = _put_rejects(job, planned, hidden)
        files = (
            _put_file(job, planned, scored, hidden, output_layout)
            if job.one_file
            else _put_folder(job, planned, scored, hidden, rejects)
        )
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    seconds = time.perf_counter() - started
    rows_in = sum(part.rows_in for part in scored)
    return _counts(scored) | {
        "files": files,
        "rejects": rejects,
        "processes": processes,
        "seconds": round(seconds, 3),
        "seconds_loading": round(progress.seconds_loading, 3),
        "rows_per_second": round(rows_in / seconds, 1),
    }


def _score(
    job: BatchJob,
    job_file: dict[str, Any],
    snapshot: Snapshot,
    planned: Plan,
    output_layout: Layout,
    folder: Path,
    processes: int,
    progress: Progress,
) -> list[Scored]:
    """Score all parts into ``folder``: in this process, or in several."""
    if processes > 1:
        return score_parts(
            job_file, planned.parts, planned.columns, folder, processes=processes, progress=progress
        )
    model = load(snapshot)
    progress.loaded()
    return [
        score_part(
            part,
            model,
            output_layout,
            batch_rows=job.batch_rows,
            folder=folder,
            progress=progress.scored,
        )
        for part in planned.parts
    ]


def _input_files(job: BatchJob) -> list[Path]:
    files = find_files(job.inputs)
    for path in files:
        if path == job.output or (not job.one_file and path.is_relative_to(job.output)):
            raise InputUnusable(
                f"{path} is an input and lies where the output goes, {job.output}; a second run would score "
                "its own output. Choose another folder.",
                field="output",
            )
    return files


def _processes(job: BatchJob, planned: Plan) -> int:
    most = min(job.processes, len(planned.parts))
    if planned.rows is None:
        return most
    return max(1, min(most, planned.rows // _ROWS_PER_PROCESS))


def _hidden_folder(job: BatchJob) -> Path:
    return job.output.parent / f".{job.output.name}.unfinished"


def _counts(scored: Sequence[Scored]) -> dict[str, Any]:
    return {
        "rows_in": sum(part.rows_in for part in scored),
        "rows_out": sum(part.rows_out for part in scored),
        "rows_rejected": sum(part.rows_rejected for part in scored),
    }


def _put_rejects(job: BatchJob, planned: Plan, hidden: Path) -> dict[str, Any] | None:
    """Join the parts' rejects into one file; without rejects there is none, also no older one."""
    joined = hidden / "rejects.jsonl"
    with joined.open("wb") as target:
        for part in planned.parts:
            with (hidden / part.rejects_name).open("rb") as source:
                shutil.copyfileobj(source, target)
    if joined.stat().st_size == 0:
        job.rejects.unlink(missing_ok=True)
        return None
    sha256 = file_sha256(joined)
    job.rejects.parent.mkdir(parents=True, exist_ok=True)
    joined.replace(job.rejects)
    return {"path": str(job.rejects), "sha256": sha256}


def _put_folder(
    job: BatchJob, planned: Plan, scored: Sequence[Scored], hidden: Path, rejects: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Replace the output folder's files by the new parts."""
    job.output.mkdir(parents=True, exist_ok=True)
    manifest = job.output / MANIFEST
    manifest.unlink(missing_ok=True)
    names = {part.name for part in planned.parts}
    for path in job.output.glob("part-*.parquet"):
        if path.name not in names and _is_ours(path):
            path.unlink()
    files: list[dict[str, Any]] = []
    for part, result in zip(planned.parts, scored, strict=True):
        (hidden / part.name).replace(job.output / part.name)
        files.append({"path": str(job.output / part.name), "rows": result.rows_out, "sha256": result.sha256})
    write_json(
        manifest,
        _counts(scored)
        | {
            "files": [{**file, "path": Path(file["path"]).name} for file in files],
            "rejects_sha256": None if rejects is None else rejects["sha256"],
            "provenance": dict(job.provenance),
        },
    )
    return files


def _is_ours(path: Path) -> bool:
    """Whether a file in the output folder is one of an earlier run's parts."""
    try:
        metadata = pq.read_schema(path).metadata
    except (OSError, pa.ArrowException):
        return False
    return metadata is not None and METADATA_KEY in metadata


def _put_file(
    job: BatchJob, planned: Plan, scored: Sequence[Scored], hidden: Path, output_layout: Layout
) -> list[dict[str, Any]]:
    """Join the parts into the one output file."""
    parts = [hidden / part.name for part in planned.parts]
    joined = parts[0]
    if len(parts) > 1:
        joined = hidden / "joined.parquet"
        with pq.ParquetWriter(joined, output_layout.schema, **WRITING) as writer:
            for path in parts:
                with pq.ParquetFile(path) as source:
                    for group in range(source.num_row_groups):
                        writer.write_table(source.read_row_group(group))
    sha256 = file_sha256(joined)
    joined.replace(job.output)
    return [{"path": str(job.output), "rows": _counts(scored)["rows_out"], "sha256": sha256}]
