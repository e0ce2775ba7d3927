"""Checks whose files may be in object stores."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airlock_host.measure import run
from airlock_host.staging import Mirror, is_url, mirror


def run_stored(job: dict[str, Any]) -> dict[str, Any]:
    """Measure as :func:`~airlock_host.measure.run` does, with URLs wherever there may be paths.

    :raises InputUnusable: as for paths, or a bucket does not exist.
    :raises StoreUnusable: a store cannot be reached, or refuses.
    """
    with mirror() as copies:
        local = copy.deepcopy(job)
        _read(local, copies)
        output = job.get("output")
        # Of other kinds it is a schema.
        if is_url(output):
            local["output"] = copies.writes(job["output"])
        copies.fetch()
        result = run(local)
        if is_url(output) and copies.holds(Path(local["output"])):
            copies.put([Path(local["output"])])
        named: dict[str, Any] = copies.named_in(result)
        return named


def _read(job: dict[str, Any], copies: Mirror) -> None:
    """Replace all places that checks read from."""
    places = [(job.get("dataset"), "path")]
    places += [(part, "rejects") for part in (job, job.get("candidate"), job.get("champion"))]
    for part, key in places:
        if isinstance(part, dict) and is_url(part.get(key)):
            part[key] = copies.reads(part[key])
    results = job.get("results")
    for result in results.values() if isinstance(results, Mapping) else ():
        for file in result.get("files") or ():
            file["path"] = copies.reads(file["path"], must_exist=True)
