"""Shadow: what two versions answered to the same records of a topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from airlock_host.exceptions import InputUnusable
from airlock_host.measure.answers import MOST_SHOWN
from airlock_host.measure.drawing import CANDIDATE, NEGATIVE, draw
from airlock_host.measure.rounding import rounded
from airlock_host.measure.vectors import Vector
from airlock_host.schema import Schema
from airlock_host.stream.answers import Origin, read_answers
from airlock_host.stream.settings import read_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Answers = Mapping[Origin, Mapping[str, Any]]

_LEAST_ROWS = 10


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the outputs of the stream files ``stream`` and ``shadow``, which read the same input.

    :raises InputUnusable: a file is not right, or they read different topics.
    """
    current, shadow = (read_settings(Path(job[name])) for name in ("stream", "shadow"))
    if current.input != shadow.input:
        raise InputUnusable(
            f"the streams read different topics, {current.input!r} and {shadow.input!r}: nothing to compare",
            field="shadow",
        )
    outputs = Schema.read(job["output"])
    return compare(
        read_answers(current, outputs), read_answers(shadow, outputs), outputs, float(job.get("atol", 0.0))
    )


def compare(current: Answers, shadow: Answers, outputs: Schema, atol: float = 0.0) -> dict[str, Any]:
    """Join answers by the record they answer, and say how they differ.

    :param atol: numbers that are no further apart than this are the same.
    """
    both = sorted(current.keys() & shadow.keys())
    measured: dict[str, Any] = {
        "n": len(both),
        "only_current": _only(current, shadow),
        "only_shadow": _only(shadow, current),
        "numbers": {},
        "labels": {},
    }
    different = np.zeros(len(both), dtype=np.bool_)
    figures = []
    for field in outputs:
        pairs = [(current[origin].get(field.name), shadow[origin].get(field.name)) for origin in both]
        if field.type in ("number", "integer"):
            difference = _differences(pairs)
            apart = ~(np.abs(difference) <= atol) & ~_both_null(pairs)
            measured["numbers"][field.name] = _number(difference, apart, both)
            given = difference[~np.isnan(difference)]
            if len(given) >= _LEAST_ROWS:
                figures.append(_figure(field.name, given))
        else:
            apart = np.array([one != other for one, other in pairs], dtype=np.bool_)
            measured["labels"][field.name] = _label(pairs, apart)
        different |= apart
    measured["differ"] = int(different.sum())
    return {**rounded(measured), "figures": figures}


def _only(those: Answers, others: Answers) -> dict[str, Any]:
    missing = sorted(those.keys() - others.keys())
    return {"n": len(missing), "shown": [_named(origin) for origin in missing[:MOST_SHOWN]]}


def _named(origin: Origin) -> dict[str, int]:
    return dict(zip(("partition", "offset", "row"), origin, strict=True))


def _differences(pairs: list[tuple[Any, Any]]) -> Vector:
    """Shadow minus current; NaN where one of them is null."""
    return np.array(
        [np.nan if one is None or other is None else float(other) - float(one) for one, other in pairs],
        dtype=np.float64,
    )


def _both_null(pairs: list[tuple[Any, Any]]) -> np.typing.NDArray[np.bool_]:
    return np.array([one is None and other is None for one, other in pairs], dtype=np.bool_)


def _number(difference: Vector, apart: np.typing.NDArray[np.bool_], both: list[Origin]) -> dict[str, Any]:
    given = ~np.isnan(difference)
    if not given.any():
        return {"compared": 0, "differ": int(apart.sum()), "greatest": None, "mean": None, "at": None}
    size = np.where(given, np.abs(difference), -1.0)
    greatest = int(size.argmax())
    return {
        "compared": int(given.sum()),
        "differ": int(apart.sum()),
        "greatest": float(size[greatest]),
        "mean": float(size[given].mean()),
        "mean_shift": float(difference[given].mean()),
        "at": _named(both[greatest]),
    }


def _label(pairs: list[tuple[Any, Any]], apart: np.typing.NDArray[np.bool_]) -> dict[str, Any]:
    """How often which label of the current version met which of the shadow's."""
    confusion = Counter((_shown(one), _shown(other)) for one, other in pairs)
    return {
        "compared": len(pairs),
        "differ": int(apart.sum()),
        "confusion": [
            {"current": one, "shadow": other, "n": count}
            for (one, other), count in confusion.most_common(MOST_SHOWN)
        ],
        "left_out": max(0, len(confusion) - MOST_SHOWN),
    }


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | bool | None) else str(value)


def _figure(name: str, difference: Vector) -> dict[str, str]:
    def plot(axes: Axes) -> None:
        count, edges = np.histogram(difference, 40)
        axes.stairs(count, edges, fill=True, color=CANDIDATE, alpha=0.6)
        axes.axvline(0, color=NEGATIVE, linewidth=0.8, linestyle=":")
        axes.set_yscale("symlog", linthresh=1)
        axes.set(xlabel=f"{name}: shadow minus current", ylabel="records (logarithmic)")

    size = np.abs(difference)
    alt = (
        f"Distribution of the difference in {name}, shadow minus current, over {len(difference):,} records: "
        f"{size.mean():.4g} on average and {size.max():.4g} at most, whatever the sign."
    )
    return draw(f"shadow-{name}", f"Shadow and current: {name}", alt, plot)
