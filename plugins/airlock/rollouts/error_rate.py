"""Requests that fail, compared with the current version's.

Every answer with a status of 400 or above counts: both versions get the same mix of callers, so what those do
wrong is the same on both sides, and what only the new version refuses is the difference. Of a stream, records
count that became dead letters for a reason that may lie with the version.
"""

from __future__ import annotations

from collections.abc import Iterator

from airlock.rollouts import intervals
from airlock.rollouts.intervals import Bounds
from airlock.rollouts.measured import Measured
from airlock.rollouts.verdict import Finding, Look
from airlock.spec import ErrorRateGuard


def judge(guard: ErrorRateGuard, new: Measured, current: Measured, look: Look) -> Iterator[Finding]:
    """The difference of the two shares within its score interval, and the new one's by itself."""
    share, current_share = _share(new), _share(current)

    def of_difference(z: float) -> Bounds:
        return intervals.increase(
            share,
            intervals.share(new.errors, new.requests, z),
            current_share,
            intervals.share(current.errors, current.requests, z),
        )

    n = min(new.requests, current.requests)
    status = look.judge(of_difference, guard.max_increase, guard.confidence, n)
    told = f"{new.errors:,} of {new.requests:,} {new.of} failed, and {current.errors:,} of "
    told += f"{current.requests:,} of the current version"
    if status == "fail":
        told += f": more than {guard.max_increase:.3g} above it"
    if status == "inconclusive":
        told += f", which does not tell{look.missing(n, new.of)}"
    points = f"{100 * guard.max_increase:.3g}"
    limit = f"at most {points} percentage point{'' if points == '1' else 's'} above the current version"
    yield Finding("error rate", status, share, current_share, "share", limit, f"{told}.")
    if guard.max is not None:
        yield _below(guard.max, guard.confidence, new, look)


def _below(limit: float, confidence: float, new: Measured, look: Look) -> Finding:
    status = look.judge(
        lambda z: intervals.share(new.errors, new.requests, z), limit, confidence, new.requests
    )
    told = f"{new.errors:,} of {new.requests:,} {new.of} failed"
    if status == "inconclusive":
        told += f", which does not tell{look.missing(new.requests, new.of)}"
    words = f"at most {100 * limit:.3g} %"
    return Finding("error rate by itself", status, _share(new), None, "share", words, f"{told} ({words}).")


def _share(measured: Measured) -> float:
    return measured.errors / measured.requests if measured.requests else 0.0
