"""Pictures of a life cycle: what runs, in which order, and who must approve."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from xml.sax.saxutils import escape

from airlock.spec.lifecycle import Lifecycle
from airlock.spec.outline import Chamber, Task, outline
from airlock.spec.policy import Policy
from airlock.spec.service import Service


def mermaid(
    lifecycle: Lifecycle, service: Service | None = None, policies: Mapping[str, Policy] | None = None
) -> str:
    """The life cycle as a Mermaid flow chart.

    :param service: shows how it runs for this service.
    :param policies: by stage; shows who must approve. A stage without one asks nobody.
    """
    chambers = outline(lifecycle, service, policies)
    lines = ["flowchart LR", '  begin_passage("begin_passage")']
    for chamber in chambers:
        title = chamber.stage if chamber.mode is None else f"{chamber.stage} · {chamber.mode}"
        lines += [f'  subgraph {chamber.stage}["{title}"]', "    direction TB"]
        lines += [f"    {line}" for line in _mermaid_tasks(chamber)]
        lines.append("  end")
    stages = [chamber.stage for chamber in chambers]
    lines += [f"  begin_passage --> {stages[0]}"]
    lines += [f"  {stage} --> {following}" for stage, following in pairwise(stages)]
    return "\n".join(lines) + "\n"


def _mermaid_tasks(chamber: Chamber) -> list[str]:
    between = [[task] for task in _before_the_end(chamber)]
    rows = [[Task("pick_runtime")], [chamber.deploy], list(chamber.checks), *between, [chamber.end]]
    rows = [row for row in rows if row]
    lines = []
    for row in rows:
        for task in row:
            label = "<br/>".join([task.name, *task.details])
            opening, closing = ("{{", "}}") if task.name == "gate" else ("(", ")")
            lines.append(f'{_mermaid_id(chamber, task)}{opening}"{label}"{closing}')
    for above, below in pairwise(rows):
        sources = " & ".join(_mermaid_id(chamber, task) for task in above)
        targets = " & ".join(_mermaid_id(chamber, task) for task in below)
        lines.append(f"{sources} --> {targets}")
    return lines


def _before_the_end(chamber: Chamber) -> list[Task]:
    """What comes between the checks and the end of a stage."""
    return ([Task("clear")] if chamber.clears else []) + ([chamber.rollout] if chamber.rollout else [])


def _mermaid_id(chamber: Chamber, task: Task) -> str:
    return f"{chamber.stage}.{task.name}".replace(".", "-")


# All lengths are in pixels.
_CARD = 236
_GAP = 46
_MARGIN = 30
_TITLE = 64
_BEGIN = 48  # above the first row, for the task that begins a passage
_HEADER = 44
_PILL = 30
_DETAIL = 15
_INSET = 14
_LADDER = 12  # from the card's inner edge to the checks, where the parallel lines run
_STEP = 16
_IN_A_ROW = 4

_STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
  .task { font: 600 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
  .title { font-size: 18px; font-weight: 700 }
  .subtitle { font-size: 12.5px }
  .stage { font-size: 15px; font-weight: 700; letter-spacing: .04em }
  .mode, .detail { font-size: 11px }
  .mode { font-weight: 600 }
  .flow { fill: none; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round }
  .card, .pill, .badge { stroke-width: 1 }
  .optional { stroke-dasharray: 4 3 }
  .page { fill: #ffffff } .card { fill: #f4f6f9; stroke: #d5dbe3 }
  .title, .stage, .task { fill: #1c2430 } .subtitle, .detail { fill: #566172 }
  .pill { fill: #ffffff; stroke: #c6ced8 } .check { stroke: #9db7e8 } .mark { fill: #3b6fd4 }
  .badge { fill: #e7ebf1; stroke: none } .mode { fill: #465064 }
  .flow { stroke: #97a2b1 } .tip, .door { fill: #97a2b1 }
  .person { fill: #fff3d1; stroke: #dcae3c } .person-ink { fill: #6f4c00 } .person-door { fill: #dcae3c }
  .open { fill: #e4f5ea; stroke: #6bbd8a } .open-ink { fill: #17552f } .open-door { fill: #6bbd8a }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0e131a } .card { fill: #161d27; stroke: #2d3747 }
    .title, .stage, .task { fill: #e8edf4 } .subtitle, .detail { fill: #9aa6b6 }
    .pill { fill: #0f151d; stroke: #3a4656 } .check { stroke: #3d5c94 } .mark { fill: #7aa7ff }
    .badge { fill: #263040 } .mode { fill: #b6c1d0 }
    .flow { stroke: #66738a } .tip, .door { fill: #66738a }
    .person { fill: #33280d; stroke: #a8842b } .person-ink { fill: #f6d684 } .person-door { fill: #a8842b }
    .open { fill: #10281b; stroke: #38875a } .open-ink { fill: #8fe0b0 } .open-door { fill: #38875a }
  }
"""


def svg(
    lifecycle: Lifecycle, service: Service | None = None, policies: Mapping[str, Policy] | None = None
) -> str:
    """The life cycle as a picture that follows the reader's light or dark setting.

    :param service: shows how it runs for this service.
    :param policies: by stage; shows who must approve. A stage without one asks nobody.
    """
    chambers = outline(lifecycle, service, policies)
    return _Drawing(lifecycle, service, chambers).text()


class _Drawing:
    """Stages are chambers from left to right; one leaves through the gate at the bottom of each."""

    def __init__(self, lifecycle: Lifecycle, service: Service | None, chambers: list[Chamber]) -> None:
        self._chambers = chambers
        self._in_a_row = len(chambers) if len(chambers) <= _IN_A_ROW + 1 else _IN_A_ROW
        self._height = max(_chamber_height(chamber) for chamber in chambers)
        self._parts: list[str] = []
        name = f"life cycle {lifecycle.lifecycle}"
        self._title = name.capitalize() if service is None else service.service
        self._subtitle = lifecycle.description if service is None else f"{name} · owner {service.owner}"

    def text(self) -> str:
        rows = -(-len(self._chambers) // self._in_a_row)
        width = 2 * _MARGIN + self._in_a_row * _CARD + (self._in_a_row - 1) * _GAP
        height = _TITLE + _BEGIN + rows * self._height + (rows - 1) * _GAP + _MARGIN
        for number in range(len(self._chambers)):
            self._draw_way_into(number)
        for number, chamber in enumerate(self._chambers):
            self._draw_chamber(chamber, *self._corner(number))
        stages = ", ".join(chamber.stage for chamber in self._chambers)
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                f'height="{height}" role="img" aria-labelledby="title stages">',
                f'<title id="title">{escape(self._title)}</title><desc id="stages">Stages: {stages}.</desc>',
                f"<style>{_STYLE}</style>",
                f'<rect class="page" width="{width}" height="{height}" rx="14"/>',
                _text("title", _MARGIN, 32, _fit(self._title, width - 2 * _MARGIN, 9.5)),
                _text("subtitle", _MARGIN, 49, _fit(self._subtitle, width - 2 * _MARGIN, 6.4)),
                *self._parts,
                "</svg>\n",
            ]
        )

    def _corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self._in_a_row)
        return _MARGIN + column * (_CARD + _GAP), _TITLE + _BEGIN + row * (self._height + _GAP)

    def _draw_way_into(self, number: int) -> None:
        """From the task before to ``pick_runtime`` of this chamber."""
        to_left, to_top = self._corner(number)
        to_x, to_y = to_left + _INSET - 6, to_top + _HEADER + _PILL / 2
        around = f"H{_MARGIN / 2 + 8} q-8 0 -8 8 V{to_y - 8} q0 8 8 8"
        if number == 0:
            way = f"M{to_left + _INSET} {to_top - _BEGIN + _PILL / 2} {around}"
        else:
            end = self._chambers[number - 1].end
            left, top = self._corner(number - 1)
            x, y = left + _CARD, top + self._height - _INSET - _pill_height(end) / 2
            if to_top == top:
                way = f"M{x} {y} H{x + _GAP / 2 - 8} q8 0 8 -8 V{to_y + 8} q0 -8 8 -8"
            else:
                between = to_top - _GAP / 2
                way = f"M{x} {y} h{_MARGIN / 2 - 8} q8 0 8 8 V{between - 8} q0 8 -8 8 {around}"
        self._parts.append(f'<path class="flow" d="{way} H{to_x}"/>')

    def _draw_chamber(self, chamber: Chamber, left: int, top: int) -> None:
        inner, right, middle = left + _INSET, left + _CARD - _INSET, left + _CARD / 2
        add = self._parts.append
        first, last = chamber is self._chambers[0], chamber is self._chambers[-1]
        add(f'<rect class="card" x="{left}" y="{top}" width="{_CARD}" height="{self._height}" rx="12"/>')
        add(_text("stage", inner, top + 28, _fit(chamber.stage, _CARD - 2 * _INSET - 60, 10.5)))
        if chamber.mode is not None:
            add(f'<rect class="badge" x="{right - 52}" y="{top + 13}" width="52" height="20" rx="10"/>')
            add(_text("mode", right - 26, top + 27, chamber.mode, anchor="middle"))

        pick_y = top + _HEADER
        if first:
            self._pill(Task("begin_passage"), inner, top - _BEGIN)
        add(f'<rect class="door" x="{left - 3}" y="{pick_y + 3}" width="6" height="{_PILL - 6}" rx="3"/>')
        add(_tip_right(inner - 1, pick_y + _PILL / 2))
        self._pill(Task("pick_runtime"), inner, pick_y)
        deploy_y = pick_y + _PILL + _STEP
        add(_arrow_down(middle, pick_y + _PILL, deploy_y))
        self._pill(chamber.deploy, inner, deploy_y)

        bottom = deploy_y + _pill_height(chamber.deploy)
        end_y = top + self._height - _INSET - _pill_height(chamber.end)
        between = _before_the_end(chamber)
        y = end_y - sum(_pill_height(task) + _STEP for task in between)
        self._draw_checks(chamber, left, bottom, y)
        for task in between:
            self._pill(task, inner, y)
            y += _pill_height(task) + _STEP
            add(_arrow_down(middle, y - _STEP, y))
        self._draw_end(chamber, inner, end_y, is_door=not last)

    def _draw_checks(self, chamber: Chamber, left: int, top: float, bottom: float) -> None:
        """The checks between ``deploy`` and what comes after, as rungs between two rails when several."""
        middle = left + _CARD / 2
        add = self._parts.append
        if not chamber.checks:
            add(_arrow_down(middle, top, bottom))
            return
        inset = _INSET + (_LADDER if len(chamber.checks) > 1 else 0)
        y = top + _STEP
        begin, end = left + inset, left + _CARD - inset
        rungs = []
        for check in chamber.checks:
            self._pill(check, begin, y, inset=inset, style="pill check")
            rungs.append(y + _PILL / 2)
            y += _pill_height(check) + _STEP / 2
        y -= _STEP / 2
        if len(rungs) == 1:
            add(_arrow_down(middle, top, top + _STEP))
            add(_arrow_down(middle, y, bottom))
            return
        rail_in, rail_out = begin - _LADDER / 2, end + _LADDER / 2
        for rung in rungs:
            add(f'<path class="flow" d="M{rail_in} {top} V{rung - 6} q0 6 6 6 H{begin - 1}"/>')
            add(f'<path class="flow" d="M{end} {rung} h2 q6 0 6 6 V{bottom - 6}"/>')
        add(_tip_down(rail_out, bottom))

    def _draw_end(self, chamber: Chamber, x: int, y: float, *, is_door: bool) -> None:
        height = _pill_height(chamber.end)
        kind = "person" if chamber.asks_people else "open"
        neutral = is_door and chamber.asks_people is None
        ink = "" if neutral else f"{kind}-ink"
        self._pill(chamber.end, x, y, style="pill" if neutral else f"pill {kind}", ink=ink)
        if is_door:
            door = "door" if neutral else f"{kind}-door"
            edge = x - _INSET + _CARD
            self._parts.append(
                f'<rect class="{door}" x="{edge - 3}" y="{y + 3}" width="6" height="{height - 6}" rx="3"/>'
            )

    def _pill(
        self, task: Task, x: float, y: float, *, inset: int = _INSET, style: str = "pill", ink: str = ""
    ) -> None:
        width, height = _CARD - 2 * inset, _pill_height(task)
        dashed = " optional" if task.optional else ""
        letters = int((width - 20) // 7.3)
        self._parts.append(
            f"<g><title>{escape(': '.join([task.name, ', '.join(task.details)]).rstrip(': '))}</title>"
            f'<rect class="{style}{dashed}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
        )
        self._parts.append(_text(f"task {ink}".strip(), x + 10, y + 19.5, _shorten(task.name, letters)))
        for number, detail in enumerate(task.details):
            line = _fit(detail, width - 18, 5.7)
            line_y = y + _PILL + number * _DETAIL + 6
            self._parts.append(_text(f"detail {ink}".strip(), x + 10, line_y, line))
        self._parts.append("</g>")


def _chamber_height(chamber: Chamber) -> int:
    tasks = [Task("pick_runtime"), chamber.deploy, *_before_the_end(chamber), chamber.end]
    height = _HEADER + _INSET + sum(_pill_height(task) for task in tasks) + (len(tasks) - 1) * _STEP
    if chamber.checks:
        height += _STEP + sum(_pill_height(check) for check in chamber.checks)
        height += (len(chamber.checks) - 1) * _STEP // 2
    return height


def _pill_height(task: Task) -> int:
    return _PILL + len(task.details) * _DETAIL + (2 if task.details else 0)


def _text(style: str, x: float, y: float, text: str, *, anchor: str = "start") -> str:
    where = f'x="{x:g}" y="{y:g}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text class="{style}" {where}>{escape(text)}</text>'


def _fit(text: str, width: float, letter: float) -> str:
    """Cut a text that would be wider, by the usual width of a letter."""
    return _shorten(text, int(width // letter))


def _shorten(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _arrow_down(x: float, top: float, bottom: float) -> str:
    return f'<path class="flow" d="M{x:g} {top:g} V{bottom - 6:g}"/>{_tip_down(x, bottom)}'


def _tip_down(x: float, y: float) -> str:
    return f'<path class="tip" d="M{x:g} {y:g} l-4.5 -7 h9 z"/>'


def _tip_right(x: float, y: float) -> str:
    return f'<path class="tip" d="M{x:g} {y:g} l-7 -4.5 v9 z"/>'
