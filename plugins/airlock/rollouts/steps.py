"""What each step of a rollout sends where, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from airlock.spec import Canary, Guarded, Rollout, Shadow


@dataclass(frozen=True)
class Step:
    """One step of a rollout.

    :param percent: of the requests go to the new version.
    :param mirrored: percent of the requests that are copied to it.
    :param bake: how long it is watched; ``None`` for the last step, which ends the rollout.
    """

    percent: int
    mirrored: int = 0
    bake: timedelta | None = None

    def __str__(self) -> str:
        return f"{self.mirrored} % mirrored" if self.mirrored else f"{self.percent} %"


ALL = Step(100)
"""The last step of every rollout: the new version has all traffic."""


def steps(rollout: Rollout) -> tuple[Step, ...]:
    """The steps of a rollout in their order; the last is :data:`ALL`."""
    match rollout:
        case Canary():
            return (*(Step(percent, bake=rollout.bake) for percent in rollout.steps[:-1]), ALL)
        case Shadow():
            return (Step(0, mirrored=rollout.percent, bake=rollout.duration), ALL)
    return (ALL,)


def extensions(rollout: Rollout) -> int:
    """How many times a step may be prolonged."""
    return rollout.extend if isinstance(rollout, Guarded) else 0


def sticky_header(rollout: Rollout) -> str | None:
    """The request header that keeps a caller on one version."""
    return rollout.sticky.header if isinstance(rollout, Canary) and rollout.sticky else None
