"""The processes that score, seen from the one that started them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from airlock_host.batch.inputs import Part, Plan
from airlock_host.batch.job import BatchJob
from airlock_host.batch.part import Scored
from airlock_host.batch.progress import Progress
from airlock_host.ending import taken_along
from airlock_host.exceptions import WorkerDied
from airlock_host.processors import share_threads
from airlock_host.scoring_processes import error_heard, how_it_ended


def score_parts(
    job: BatchJob, planned: Plan, folder: Path, *, processes: int, progress: Progress
) -> list[Scored]:
    """Score the planned parts in several processes, each part into its files in ``folder``.

    :returns: what became of each part, in the order of the parts.
    :raises HostError: what a process told, or :class:`WorkerDied`. All processes have ended then.
    """
    waiting: SimpleQueue[Part] = SimpleQueue()
    for part in planned.parts:
        waiting.put(part)
    columns = planned.columns.serialize().to_pybytes().hex()
    start = {"job": dict(job.source), "columns": columns, "folder": str(folder)}
    with _started(processes) as workers, ThreadPoolExecutor(processes) as threads:
        try:
            futures = [threads.submit(_feed, worker, start, waiting, progress) for worker in workers]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            scored = [one for future in done for one in future.result()]
        finally:
            # Those that still score would keep their threads, and so this function, from ending.
            for worker in workers:
                worker.kill()
    return sorted(scored, key=lambda one: one.number)


@contextmanager
def _started(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    environment = share_threads(count)
    workers: list[subprocess.Popen[str]] = []
    try:
        with taken_along(lambda: _end(workers)):
            for _ in range(count):
                workers.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "airlock_host.batch.worker"],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                        encoding="utf-8",
                        env=environment,
                    )
                )
            yield workers
    finally:
        for worker in workers:
            for stream in (worker.stdin, worker.stdout):
                if stream is not None:
                    stream.close()


def _end(workers: Sequence[subprocess.Popen[str]]) -> None:
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.wait()


def _feed(
    worker: subprocess.Popen[str], start: dict[str, Any], waiting: SimpleQueue[Part], progress: Progress
) -> list[Scored]:
    """Give a process one part after the other until none is left."""
    _send(worker, start)
    _receive(worker, "ready", progress, "before it had loaded the model")
    progress.loaded()
    scored: list[Scored] = []
    while True:
        try:
            part = waiting.get_nowait()
        except Empty:
            return scored
        _send(worker, asdict(part))
        told = _receive(worker, "scored", progress, f"while it scored {part.name} of {part.path}")
        scored.append(Scored(**told))


def _send(worker: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert worker.stdin is not None
    try:
        worker.stdin.write(json.dumps(message) + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return  # It ended; reading its answer says how.


def _receive(worker: subprocess.Popen[str], key: str, progress: Progress, when: str) -> Any:
    assert worker.stdout is not None
    for line in worker.stdout:
        message = json.loads(line)
        if "rows" in message:
            progress.scored(message["rows"])
        elif "error" in message:
            raise error_heard(message["error"])
        else:
            return message[key]
    raise WorkerDied(f"a scoring process {how_it_ended(worker)}, {when}")
