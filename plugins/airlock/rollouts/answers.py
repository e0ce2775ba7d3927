"""Answers of both versions to the same requests: what was found of them, and what is concluded from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airlock.rollouts import intervals
from airlock.rollouts.verdict import Finding, Look
from airlock.spec import AnswersGuard

MOST_PAIRS = 50
"""Of so many pairs of labels it is known how often they met; of further ones only how many there were."""

Label = str | bool | None
"""The value of an output that is no number."""


@dataclass(frozen=True)
class Numbers:
    """How the values of one numeric output differ, new minus current.

    :param compared: values that both versions gave.
    :param differ: how many are further apart than the tolerance, or null in one version only.
    :param greatest: the greatest difference, whatever its sign; ``None`` where no values were compared.
    :param mean: of the differences, whatever their signs; ``mean_shift`` of the differences with them.
    """

    compared: int = 0
    differ: int = 0
    greatest: float | None = None
    mean: float | None = None
    mean_shift: float | None = None


@dataclass(frozen=True)
class Labels:
    """How the values of one output that is no number differ.

    :param confusion: how often a value of the current version met one of the new version.
    """

    compared: int = 0
    differ: int = 0
    confusion: Mapping[tuple[Label, Label], int] = field(default_factory=dict)

    @property
    def others(self) -> int:
        """How many values are in no pair of ``confusion``."""
        return self.compared - sum(self.confusion.values())


@dataclass(frozen=True)
class Example:
    """One request whose answers differ.

    :param request: its ``X-Request-Id``.
    :param row: the first of its rows that differs, counted from 0; ``None`` where they differ as a whole.
    :param current: the current version's answer in plain JSON, as far as that row goes.
    """

    request: str
    row: int | None
    current: Mapping[str, Any]
    new: Mapping[str, Any]


@dataclass(frozen=True)
class Compared:
    """What was found of answers to the same requests.

    :param n: requests whose two answers were compared.
    :param differ: how many of them were answered differently.
    :param of: what is answered: ``requests``, or ``records`` of a stream.
    :param why: why nothing, or nothing more, can be compared, to be read by people; empty where it can.
    """

    n: int = 0
    differ: int = 0
    numbers: Mapping[str, Numbers] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    of: str = "requests"
    why: str = ""

    @property
    def share(self) -> float:
        """Which part of the requests was answered differently."""
        return self.differ / self.n if self.n else 0.0

    def to_json(self) -> dict[str, Any]:
        """It in plain JSON, as it stands in evidence."""
        labels = {
            name: {
                "compared": found.compared,
                "differ": found.differ,
                "confusion": [
                    {"current": current, "shadow": new, "n": count}
                    for (current, new), count in sorted(found.confusion.items(), key=lambda pair: -pair[1])
                ],
            }
            for name, found in self.labels.items()
        }
        return {
            "n": self.n,
            "differ": self.differ,
            "numbers": {name: asdict(found) for name, found in self.numbers.items()},
            "labels": labels,
            "examples": [asdict(example) for example in self.examples],
            "of": self.of,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Compared:
        """What ``to_json`` wrote, or what the host's ``shadow`` job did."""
        numbers = {
            name: Numbers(
                found["compared"],
                found["differ"],
                found.get("greatest"),
                found.get("mean"),
                found.get("mean_shift"),
            )
            for name, found in written["numbers"].items()
        }
        labels = {
            name: Labels(
                found["compared"],
                found["differ"],
                {(pair["current"], pair["shadow"]): pair["n"] for pair in found["confusion"]},
            )
            for name, found in written["labels"].items()
        }
        return cls(
            written["n"],
            written["differ"],
            numbers,
            labels,
            tuple(Example(**example) for example in written.get("examples", ())),
            written.get("of", "requests"),
            written.get("why", ""),
        )


def judge(guard: AnswersGuard, compared: Compared, look: Look) -> Iterator[Finding]:
    """The share of requests that are answered differently within its score interval.

    A guard without a limit passes whatever is found.
    """
    told = f"{compared.differ:,} of {compared.n:,} {compared.of} were answered differently"
    why_no_more = f" {compared.why}" if compared.why else ""
    if guard.max_differ is None:
        told = f"{told}. No limit is set to it.{why_no_more}" if compared.n else compared.why or f"{told}."
        yield Finding("answers that differ", "pass", _share(compared), None, "share", "any", told)
        return
    limit = f"at most {100 * guard.max_differ:.3g} %"
    if compared.why and not compared.n:
        yield Finding("answers that differ", "inconclusive", None, None, "share", limit, compared.why)
        return
    status = look.judge(
        lambda z: intervals.share(compared.differ, compared.n, z),
        guard.max_differ,
        guard.confidence,
        compared.n,
    )
    if status == "inconclusive":
        told += f", which does not tell{look.missing(compared.n, f'{compared.of} with both answers')}"
    told = f"{told} ({limit}).{why_no_more}"
    yield Finding("answers that differ", status, _share(compared), None, "share", limit, told)


def _share(compared: Compared) -> float | None:
    return compared.share if compared.n else None
