"""From a matplotlib figure to small, harmless SVG that stands inside a page, in light and dark.

No script, no style sheet, no metadata; text stays text; what is black in print takes the page's text
colour. The same data gives the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from airlock_host.measure.vectors import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import PathPatch

CANDIDATE = "#2b7bba"
CHAMPION = "#d9822b"
POSITIVE = "#b3446c"
NEGATIVE = "#7f8c99"

_TEXT = "#010203"
"""Stands for the page's text colour until the SVG is written."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "airlock",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.15,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    **dict.fromkeys(
        [
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "axes.titlecolor",
            "xtick.color",
            "ytick.color",
            "grid.color",
        ],
        _TEXT,
    ),
}


def draw(
    name: str, title: str, alt: str, plot: Callable[[Axes], None], *, size: tuple[float, float] = (4.2, 3.2)
) -> dict[str, str]:
    """Draw one figure.

    :param name: makes the ids in it different from those of other figures on the same page.
    :param alt: what the figure shows, in words and numbers.
    :param plot: draws on the axes it is given.
    :param size: width and height in inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(cast("Any", _STYLE)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font that is not here: the reader's own is used anyway
        figure = Figure(figsize=size, layout="constrained")
        plot(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return {"title": title, "alt": alt, "svg": _slim(buffer.getvalue(), name, alt)}


def dots(x: Vector, y: Vector, colour: str) -> PathPatch:
    """Many dots as one path of round ends: a tenth of the size of as many markers."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    points = np.repeat(np.column_stack([x, y]), 2, axis=0)
    codes = np.tile(np.array([Path.MOVETO, Path.LINETO]), len(x))
    path = Path(points, codes)
    path.should_simplify = False  # which would drop every line without length
    return PathPatch(path, fill=False, edgecolor=colour, linewidth=3, capstyle="round", alpha=0.5)


def _slim(svg: str, name: str, alt: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->|<defs>\s*</defs>", "", svg, flags=re.DOTALL
    )
    svg = svg.replace(_TEXT, "currentColor")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 sans-serif", svg)
    svg = re.sub(r'( (?:d|x|y|transform|points)=")([^"]*)', lambda found: found[1] + _round(found[2]), svg)
    referred = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', svg))
    svg = re.sub(
        r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in referred else "", svg
    )
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r">\s+<", "><", svg).strip()
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" stroke-linejoin="round" ', 1)


def _round(numbers: str) -> str:
    return re.sub(
        r"-?\d+\.\d+",
        lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."),
        " ".join(numbers.split()),
    )
