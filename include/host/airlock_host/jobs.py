"""Jobs: a JSON file in, a JSON file with the result or the error out."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airlock_host.ending import Watch
from airlock_host.exceptions import HostError, InputUnusable
from airlock_host.report import Report

log = logging.getLogger(__name__)

Job = dict[str, Any]
Result = dict[str, Any]


def run_job(
    path: Path, run: Callable[[Job], Result], *, deadline: float | None = None, report: bool = False
) -> int:
    """Run the job in the file at ``path`` and write what ``run`` returns to the job's ``result`` file.

    An error is written there too, as ``{"error": {"type", "message", "field"?}}``. Also where SIGINT, SIGTERM
    or the deadline end it: this does not return then, and the process ends with 130, 143 or 124.

    :param deadline: seconds that the job may take.
    :param report: write the result to standard output as well, in frames (:mod:`airlock_host.report`).
    :returns: the exit code: 0, 1 (the model or the host is broken) or 2 (the caller's data is).
    :raises InputUnusable: the job file itself cannot be read, so that there is no result file to tell it in.
    :raises HostError: the result cannot be written.
    """
    sender = Report() if report else None
    try:
        try:
            job = read_job(path)
        except InputUnusable as error:
            if sender is not None:
                sender.send(_as_json(_told(error)))
            raise
        result_path = Path(job["result"])
        watch = Watch(deadline, lambda why: _write(result_path, _told(why), sender))
        try:
            result, code = _run(job, run)
            watch.over()
            _write(result_path, result, sender)
        finally:
            watch.close()
        return code
    finally:
        if sender is not None:
            sender.close()


def _run(job: Job, run: Callable[[Job], Result]) -> tuple[Result, int]:
    try:
        return run(job), 0
    except HostError as error:
        if error.__cause__ is not None:
            log.error("%s", "".join(traceback.format_exception(error.__cause__)))
        return _told(error), 2 if isinstance(error, InputUnusable) else 1
    except Exception as error:
        log.exception("the host itself failed")
        return {"error": {"type": type(error).__name__, "message": f"the host failed: {error!r}"}}, 1


def _told(error: HostError) -> Result:
    """An error as a result, and in the log."""
    log.error("%s", error)
    told = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, InputUnusable) and error.field is not None:
        told["field"] = error.field
    return {"error": told}


def _write(path: Path, result: Result, sender: Report | None) -> None:
    content = _as_json(result)
    try:
        write_whole(path, content)
    except OSError as error:
        raise HostError(f"the result cannot be written to {path}: {error.strerror}") from error
    finally:
        if sender is not None:
            sender.send(content)


def read_job(path: Path) -> Job:
    """Read a job file.

    :raises InputUnusable: it is not there, is not JSON, or names no result file.
    """
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputUnusable(f"the job file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputUnusable(f"the job file {path} is not JSON: {error}") from None
    if not isinstance(job, dict) or not isinstance(job.get("result"), str):
        raise InputUnusable(f"the job file {path} must name a 'result' file")
    return job


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, whole or not at all."""
    write_whole(path, _as_json(content))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _as_json(content: object) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
