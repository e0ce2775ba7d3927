"""Measuring a model from outside: numbers, intervals and figures, never a verdict.

Runs in the checks environment (``include/host/checks.lock``), where no code of a model is present.
What a number means, whether it is good enough, is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock_host.exceptions import InputUnusable

KINDS = ("records", "features", "smoke", "contract", "performance", "latency", "shadow")


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do one job of the checks.

    ======================= =================================================================================
    kind                    what it does, and the keys of the job beside ``kind``
    ======================= =================================================================================
    ``records``             writes records to try a model with as Parquet to ``output``: ``count`` of them
                            (``None``: all golden ones), from ``golden`` and made from the schema ``input``;
                            with ``bad`` also one that must be refused, as the last row
    ``features``            writes of ``dataset`` only what the schema ``input`` names, as Parquet to
                            ``output``: a model never sees the target that it is measured against
    ``smoke``, ``contract`` looks at the answers to such records, of ``endpoint`` (``mode`` ``online``) or
                            of the score job in ``results`` (``mode`` ``batch``, with its ``rejects`` file)
    ``performance``         measures predictions for ``dataset`` of ``candidate`` and ``champion``
    ``latency``             puts ``endpoint`` under load
    ``shadow``              compares what two workers answered to the same records of a topic: of the stream
                            files ``stream`` and ``shadow``, ``since`` a time in seconds of the epoch;
                            numbers within ``atol`` are the same
    ======================= =================================================================================

    Schemas are lists of fields as in a manifest. ``results`` holds the results of earlier steps by name.

    :returns: plain JSON.
    :raises InputUnusable: the job's data cannot be used, or a key is missing; the message says what to mend.
    """
    kind = job.get("kind")
    if kind not in KINDS:
        raise InputUnusable(f"{kind!r} is no kind of check; known are {', '.join(KINDS)}", field="kind")
    try:
        return _measure(kind, job)
    except KeyError as error:
        raise InputUnusable(f"the job of kind {kind!r} lacks {error}") from error


def _measure(kind: str, job: Mapping[str, Any]) -> dict[str, Any]:
    # Each kind loads only what it needs: scikit-learn and matplotlib take more than a second.
    match kind:
        case "smoke":
            from airlock_host.measure import smoke

            return smoke.measure(job)
        case "contract":
            from airlock_host.measure import contract

            return contract.measure(job)
        case "performance":
            from airlock_host.measure import performance

            return performance.measure(job)
        case "latency":
            from airlock_host.measure import latency

            return latency.measure(job)
        case "shadow":
            from airlock_host.measure import shadow

            return shadow.measure(job)
        case _:
            from airlock_host.measure import inputs

            return inputs.records(job) if kind == "records" else inputs.features(job)
