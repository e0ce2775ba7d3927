"""A comparison of answers that goes on for as long as a shadow does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airlock.rollouts.answers import Compared
from airlock.rollouts.comparing import compare, together
from airlock.rollouts.recorded import Position, Recording, pairs
from airlock.spec import AnswersGuard

INTERVAL = timedelta(seconds=5)
"""How often recorded answers are read. With a ring of 1,000, up to 200 requests a second are all compared."""


@dataclass(frozen=True)
class Comparison:
    """What was found so far, and where to go on.

    :param at: when answers were read last; ``None`` before the first time.
    """

    at: datetime | None = None
    new: Position = field(default_factory=Position)
    current: Position = field(default_factory=Position)
    found: Compared = field(default_factory=Compared)

    def is_due(self, now: datetime) -> bool:
        """Whether answers are to be read again."""
        return self.at is None or not self.at <= now < self.at + INTERVAL

    def go_on(self, guard: AnswersGuard, now: datetime, new: Recording, current: Recording) -> Comparison:
        """Compare what has been recorded since; the first time there is nothing yet, but a place to begin.

        :param new: what the new version recorded after ``self.new.after``.
        :raises CheckError: several processes answer at one address.
        """
        if self.at is None:
            return Comparison(now, Position.at_the_end(new), Position.at_the_end(current))
        both = pairs(self.new.open(new), self.current.open(current))
        found = compare(both, guard.tolerance, guard.examples)
        return Comparison(
            now,
            self.new.moved(new, [mine for mine, _ in both]),
            self.current.moved(current, [other for _, other in both]),
            together(self.found, found, guard.examples),
        )

    def to_json(self) -> dict[str, Any]:
        """It in plain JSON."""
        return {
            "at": self.at.isoformat() if self.at else None,
            "new": self.new.to_json(),
            "current": self.current.to_json(),
            "found": self.found.to_json(),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any] | None) -> Comparison:
        """What ``to_json`` wrote; of nothing, the beginning."""
        if written is None:
            return cls()
        return cls(
            datetime.fromisoformat(written["at"]) if written["at"] else None,
            Position.from_json(written["new"]),
            Position.from_json(written["current"]),
            Compared.from_json(written["found"]),
        )
