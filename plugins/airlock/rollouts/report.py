"""The page that shows a rollout: every move with what the guards had found, both versions side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from airlock.rollouts.answers import Compared, Label, Labels
from airlock.style import page_environment

_MOVES: Mapping[str, str] = {
    "advance": "went on",
    "extend": "was prolonged",
    "ask": "asked people",
    "complete": "took all traffic",
    "roll_back": "went back",
    "stop": "was stopped",
}
_BADGES: Mapping[str, str] = {
    "advance": "pass",
    "extend": "inconclusive",
    "ask": "inconclusive",
    "complete": "pass",
    "roll_back": "fail",
    "stop": "fail",
}
_MOST_LABELS = 8
_MOST_CHANGES = 20
_VERDICTS = {"pass": "passed", "fail": "failed", "inconclusive": "inconclusive"}


@dataclass(frozen=True)
class ReportedMove:
    """One move of a rollout.

    :param evidence: what was found, as it was recorded with the move.
    """

    move: str
    at: datetime
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class RolloutReport:
    """All that the page shows.

    :param current: the version that the new one was compared with.
    :param strategy: as the life cycle has it, in words.
    :param under_way: the step under way, ``None`` where it is over.
    :param outcome: how it ended, ``None`` while it is under way.
    :param decisions: what people said about it, a line each.
    :param so_far: what has been found of answers in the step under way, where they are compared.
    """

    service: str
    stage: str
    snapshot: str
    current: str
    strategy: str
    moves: Sequence[ReportedMove]
    began: datetime
    under_way: str | None
    outcome: str | None
    reason: str | None
    rollout_id: str
    decisions: Sequence[str] = ()
    so_far: Compared | None = None


@dataclass(frozen=True)
class Confusion:
    """How labels are shown: as a matrix where there are few, otherwise as a list of what became what.

    :param labels: of the matrix; empty where there are too many for one.
    :param changes: the most frequent pairs of different labels.
    """

    labels: Sequence[Label]
    rows: Sequence[tuple[Label, Sequence[tuple[Label, int]]]]
    changes: Sequence[tuple[tuple[Label, Label], int]]


def html(report: RolloutReport) -> str:
    """Render the page: one self-contained file in which nothing runs."""
    return _template().render(report=report, status=_status(report), headline=_headline(report))


def _status(report: RolloutReport) -> str:
    if report.outcome is None:
        return "inconclusive" if report.moves and report.moves[-1].move == "ask" else "info"
    return "pass" if report.outcome == "completed" else "fail"


def _headline(report: RolloutReport) -> str:
    match report.outcome:
        case "completed":
            return f"{report.snapshot} has all traffic."
        case "rolled_back":
            return f"{report.snapshot} was rolled back: {report.current} has all traffic."
        case "stopped":
            return f"The rollout of {report.snapshot} was stopped."
    asks = report.moves and report.moves[-1].move == "ask"
    return f"Under way: {report.under_way}{', and people are asked' if asks else ''}."


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{100 * value:.3g} %" if unit == "share" else f"{value:,.4g} {unit}".strip()


def _confusion(found: Labels) -> Confusion:
    count: Counter[Label] = Counter()
    for (current, new), n in found.confusion.items():
        count[current] += n
        count[new] += n
    labels = [label for label, _ in count.most_common()]
    if len(labels) <= _MOST_LABELS:
        cells = {(one, other): found.confusion.get((one, other), 0) for one in labels for other in labels}
        rows = [(one, [(other, cells[one, other]) for other in labels]) for one in labels]
        return Confusion(labels, rows, [])
    differing = Counter({pair: n for pair, n in found.confusion.items() if pair[0] != pair[1]})
    return Confusion([], [], differing.most_common(_MOST_CHANGES))


def _output(value: Any) -> str:
    """One output of an answer, as JSON has it, but without quotes and the last digits."""
    if isinstance(value, float):
        return f"{value:.8g}"
    return value if isinstance(value, str) else json.dumps(value)


@cache
def _template() -> jinja2.Template:
    environment = page_environment(Path(__file__).parent)
    environment.filters["number"] = _number
    environment.filters["moment"] = lambda text: f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"
    environment.filters["compared"] = Compared.from_json
    environment.filters["confusion"] = _confusion
    environment.filters["output"] = _output
    environment.globals |= {"MOVES": _MOVES, "BADGES": _BADGES, "VERDICTS": _VERDICTS}
    return environment.get_template("report.html.jinja")
