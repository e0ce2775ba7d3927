"""A process that scores parts: ``python -m airlock_host.batch.worker``.

It reads a line of JSON with the job, loads the model, and then scores a part for each line that comes,
telling how it goes in lines of JSON. It ends when its input ends, in the middle of a part as well: so it
never outlives the process that started it, however that one ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from airlock_host.batch.inputs import Part
from airlock_host.batch.job import BatchJob
from airlock_host.batch.part import layout, score_part
from airlock_host.logs import log_to_standard_error
from airlock_host.models import load
from airlock_host.scoring_processes import error_told, private_output
from airlock_host.snapshot import Snapshot


def main() -> None:
    """Work until the input ends."""
    # An interrupt at a terminal reaches all processes of a job; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_to_standard_error()
    answers = os.fdopen(private_output(), "w", encoding="utf-8")
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), name="read", daemon=True).start()
    try:
        _work(lines, answers)
    except Exception as error:
        _tell(answers, {"error": error_told(error)})
        sys.exit(1)


def _work(lines: SimpleQueue[str], answers: TextIO) -> None:
    import pyarrow as pa

    start = json.loads(lines.get())
    job = BatchJob.read(start["job"])
    snapshot = Snapshot.open(job.model)
    columns = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(start["columns"])))
    output_layout = layout(columns, job.columns, snapshot.outputs, dict(job.provenance))
    folder = Path(start["folder"])
    model = load(snapshot)
    _tell(answers, {"ready": True})
    while True:
        part = json.loads(lines.get())
        part["row_groups"] = None if part["row_groups"] is None else tuple(part["row_groups"])
        scored = score_part(
            Part(**part),
            model,
            output_layout,
            batch_rows=job.batch_rows,
            folder=folder,
            progress=lambda rows: _tell(answers, {"rows": rows}),
        )
        _tell(answers, {"scored": vars(scored)})


def _read(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _tell(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
