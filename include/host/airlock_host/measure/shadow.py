"""Shadow: what two versions answered to the same records of a topic."""

from __future__ import annotations

import math
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
from airlock_host.stream.answers import Place, read_answers
from airlock_host.stream.settings import StreamSettings, read_settings, settings_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Answers = Mapping[Place, Mapping[str, Any]]

_LEAST_ROWS = 10


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the answers of the stream files ``stream`` and ``shadow``, which read the same input.

    Each is the path of a file, or what such a file says.

    The shadow's answers are in ``shadow.output`` where its file says that it reads as a shadow, and in
    ``output`` where it is a worker with topics of its own.

    :raises InputUnusable: a file is not right, they read different topics, or write the same one.
    """
    current, shadow = (_settings(job, name) for name in ("stream", "shadow"))
    if current.input != shadow.input:
        raise InputUnusable(
            f"the streams read different topics, {current.input!r} and {shadow.input!r}: nothing to compare",
            field="shadow",
        )
    beside = shadow.shadow if shadow.reads == "shadow" else None
    answers = shadow.output if beside is None else beside.output
    if answers == current.output:
        raise InputUnusable(
            f"both streams answer into {answers!r}: nothing to compare; a shadow's file says "
            '"reads": "shadow", or has another output',
            field="shadow",
        )
    outputs, since = Schema.read(job["output"]), _since(job)
    percent = shadow.answers_percent
    # The shadow's first: what it answers while the others are read is not looked for among them.
    by_shadow = read_answers(shadow, answers, outputs, since=since, percent=percent)
    by_current = read_answers(current, current.output, outputs, since=since, percent=percent)
    return compare(*in_common(by_current, by_shadow), outputs, float(job.get("atol", 0.0)))


def _settings(job: Mapping[str, Any], name: str) -> StreamSettings:
    said = job[name]
    return read_settings(Path(said)) if isinstance(said, str) else settings_of(said, f"the job's {name!r}")


def _since(job: Mapping[str, Any]) -> float | None:
    since = job.get("since")
    if since is not None and (type(since) not in (int, float) or not 0 <= since < math.inf):
        raise InputUnusable(f"'since' is {since!r}; expected seconds of the epoch", field="since")
    return since


def in_common(current: Answers, shadow: Answers) -> tuple[Answers, Answers]:
    """Leave out what one of them answered before the other began, or will answer later.

    What is left lies, in each partition of the input, between the first and the last record that both have
    come to. Where the current version answered nothing, all that the shadow answered is left.
    """
    ours, theirs = _spans(current), _spans(shadow)
    spans = {
        partition: (max(first, ours[partition][0]), min(last, ours[partition][1]))
        if partition in ours
        else (first, last)
        for partition, (first, last) in theirs.items()
    }

    def within(answers: Answers) -> Answers:
        return {
            origin: answer
            for origin, answer in answers.items()
            if origin[0] in spans and spans[origin[0]][0] <= origin[1] <= spans[origin[0]][1]
        }

    return within(current), within(shadow)


def _spans(answers: Answers) -> dict[int, tuple[int, int]]:
    """By partition the first and the last offset that is answered."""
    spans: dict[int, tuple[int, int]] = {}
    for partition, offset, _ in answers:
        first, last = spans.get(partition, (offset, offset))
        spans[partition] = min(first, offset), max(last, offset)
    return spans


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


def _named(origin: Place) -> dict[str, int]:
    return dict(zip(("partition", "offset", "row"), origin, strict=True))


def _differences(pairs: list[tuple[Any, Any]]) -> Vector:
    """Shadow minus current; NaN where one of them is null."""
    return np.array(
        [np.nan if one is None or other is None else float(other) - float(one) for one, other in pairs],
        dtype=np.float64,
    )


def _both_null(pairs: list[tuple[Any, Any]]) -> np.typing.NDArray[np.bool_]:
    return np.array([one is None and other is None for one, other in pairs], dtype=np.bool_)


def _number(difference: Vector, apart: np.typing.NDArray[np.bool_], both: list[Place]) -> dict[str, Any]:
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
