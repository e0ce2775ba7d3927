"""What guards find: pass, fail, or too little to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from airlock.rollouts.intervals import Bounds, at_any_time, once

Verdict = Literal["pass", "fail", "inconclusive"]

_WORST_FIRST: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")


@dataclass(frozen=True)
class Finding:
    """One number of both versions, and what is concluded from it.

    :param measure: what was measured, as people call it: ``error rate``, ``p95``.
    :param new: the new version's; ``None`` where there is none.
    :param current: the current version's in the same interval.
    :param unit: ``share``, ``ms``, or empty.
    :param limit: what was asked, in words.
    :param sentence: what is to be known about it.
    """

    measure: str
    status: Verdict
    new: float | None
    current: float | None
    unit: str
    limit: str
    sentence: str


@dataclass(frozen=True)
class GuardResult:
    """What one guard says of an interval."""

    guard: str
    kind: str
    status: Verdict
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> str:
        """The sentences that made it so."""
        return " ".join(finding.sentence for finding in self.findings if finding.status == self.status)


@dataclass(frozen=True)
class Look:
    """When guards look, and how much they need.

    :param planned: at the end of a bake. Before that a guard can fail, and not pass.
    :param least_requests: with fewer to either version, only what is plain counts.
    """

    planned: bool
    least_requests: int

    def judge(
        self, bounds_at: Callable[[float], Bounds], limit: float, confidence: float, n: float
    ) -> Verdict:
        """Hold a number that is known within bounds against the greatest that is allowed.

        It fails where even its lower bound is above the limit, passes where its upper bound is not, and is
        inconclusive in between. At a moment that was not planned, or with little data, the bounds are those
        that hold at any time.

        :param bounds_at: the bounds of the number by the quantile of the normal distribution.
        :param n: how much it rests on.
        """
        if bounds_at(at_any_time(confidence, n, self.least_requests))[0] > limit:
            return "fail"
        if not self.planned or n < self.least_requests:
            return "inconclusive"
        lower, upper = bounds_at(once(confidence))
        if lower > limit:
            return "fail"
        return "pass" if upper <= limit else "inconclusive"

    def missing(self, n: float, of: str = "requests") -> str:
        """Why a number is inconclusive, to end a sentence with."""
        if n < self.least_requests:
            return f": {n:,.0f} {of} are too few, it needs {self.least_requests:,}"
        return "" if self.planned else " so far"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that decides: of no verdicts, inconclusive."""
    found = set(verdicts)
    return next((verdict for verdict in _WORST_FIRST if verdict in found), "inconclusive")
