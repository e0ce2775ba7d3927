"""How traffic moves from a stage's current version to a new one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.duration import Duration
from airlock.spec.guards import AnswersGuard, AnyGuard, ErrorRateGuard, LatencyGuard
from airlock.spec.kinded import written_name
from airlock.spec.mistakes import shown
from airlock.spec.refusal import refusal, refusal_at, together
from airlock.spec.unique import Unique

Strategy = Literal["direct", "blue_green", "canary", "shadow"]

Guards = Annotated[
    list[AnyGuard],
    pydantic.Field(min_length=1),
    Unique("guard", by=written_name, mend="Give one of them another name: {kind: {name: …}}."),
]

_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"


def _check_header(header: str) -> str:
    if re.fullmatch(_HEADER, header) is None:
        raise refusal(f"{shown(header)} is not the name of a header", "Write it like X-Customer.")
    return header


HeaderName = Annotated[
    str,
    pydantic.AfterValidator(_check_header),
    pydantic.WithJsonSchema({"type": "string", "pattern": _HEADER}),
]
"""The name of an HTTP header."""


class Sticky(Spec):
    """What keeps a caller on one version."""

    header: HeaderName
    """The request header: requests with the same value in it go to the same version."""


_OF_THE_KIND: Any = ""
"""Never seen: the validator of ``Rollout`` puts the kind there, so that it is written even among defaults."""


class Rollout(Spec):
    """What all strategies have in common.

    In YAML a strategy without options may be written by its name: ``rollout: canary``.
    """

    kind: ClassVar[Strategy]

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, data: Any) -> Any:
        if data == cls.kind:
            data = {}
        return {"strategy": cls.kind, **data} if isinstance(data, Mapping) else data


class Direct(Rollout):
    """The new version takes all traffic at once when the stage ends, and the old one is undeployed."""

    kind = "direct"

    strategy: Literal["direct"] = pydantic.Field(default=_OF_THE_KIND, kw_only=True, validate_default=False)
    """How traffic moves."""


class SideBySide(Rollout):
    """What the strategies have in common under which both versions run for a while."""

    drain: Duration = pydantic.Field(default=timedelta(minutes=1), kw_only=True)
    """How long the replaced version stays after the new one has all traffic."""


class BlueGreen(SideBySide):
    """The new version, warm and checked, takes all traffic at once; the old one stays for its drain."""

    kind = "blue_green"

    strategy: Literal["blue_green"] = pydantic.Field(
        default=_OF_THE_KIND, kw_only=True, validate_default=False
    )
    """How traffic moves."""


def _usual_guards() -> list[AnyGuard]:
    return [ErrorRateGuard(), LatencyGuard()]


class Guarded(SideBySide):
    """What the strategies that watch the new version have in common."""

    guard: Guards = pydantic.Field(default_factory=_usual_guards, kw_only=True)
    """What is watched. One that fails sends all traffic back at once."""
    least_requests: int = pydantic.Field(default=300, ge=1, le=1_000_000_000, kw_only=True)
    """With fewer requests to either version a guard is inconclusive."""
    extend: int = pydantic.Field(default=2, ge=0, le=100, kw_only=True)
    """How many times a step is prolonged while guards are inconclusive. After that a person is asked."""

    @property
    def compares_answers(self) -> AnswersGuard | None:
        """The guard that has both versions' answers compared."""
        return next((guard for guard in self.guard if isinstance(guard, AnswersGuard)), None)


def _check_steps(steps: list[int]) -> list[int]:
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise refusal("the steps do not rise", "Write rising percents, like [5, 25, 50, 100].")
    if steps[-1] != 100:
        raise refusal(f"the last step is {steps[-1]}", "Let it be 100: all traffic.")
    return steps


def _check_no_answers(guards: list[AnyGuard]) -> list[AnyGuard]:
    wrong = [index for index, guard in enumerate(guards) if isinstance(guard, AnswersGuard)]
    if wrong:
        error = refusal(
            "only a shadow's requests are answered by both versions, so no answers could be compared",
            "Remove it, or let the strategy be shadow.",
        )
        raise together([refusal_at(index, error) for index in wrong])
    return guards


class Canary(Guarded):
    """The new version gets a growing share of the traffic, as long as its guards pass."""

    kind = "canary"

    strategy: Literal["canary"] = pydantic.Field(default=_OF_THE_KIND, kw_only=True, validate_default=False)
    """How traffic moves."""
    steps: Annotated[
        list[Annotated[int, pydantic.Field(ge=1, le=100)]],
        pydantic.Field(min_length=1, max_length=50),
        pydantic.AfterValidator(_check_steps),
    ] = pydantic.Field(default_factory=lambda: [5, 25, 50, 100])
    """Percents of the traffic, rising; the last is 100, which ends the rollout."""
    bake: Duration = timedelta(minutes=10)
    """How long each step but the last is watched."""
    sticky: Sticky | None = None
    """What keeps a caller on one version; without it each request is dealt anew."""

    _only_what_it_can_watch = pydantic.field_validator("guard")(_check_no_answers)


def _usual_guards_of_a_shadow() -> list[AnyGuard]:
    # A new version is often made to answer otherwise: how much so is told, and no limit set to it. Single
    # answers are kept only where that was asked for.
    return [*_usual_guards(), AnswersGuard(max_differ=None, examples=0)]


def _check_answers_once(guards: list[AnyGuard]) -> list[AnyGuard]:
    several = [index for index, guard in enumerate(guards) if isinstance(guard, AnswersGuard)][1:]
    if several:
        error = refusal("answers are compared by one guard only", "Remove all but one.")
        raise together([refusal_at(index, error) for index in several])
    return guards


class Shadow(Guarded):
    """The new version gets copies of requests, and its answers go nowhere."""

    kind = "shadow"

    strategy: Literal["shadow"] = pydantic.Field(default=_OF_THE_KIND, kw_only=True, validate_default=False)
    """How traffic moves."""
    percent: int = pydantic.Field(default=100, ge=1, le=100)
    """How many of a hundred requests are copied."""
    duration: Duration = timedelta(hours=1)
    """How long the new version is watched."""
    guard: Guards = pydantic.Field(default_factory=_usual_guards_of_a_shadow, kw_only=True)
    """What is watched. One that fails ends the shadow at once."""
    ask: bool = False
    """Whether a person decides in the end even if all guards pass; otherwise all traffic moves then."""

    _compares_once = pydantic.field_validator("guard")(_check_answers_once)


def _written_strategy(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, Rollout):
        return value.kind
    strategy = value.get("strategy") if isinstance(value, Mapping) else None
    return strategy if isinstance(strategy, str) else None


AnyRollout = Annotated[
    Annotated[Direct, pydantic.Tag("direct")]
    | Annotated[BlueGreen, pydantic.Tag("blue_green")]
    | Annotated[Canary, pydantic.Tag("canary")]
    | Annotated[Shadow, pydantic.Tag("shadow")],
    pydantic.Discriminator(_written_strategy),
]
"""A rollout of any strategy."""
