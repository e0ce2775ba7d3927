"""Jobs: a JSON file in, a JSON file with the result or the error out."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airlock_host.exceptions import HostError, InputUnusable

log = logging.getLogger(__name__)


def run_job(path: Path, run: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Run the job in the file at ``path`` and write what ``run`` returns to the job's ``result`` file.

    An error is written there too, as ``{"error": {"type", "message", "field"?}}``.

    :returns: the exit code: 0, 1 (the model or the host is broken) or 2 (the caller's data is).
    :raises InputUnusable: the job file itself cannot be read, so that nobody could be told elsewhere.
    """
    job = read_job(path)
    result_path = Path(job["result"])
    try:
        result = run(job)
        code = 0
    except HostError as error:
        code = 2 if isinstance(error, InputUnusable) else 1
        result = {"error": {"type": type(error).__name__, "message": str(error)}}
        if isinstance(error, InputUnusable) and error.field is not None:
            result["error"]["field"] = error.field
        if error.__cause__ is not None:
            log.error("%s", "".join(traceback.format_exception(error.__cause__)))
        log.error("%s", error)
    except Exception as error:
        code = 1
        log.exception("the host itself failed")
        result = {"error": {"type": type(error).__name__, "message": f"the host failed: {error!r}"}}
    write_json(result_path, result)
    return code


def read_job(path: Path) -> dict[str, Any]:
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
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
