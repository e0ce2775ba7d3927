"""Moving traffic to a new version: what the guards say of both versions, and what a rollout does next.

Rules over facts and nothing else. Who executes them measures both versions over the same interval::

    new, current = difference(new_before, new_after), difference(current_before, current_after)
    results = judge(rollout.guard, new, current, Look(planned=..., least_requests=...))
    move = next_move(Facts(..., verdict=worst(result.status for result in results)))

and does what the move says: it never decides itself. Under a shadow both versions answer the same requests.
What their servers recorded of that is read now and then, and goes to ``judge`` too::

    comparison = comparison.go_on(guard, now, new=page(...), current=page(...))
    results = judge(rollout.guard, new, current, look, comparison.found)
"""

from __future__ import annotations

from airlock.rollouts.answers import Compared
from airlock.rollouts.comparison import Comparison
from airlock.rollouts.guards import judge
from airlock.rollouts.machine import Answer, Facts, Move, due, next_move
from airlock.rollouts.measured import Measured, difference
from airlock.rollouts.reading import Reading, read
from airlock.rollouts.steps import ALL, Step, steps, sticky_header
from airlock.rollouts.verdict import Finding, GuardResult, Look, Verdict, worst
from airlock.spec import (
    AnswersGuard,
    BlueGreen,
    Canary,
    Direct,
    ErrorRateGuard,
    LatencyGuard,
    MetricGuard,
    ScoreDistributionGuard,
    Shadow,
    Sticky,
)

__all__ = [
    "ALL",
    "Answer",
    "AnswersGuard",
    "BlueGreen",
    "Canary",
    "Compared",
    "Comparison",
    "Direct",
    "ErrorRateGuard",
    "Facts",
    "Finding",
    "GuardResult",
    "LatencyGuard",
    "Look",
    "Measured",
    "MetricGuard",
    "Move",
    "Reading",
    "ScoreDistributionGuard",
    "Shadow",
    "Step",
    "Sticky",
    "Verdict",
    "difference",
    "due",
    "judge",
    "next_move",
    "read",
    "steps",
    "sticky_header",
    "worst",
]
