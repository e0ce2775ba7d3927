"""The page an approver reads before answering: one self-contained HTML file, understood without the code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from airlock.checks import words
from airlock.checks.interval_plot import interval_plot
from airlock.checks.manifest_changes import Change
from airlock.checks.result import CheckResult, CheckStatus, Figure, Metric, MetricStatus
from airlock.spec import CheckKind
from airlock.style import page_environment

LARGEST = 200_000
"""Bytes: the page must pass mail gateways."""

_WORST_FIRST: tuple[CheckStatus, ...] = ("error", "fail", "inconclusive", "skipped", "warn", "pass")
ATTENTION: tuple[MetricStatus, ...] = ("fail", "inconclusive", "warn")
"""An approver must look at numbers with these statuses."""

_MOST_TELLING_FIRST: tuple[CheckKind, ...] = ("performance", "latency", "contract", "smoke")


@dataclass(frozen=True)
class RoleSlot:
    """One approval that the next stage's policy asks for.

    :param people: who may give it.
    :param given_by: who has given it.
    """

    role: str
    people: Sequence[str]
    count: int = 1
    given_by: Sequence[str] = ()


@dataclass(frozen=True)
class Link:
    """Somewhere to read on: ``url`` is ``http``, ``https`` or a path of the same site."""

    label: str
    url: str


@dataclass(frozen=True)
class StageReport:
    """All that an approver is shown.

    :param stage: the stage whose checks these are.
    :param next_stage: the one to be entered; ``None`` at the end of the life cycle.
    :param requester: who asked for the passage.
    :param approvals: what the next stage's policy asks for; empty when it asks nobody.
    :param expires: until when answers are taken, as people read it.
    :param champion: name of the snapshot in use; ``None`` when there is none.
    :param changes: see :func:`airlock.checks.changes`.
    :param facts: more for the provenance table, label to value.
    """

    service: str
    snapshot: str
    digest: str
    stage: str
    next_stage: str | None
    requester: str
    results: Sequence[CheckResult]
    evidence_digest: str
    mode: str = ""
    runtime: str = ""
    risk: str = ""
    approvals: Sequence[RoleSlot] = ()
    separation_of_duties: bool = True
    expires: str = ""
    policy_digest: str = ""
    champion: str | None = None
    champion_digest: str = ""
    changes: Sequence[Change] = ()
    links: Sequence[Link] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def html(report: StageReport) -> str:
    """Render the page, smaller than 200 kB: figures that do not fit are left out, which it says.

    Nothing in it depends on when it is rendered.
    """
    figures = [(result.check, figure) for result in _worst_first(report.results) for figure in result.figures]
    total = len(figures)
    while True:
        page = _page(report, figures, left_out=total - len(figures))
        if len(page.encode()) <= LARGEST or not figures:
            return page
        figures.pop()


def verdict(results: Sequence[CheckResult]) -> CheckStatus:
    """The worst status of all checks; without any check nothing is known, which is ``skipped``."""
    found = {result.status for result in results}
    return next((status for status in _WORST_FIRST if status in found), "skipped")


def verdict_words(results: Sequence[CheckResult]) -> str:
    """What the checks say together, in a sentence."""
    if not results:
        return "No check was run, so nothing is known."
    counts = Counter(result.status for result in results)
    total = f"{len(results)} check{'s' if len(results) > 1 else ''}"
    status = verdict(results)
    names = ", ".join(result.check for result in results if result.status == status)
    counted = f"{counts[status]} of {total}"
    match status:
        case "error":
            return f"{counted} could not run ({names}), which is not a pass."
        case "fail":
            return f"{counted} failed ({names})."
        case "inconclusive":
            return f"{counted} could not decide ({names}): a person has to."
        case "skipped":
            return f"{counted} did not run ({names}), which is not a pass."
        case "warn":
            return f"Nothing stops it; {counted} gave a warning ({names})."
        case "pass":
            return "The check passed." if len(results) == 1 else f"All {total} passed."


def _page(report: StageReport, figures: Sequence[tuple[str, Figure]], *, left_out: int) -> str:
    results = _worst_first(report.results)
    by_check: dict[str, list[Figure]] = {}
    for check, figure in figures:
        by_check.setdefault(check, []).append(figure)
    return _template().render(
        report=report,
        results=results,
        status=verdict(results),
        verdict=verdict_words(results),
        attention=list(_attention(results)),
        figures=by_check,
        left_out=left_out,
        untested=_untested(results),
    )


def _worst_first(results: Sequence[CheckResult]) -> list[CheckResult]:
    """By status; of the same status by how much a kind tells, then in the order of the stage."""

    def rank(result: CheckResult) -> tuple[int, int]:
        telling = [*_MOST_TELLING_FIRST, result.kind].index(result.kind)
        return _WORST_FIRST.index(result.status), telling

    return sorted(results, key=rank)


def _attention(results: Sequence[CheckResult]) -> Iterator[tuple[CheckResult, list[Metric]]]:
    """Checks that did not simply pass, with the numbers that made it so, the worst first."""
    for result in results:
        metrics = [metric for status in ATTENTION for metric in result.metrics if metric.status == status]
        if result.status != "pass" or metrics:
            yield result, metrics


def _untested(results: Sequence[CheckResult]) -> list[tuple[str, str]]:
    return [(result.check, gap) for result in results for gap in result.not_tested]


def _plot(metric: Metric) -> Markup:
    return Markup(interval_plot(metric) or "")  # noqa: S704 made of numbers and escaped labels only


def _svg(figure: Figure) -> Markup:
    return Markup(figure.svg)  # noqa: S704 only harmless SVG becomes a Figure, see checked_svg


def _safe_url(url: str) -> str:
    """The address, or nothing where it is not one that a page should link to."""
    return url if url.startswith(("https://", "http://", "/")) and not url.startswith("//") else ""


@cache
def _template() -> jinja2.Template:
    environment = page_environment(Path(__file__).parent)
    environment.filters |= {
        "words": words.words,
        "number": words.number,
        "signed": words.signed,
        "interval": words.interval,
        "plot": _plot,
        "svg": _svg,
        "safe_url": _safe_url,
        "short_digest": lambda digest: digest.removeprefix("sha256:")[:12],
    }
    environment.globals["STATUS"] = words.STATUS
    return environment.get_template("report.html.jinja")
