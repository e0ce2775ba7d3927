"""Whether enough people of the right roles agree: an assignment of people to places, not a count.

Somebody with two roles can fill either place, but only one of them, and which one it should be depends on
who else has voted. So people are matched to places (a maximum bipartite matching): the places are filled if
there is any way at all to fill them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from airlock.spec import Approval, Roles


@dataclass(frozen=True, order=True)
class Slot:
    """One place to be filled by one person of a role: the ``number``-th of ``of``."""

    role: str
    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return self.role if self.of == 1 else f"{self.role} ({self.number} of {self.of})"


@dataclass(frozen=True)
class Vote:
    """A person's approval that counts. The order of votes is the order in which they were given."""

    user: str


@dataclass(frozen=True)
class Assignment:
    """Who fills which place.

    :param missing: the places that nobody fills yet, in the order of the policy.
    :param candidates: for each missing place, who could still bring it about that it is filled, in
        alphabetical order. That is not always somebody of its role: a newcomer may free somebody else for it.
    """

    filled: dict[Slot, str]
    missing: list[Slot]
    candidates: dict[Slot, list[str]]

    @property
    def complete(self) -> bool:
        """Whether every place is filled."""
        return not self.missing


def slots(approvals: Sequence[Approval]) -> list[Slot]:
    """The places that a policy asks to be filled."""
    counts: dict[str, int] = {}
    for approval in approvals:
        counts[approval.role] = counts.get(approval.role, 0) + approval.count
    return [Slot(role, number, of) for role, of in counts.items() for number in range(1, of + 1)]


def match(
    approvals: Sequence[Approval],
    votes: Sequence[Vote],
    roles: Roles,
    *,
    excluded: Collection[str] = (),
) -> Assignment:
    """Fill as many places as these votes can fill. One more vote never leaves a filled place empty.

    :param excluded: people who may fill no place, by separation of duties.
    """
    places = slots(approvals)
    fits = {slot: set(roles.people(slot.role)) - set(excluded) for slot in places}
    filled: dict[Slot, str] = {}
    for user in dict.fromkeys(vote.user for vote in votes):
        _seat(user, fits, filled, set())
    missing = [slot for slot in places if slot not in filled]
    voted = {vote.user for vote in votes}
    candidates = {slot: sorted(_who_helps(slot, fits, filled) - voted) for slot in missing}
    return Assignment({slot: filled[slot] for slot in places if slot in filled}, missing, candidates)


def _seat(user: str, fits: Mapping[Slot, set[str]], filled: dict[Slot, str], tried: set[Slot]) -> bool:
    """Find a place for a person; whoever sits there moves on, if there is another place for that one."""
    for slot, people in fits.items():
        if user in people and slot not in tried:
            tried.add(slot)
            if slot not in filled or _seat(filled[slot], fits, filled, tried):
                filled[slot] = user
                return True
    return False


def _who_helps(missing: Slot, fits: Mapping[Slot, set[str]], filled: Mapping[Slot, str]) -> set[str]:
    """Everybody whose vote would fill a place, directly or because somebody who sits could move on to it."""
    reachable = [missing]
    people: set[str] = set()
    for slot in reachable:
        people |= fits[slot]
        # Who fits here and sits elsewhere could move here, so whoever fits there helps, too.
        reachable += [
            other for other, user in filled.items() if user in fits[slot] and other not in reachable
        ]
    return people
