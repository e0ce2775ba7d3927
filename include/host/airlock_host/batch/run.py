"""A batch job from its file to its result.

Parts are scored into a hidden folder in or beside the output. Only when all are done do they replace what was
there, each by a rename, and last the manifest is written: ``_airlock.json`` in the output folder says which
files belong to it. Nothing in these files depends on when, where or in how many processes they were made:
a job that runs again, for whatever reason, leaves the same bytes, once.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airlock_host.batch.inputs import Plan, find_files, plan
from airlock_host.batch.job import BatchJob
from airlock_host.batch.part import METADATA_KEY, WRITING, Layout, Scored, file_sha256, layout, score_part
from airlock_host.batch.progress import Progress
from airlock_host.batch.workers import score_parts
from airlock_host.ending import taken_along
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
    progress = Progress(planned.rows)
    log.info(
        "scoring %s rows in %s parts with %s, %s at the same time",
        "an unknown number of" if planned.rows is None else f"{planned.rows:,}",
        len(planned.parts),
        snapshot.model,
        processes,
    )
    with _hidden_folder(job) as hidden:
        with progress:
            if processes > 1:
                scored = score_parts(job, planned, hidden, processes=processes, progress=progress)
            else:
                scored = _score_here(job, snapshot, planned, output_layout, hidden, progress)
        rejects = _put_rejects(job, planned, scored, hidden)
        files = (
            _put_file(job, planned, scored, hidden, output_layout)
            if job.one_file
            else _put_folder(job, planned, scored, hidden, rejects)
        )
    seconds = time.perf_counter() - started
    counts = _counts(scored)
    log.info(
        "scored %s rows, %s of them rejected, into %s files in %.1f s, %s a second",
        f"{counts['rows_in']:,}",
        f"{counts['rows_rejected']:,}",
        len(files),
        seconds,
        f"{counts['rows_in'] / seconds:,.0f}",
    )
    return counts | {
        "files": files,
        "rejects": rejects,
        "processes": processes,
        "seconds": round(seconds, 3),
        "seconds_loading": round(progress.seconds_loading, 3),
        "rows_per_second": round(counts["rows_in"] / seconds, 1),
    }


def _score_here(
    job: BatchJob,
    snapshot: Snapshot,
    planned: Plan,
    output_layout: Layout,
    folder: Path,
    progress: Progress,
) -> list[Scored]:
    """Score all parts in this process: what several would cost to start, small jobs do not take."""
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


@contextmanager
def _hidden_folder(job: BatchJob) -> Iterator[Path]:
    """A folder for what is unfinished, on the file system of the output."""
    name = ".unfinished"
    folder = job.output.with_name(f".{job.output.name}{name}") if job.one_file else job.output / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with taken_along(lambda: shutil.rmtree(folder, ignore_errors=True)):
        yield folder


def _counts(scored: Sequence[Scored]) -> dict[str, Any]:
    return {
        "rows_in": sum(part.rows_in for part in scored),
        "rows_out": sum(part.rows_out for part in scored),
        "rows_rejected": sum(part.rows_rejected for part in scored),
    }


def _put_rejects(
    job: BatchJob, planned: Plan, scored: Sequence[Scored], hidden: Path
) -> dict[str, Any] | None:
    """Join the parts' rejects into one file; without rejects there is none, also no older one."""
    if not any(part.rows_rejected for part in scored):
        job.rejects.unlink(missing_ok=True)
        return None
    job.rejects.parent.mkdir(parents=True, exist_ok=True)
    unfinished = job.rejects.with_name(f".{job.rejects.name}.unfinished")
    with unfinished.open("wb") as target:
        for part in planned.parts:
            with (hidden / part.rejects_name).open("rb") as source:
                shutil.copyfileobj(source, target)
    sha256 = file_sha256(unfinished)
    unfinished.replace(job.rejects)
    return {"path": str(job.rejects), "sha256": sha256}


def _put_folder(
    job: BatchJob, planned: Plan, scored: Sequence[Scored], hidden: Path, rejects: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Replace the output folder's files by the new parts."""
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
