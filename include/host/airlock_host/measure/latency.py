"""Latency: percentiles with intervals, and the share of failed requests, under a stated load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from airlock_host.measure import figures, load
from airlock_host.measure.records import golden_and_made
from airlock_host.measure.rounding import rounded
from airlock_host.schema import Schema

PERCENTILES = (50, 95, 99)
CONFIDENCE = 0.95
LEAST_WARM_UP = 20
_DIFFERENT_REQUESTS = 50
_RECORDS_PREPARED = 20_000
"""Requests are encoded beforehand: with large ones there are fewer different ones."""


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Put the endpoint under load and look at how long its answers took, in milliseconds.

    Requests to warm up are sent before and not counted. Percentiles are of requests that were
    answered well; the others are counted as errors.
    """
    requests, concurrency, url = job["requests"], job["concurrency"], job["endpoint"]
    records = golden_and_made(
        job["golden"], Schema.read(job["input"]), max(_DIFFERENT_REQUESTS, job["records"])
    )
    bodies = _bodies(records, job["records"])
    encoded = load.encode(url, bodies)
    warm_up = max(LEAST_WARM_UP, 2 * concurrency)
    load.send(url, encoded, count=warm_up, concurrency=concurrency)
    found = load.send(url, encoded, count=requests, concurrency=concurrency)
    milliseconds = np.sort(np.array(found.seconds)) * 1000
    failed = sum(found.errors.values())
    measured = {
        "percentiles": {f"p{q}_ms": percentile(milliseconds, q / 100) for q in PERCENTILES},
        "answered": len(milliseconds),
        "failed": failed,
        "errors": dict(found.errors.most_common()),
        "error_rate": failed / requests,
        "error_rate_interval": _share_interval(failed, requests),
        "warm_up": warm_up,
        "requests_per_second": requests / found.duration,
        "client_busy": found.busy,
        "different_requests": len(encoded),
    }
    return {**rounded(measured), "figures": figures.latency(milliseconds, measured["percentiles"])}


def percentile(ordered: np.typing.NDArray[np.float64], share: float) -> dict[str, Any]:
    """A percentile with its distribution-free interval, from order statistics.

    The value is the smallest time within which at least ``share`` of the requests were answered. The
    number of answers below the true percentile is binomial, which gives the ranks of the bounds; where
    a rank lies outside the sample, the sample does not bound that side.

    :param ordered: times, ascending.
    """
    count = len(ordered)
    if count == 0:
        return {"value": None, "interval": [None, None]}
    tail = (1 - CONFIDENCE) / 2
    binomial = stats.binom(count, share)
    lower, upper = int(binomial.ppf(tail)), int(binomial.ppf(1 - tail)) + 1
    return {
        "value": float(ordered[max(int(np.ceil(share * count)), 1) - 1]),
        "interval": [
            float(ordered[lower - 1]) if lower >= 1 else None,
            float(ordered[upper - 1]) if upper <= count else None,
        ],
    }


def _share_interval(part: int, whole: int) -> list[float]:
    interval = stats.binomtest(part, whole).proportion_ci(CONFIDENCE, method="exact")
    return [float(interval.low), float(interval.high)]


def _bodies(records: Sequence[Any], size: int) -> list[list[Any]]:
    """Lists of ``size`` records, each beginning one record later than the one before."""
    count = max(1, min(len(records), _DIFFERENT_REQUESTS, _RECORDS_PREPARED // size))
    return [[records[(begin + step) % len(records)] for step in range(size)] for begin in range(count)]
