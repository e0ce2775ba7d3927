"""What a rollout does next: a pure function of what is so.

The rules: no step is left out; the traffic never gets ahead of the step; what ends, ends with all traffic
or with none; a guard that fails ends it with none, at whatever moment; nothing moves after the end. Asked
again about the same facts, the answer is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from airlock.rollouts.steps import extensions, steps
from airlock.rollouts.verdict import Verdict
from airlock.spec import Rollout, Shadow

Answer = Literal["go on", "roll back", "expired", "nobody"]
"""What people said: ``expired`` is that they did not in time, ``nobody`` that there is no one to ask."""

Kind = Literal["wait", "advance", "extend", "ask", "complete", "roll_back", "rest"]


@dataclass(frozen=True)
class Facts:
    """Everything that decides about the next move.

    :param step: the step under way, counted from 0.
    :param since: since when it is watched; ``None`` where it has not been begun.
    :param extended: how many times it was prolonged.
    :param verdict: what the guards say now, all together; ``pass`` only where the look was planned.
    :param asked: people were asked about this step.
    :param answer: what they said.
    :param ended: the rollout has its outcome.
    """

    rollout: Rollout
    step: int
    since: datetime | None
    extended: int
    now: datetime
    verdict: Verdict = "inconclusive"
    asked: bool = False
    answer: Answer | None = None
    ended: bool = False


@dataclass(frozen=True)
class Move:
    """What to do next.

    :param reason: why, to end a sentence with.
    :param until: for ``wait``, until when nothing else is due.
    """

    kind: Kind
    reason: str = ""
    until: datetime | None = None


def due(rollout: Rollout, step: int, since: datetime, extended: int) -> datetime:
    """When the look at the end of a step is planned."""
    return since + (steps(rollout)[step].bake or timedelta(0)) * (1 + extended)


def next_move(facts: Facts) -> Move:
    """The one next thing to do."""
    step = steps(facts.rollout)[facts.step]
    if facts.ended:
        return Move("rest", "it is over")
    if step.bake is None:
        return Move("complete", "every step has passed")
    if facts.verdict == "fail":
        return Move("roll_back", "a guard failed")
    if facts.asked:
        return _answered(facts)
    if facts.since is None:
        return Move("wait", "the step begins", facts.now)
    end = due(facts.rollout, facts.step, facts.since, facts.extended)
    if facts.now < end:
        return Move("wait", "the step is watched", end)
    if facts.verdict == "pass":
        if isinstance(facts.rollout, Shadow) and facts.rollout.ask:
            return _ask(facts, "all guards passed, and the life cycle asks a person")
        return Move("advance", "all guards passed")
    if facts.extended < extensions(facts.rollout):
        return Move("extend", "the guards cannot tell yet")
    return _ask(facts, "the guards cannot tell")


def _ask(facts: Facts, reason: str) -> Move:
    if facts.answer == "nobody":
        return Move("roll_back", f"{reason}, and there is nobody to ask")
    return Move("ask", reason)


def _answered(facts: Facts) -> Move:
    match facts.answer:
        case "go on":
            return Move("advance", "a person decided to go on")
        case "roll back":
            return Move("roll_back", "a person decided to roll back")
        case "expired":
            return Move("roll_back", "nobody answered in time")
        case "nobody":
            return Move("roll_back", "there is nobody to ask")
    return Move("ask", "people have been asked")
