"""A small drawing of one number: its interval, its limit, and the champion's value."""

from __future__ import annotations

from html import escape

from airlock.checks.result import Interval, Metric
from airlock.checks.words import interval, number, signed, words

WIDTH = 190
HEIGHT = 30
_MARGIN = 10
_MIDDLE = 15


def interval_plot(metric: Metric) -> str | None:
    """An SVG of a metric's interval; ``None`` where there is no interval to draw.

    A comparison shows the difference from the champion, with a line at no difference. Colours come from
    the page: classes ``allowed``, ``limit``, ``champion``, ``range`` and ``value``.
    """
    comparison = metric.delta is not None
    value, bounds = (metric.delta, metric.delta_ci) if comparison else (metric.value, metric.ci)
    if value is None or bounds is None or metric.unit == "yes/no":
        return None
    champion = 0.0 if comparison else metric.champion
    lowest, highest = metric.bound if metric.bound is not None else (None, None)
    scale = _Scale([value, *bounds, champion, lowest, highest])
    shapes = []
    if lowest is not None or highest is not None:
        left, right = scale.x(lowest, open_end=0), scale.x(highest, open_end=WIDTH)
        shapes.append(
            f'<rect class="allowed" x="{left}" y="4" width="{round(right - left, 1)}" height="22"/>'
        )
    shapes += [_line("limit", scale.x(limit), 4, 26) for limit in (lowest, highest) if limit is not None]
    if champion is not None:
        shapes.append(_line("champion", scale.x(champion), 7, 23))
    left, right = scale.x(bounds[0], open_end=0), scale.x(bounds[1], open_end=WIDTH)
    shapes.append(f'<line class="range" x1="{left}" x2="{right}" y1="{_MIDDLE}" y2="{_MIDDLE}"/>')
    shapes += [_line("range", scale.x(bound), 11, 19) for bound in bounds if bound is not None]
    shapes.append(f'<circle class="value" cx="{scale.x(value)}" cy="{_MIDDLE}" r="4"/>')
    label = escape(_label(metric, comparison, value, bounds))
    return (
        f'<svg class="interval" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}"><title>{label}</title>{"".join(shapes)}</svg>'
    )


class _Scale:
    """From values to horizontal positions, all of the given ones inside the drawing."""

    def __init__(self, values: list[float | None]) -> None:
        known = [value for value in values if value is not None]
        self._low = min(known)
        self._span = (max(known) - self._low) or 1.0

    def x(self, value: float | None, *, open_end: float = 0) -> float:
        """The position of a value; ``open_end`` where there is none."""
        if value is None:
            return open_end
        return round(_MARGIN + (WIDTH - 2 * _MARGIN) * (value - self._low) / self._span, 1)


def _line(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'


def _label(metric: Metric, comparison: bool, value: float, bounds: Interval) -> str:
    name = words(metric.name).label
    if comparison:
        found = f"difference {signed(value)}, interval {interval(bounds, difference=True)}"
    else:
        found = f"{number(value, metric.unit)}, interval {interval(bounds, metric.unit)}"
    limit = "" if metric.limit is None else f"; allowed: {metric.limit}"
    champion = (
        "" if comparison or metric.champion is None else f"; champion {number(metric.champion, metric.unit)}"
    )
    return f"{name}: {found}{limit}{champion}"
