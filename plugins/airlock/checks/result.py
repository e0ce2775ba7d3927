"""What came out of one check: its status, every number it stands on, and its figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from airlock.style.svg import checked_svg

CheckStatus = Literal["pass", "warn", "fail", "inconclusive", "error", "skipped"]
MetricStatus = Literal["pass", "warn", "fail", "inconclusive", "not_applicable", "info"]
"""``info``: shown, nobody set a limit. ``not_applicable``: there was nothing to judge it against."""

Interval = tuple[FiniteFloat | None, FiniteFloat | None]
"""Lower and upper bound; ``None`` where the data does not bound that side."""

_WORST_FIRST: tuple[MetricStatus, ...] = ("fail", "inconclusive", "warn", "pass")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Record):
    """One measured number and what is concluded from it.

    :param name: for example ``roc_auc``, or ``roc_auc_vs_champion`` for a comparison.
    :param value: the candidate's; ``None`` when it could not be computed, which never passes.
    :param unit: for example ``ms``; empty for plain numbers.
    :param n: how many rows, records or requests it rests on.
    :param ci: confidence interval of ``value``.
    :param limit: what was asked, in words: ``at least 0.85``.
    :param champion: the champion's value on the same rows.
    :param delta: candidate minus champion.
    :param delta_ci: confidence interval of ``delta``, paired by row.
    :param bound: the limit as numbers ``(lowest, highest)``, for drawing; for a comparison, of ``delta``.
    :param message: what is to be known about this number, in a sentence.
    """

    name: str
    value: FiniteFloat | None
    status: MetricStatus
    unit: str = ""
    n: int | None = None
    ci: Interval | None = None
    limit: str | None = None
    champion: FiniteFloat | None = None
    delta: FiniteFloat | None = None
    delta_ci: Interval | None = None
    bound: Interval | None = None
    message: str = ""


class Figure(_Record):
    """A drawing, made in the checks environment.

    :param svg: safe to be put into a page: no script, no links, no style sheet.
    :param alt: what it shows, for those who cannot see it.
    """

    title: str
    alt: str
    svg: Annotated[str, AfterValidator(checked_svg)]


class DatasetFacts(_Record):
    """The data that was measured on. ``rows`` counts all of its rows, used or not."""

    name: str
    digest: str
    rows: int


class CheckResult(_Record):
    """One check of one deployed snapshot.

    :param check: the check's name in its stage.
    :param records: counts: what was asked, answered, refused, left out.
    :param figures: drawings of the same measurements.
    :param notes: what a reader should know: assumptions, weaknesses, what was mended on the way.
    :param not_tested: what this check does not show, though one might think so.
    :param seconds: how long the check took; no part of the evidence.
    """

    check: str
    kind: str
    status: CheckStatus
    summary: str
    metrics: tuple[Metric, ...] = ()
    dataset: DatasetFacts | None = None
    figures: tuple[Figure, ...] = ()
    records: dict[str, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    not_tested: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_evidence(self) -> dict[str, Any]:
        """What a decision is bound to: verdict, numbers, limits and data, in plain JSON.

        Measured latencies are numbers like any other. Left out are the time that the check itself
        took and the figures, which show the same numbers again.
        """
        return self.model_dump(mode="json", exclude={"seconds", "figures"})


def worst(statuses: Iterable[MetricStatus]) -> MetricStatus:
    """The status that decides; ``not_applicable`` when none of them judges anything."""
    found = set(statuses)
    return next((status for status in _WORST_FIRST if status in found), "not_applicable")
