"""Which worker of a stream reads what, and in which order workers change.

Rules over facts and nothing else. Whatever is so and whatever is wanted, each record is answered once, and
those of a key in their order: at most one worker reads the input, at most one what is passed on, and nobody
takes up the input before everything that was passed on is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airlock.runtimes.streams import IDLE, StreamRole

if TYPE_CHECKING:
    from airlock.registry.records import Traffic

_INPUT, _PASSED_ON = StreamRole("input"), StreamRole("share")


@dataclass(frozen=True)
class InForce:
    """What a worker says of itself.

    :param at_end: all that it could read is answered and committed.
    """

    role: StreamRole
    at_end: bool = False

    def is_as(self, wanted: StreamRole) -> bool:
        """Whether the worker does what is wanted of it, as far as it tells."""
        same_share = wanted.reads != "input" or wanted.share_percent == self.role.share_percent
        return self.role.reads == wanted.reads and same_share


@dataclass(frozen=True)
class Take:
    """A worker takes a role, and says so before anything else changes."""

    deployment: str
    role: StreamRole


@dataclass(frozen=True)
class Drain:
    """A worker answers everything that was passed on, before anything else changes."""

    deployment: str


Move = Take | Drain


def roles(traffic: Traffic | None, deployments: Iterable[str]) -> dict[str, StreamRole]:
    """What each deployment is to read, where traffic goes like this.

    Who has been there for longest reads the input, and passes on what is not its own; nobody shares records
    with more than one other version.
    """
    shares = {name: percent for name, percent in traffic.shares.items() if percent} if traffic else {}
    reader = list(shares)[-1] if shares else None
    mirror = traffic.mirror if traffic else None

    def role(deployment: str) -> StreamRole:
        if deployment == reader:
            return StreamRole("input", share_percent=100 - shares[deployment])
        if deployment in shares:
            return _PASSED_ON
        if mirror is not None and mirror.deployment_id == deployment:
            return StreamRole("shadow", shadow_percent=mirror.percent)
        return IDLE

    return {deployment: role(deployment) for deployment in deployments}


def reader_of(wanted: Mapping[str, StreamRole]) -> str | None:
    """Who is to read the input."""
    return next((name for name, role in wanted.items() if role.reads == "input"), None)


def next_move(
    wanted: Mapping[str, StreamRole], said: Mapping[str, InForce | None], *, passed_on: bool
) -> Move | None:
    """The one next change on the way to what is wanted; ``None`` where all is so, or nothing can be done.

    Nothing changes while the one that is to read the input is gone, or does not say anything.

    :param wanted: the role of each worker.
    :param said: what the workers that live say; ``None`` for one that does not say anything.
    :param passed_on: records may ever have been passed on.
    """
    reader = reader_of(wanted)
    if reader is not None and said.get(reader) is None:
        # Whoever reads for it now is better than nobody.
        return None
    silent = next((name for name, worker in said.items() if worker is None), None)
    if silent is not None:
        return Take(silent, IDLE)
    workers = {name: worker for name, worker in said.items() if worker is not None}
    now = IDLE if reader is None else workers[reader].role
    if (stop := _who_stops(wanted, workers, now)) is not None:
        return Take(stop, IDLE)
    if reader is None:
        return None
    if now.reads != "input":
        return _begin(reader, workers, passed_on=passed_on)
    if now.share_percent > wanted[reader].share_percent:
        # What it has passed on comes before what it does not pass on any more.
        return Take(reader, _PASSED_ON)
    beside = [name for name in workers if wanted[name].reads in ("share", "shadow")]
    for name in beside:
        if not workers[name].is_as(wanted[name]):
            return Take(name, wanted[name])
    is_taken_on = any(wanted[name].reads == "share" for name in beside)
    if is_taken_on and not workers[reader].is_as(wanted[reader]):
        return Take(reader, wanted[reader])
    return None


def _who_stops(
    wanted: Mapping[str, StreamRole], workers: Mapping[str, InForce], of_reader: StreamRole
) -> str | None:
    """A worker that has to stop before another begins: one that reads the input first."""
    reader = reader_of(wanted)
    others = {name: worker.role.reads for name, worker in workers.items() if name != reader}
    share_shrinks = reader is not None and of_reader.share_percent > wanted[reader].share_percent
    for name, reads in others.items():
        if reads == "input":
            return name
    for name, reads in others.items():
        is_over = reads != "nothing" and wanted[name].reads != reads
        comes_between = reads == "share" and (share_shrinks or of_reader.reads == "share")
        if is_over or comes_between:
            return name
    return None


def _begin(reader: str, workers: Mapping[str, InForce], *, passed_on: bool) -> Move:
    """Nobody reads the input: what was passed on comes first."""
    drains = next((name for name, worker in workers.items() if worker.role.reads == "share"), None)
    if drains is None:
        return Take(reader, _PASSED_ON if passed_on else _INPUT)
    return Take(reader, _INPUT) if workers[drains].at_end else Drain(drains)
