"""Comparing what two versions answered to the same requests.

Two answers differ where their statuses do, or the number of their rows, or which outputs they have, or any
value: numbers by more than a tolerance, anything else at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airlock.rollouts.answers import MOST_PAIRS, Compared, Example, Label, Labels, Numbers
from airlock.rollouts.recorded import Recorded

MOST_CHARACTERS = 100
"""So much is kept of a text in an example, or of a label."""

Values = list[tuple[Any, Any]]

_NUMBERS = {int, float, type(None)}
_GREATEST = 1e290


def compare(pairs: Iterable[tuple[Recorded, Recorded]], tolerance: float, examples: int) -> Compared:
    """Compare the new version's answers with the current one's.

    :param pairs: the new version's answer to a request and the current version's.
    :param tolerance: numbers no further apart are the same.
    :param examples: how many answers that differ are kept.
    """
    n = differ = 0
    outputs = _Outputs({}, Counter())
    shown: list[Example] = []
    for new, current in pairs:
        n += 1
        apart = outputs.add(new, current, tolerance)
        if apart or _shape(new) != _shape(current):
            differ += 1
            if len(shown) < examples:
                row = min(apart, default=None)
                shown.append(Example(new.request, row, _whole(current, row), _whole(new, row)))
    numbers, labels = {}, {}
    for (name, is_numbers), values in outputs.values.items():
        if is_numbers:
            numbers[name] = _of_numbers(values, outputs.differ[name, True])
        else:
            labels[name] = _of_labels(values, outputs.differ[name, False])
    return Compared(n, differ, numbers, labels, tuple(shown))


@dataclass(frozen=True)
class _Outputs:
    """What both versions gave for each output, by its name and whether that are numbers.

    :param values: the new version's and the current one's.
    :param differ: how many of them differ.
    """

    values: dict[tuple[str, bool], Values]
    differ: Counter[tuple[str, bool]]

    def add(self, new: Recorded, current: Recorded, tolerance: float) -> set[int]:
        """Take in two answers to one request, and say which of their rows differ."""
        apart: set[int] = set()
        if new.columns is None or current.columns is None:
            return apart
        for name in sorted(new.columns.keys() & current.columns.keys()):
            values = list(zip(new.columns[name], current.columns[name], strict=False))
            where = [row for row, (mine, other) in enumerate(values) if _differ(mine, other, tolerance)]
            apart.update(where)
            types = {type(value) for pair in values for value in pair}
            self.values.setdefault((name, types <= _NUMBERS), []).extend(values)
            self.differ[name, types <= _NUMBERS] += len(where)
        return apart


def together(one: Compared, other: Compared, examples: int) -> Compared:
    """What was found of these and of those requests.

    :param examples: so many are kept, the first ones.
    """
    return replace(
        one,
        n=one.n + other.n,
        differ=one.differ + other.differ,
        numbers={
            name: _numbers(one.numbers.get(name, Numbers()), other.numbers.get(name, Numbers()))
            for name in {**one.numbers, **other.numbers}
        },
        labels={
            name: _labels(one.labels.get(name, Labels()), other.labels.get(name, Labels()))
            for name in {**one.labels, **other.labels}
        },
        examples=(*one.examples, *other.examples)[:examples],
    )


def _numbers(one: Numbers, other: Numbers) -> Numbers:
    compared = one.compared + other.compared

    def mean(mine: float | None, others: float | None) -> float | None:
        if not compared:
            return None
        return ((mine or 0.0) * one.compared + (others or 0.0) * other.compared) / compared

    greatest = [each.greatest for each in (one, other) if each.greatest is not None]
    return Numbers(
        compared,
        one.differ + other.differ,
        max(greatest, default=None),
        mean(one.mean, other.mean),
        mean(one.mean_shift, other.mean_shift),
    )


def _labels(one: Labels, other: Labels) -> Labels:
    """Of an output with very many values, like free text, none is kept."""
    confusion = Counter(one.confusion)
    confusion.update(other.confusion)
    if one.others or other.others or len(confusion) > MOST_PAIRS:
        confusion.clear()
    return Labels(one.compared + other.compared, one.differ + other.differ, dict(confusion))


def _shape(answer: Recorded) -> object:
    """What two answers have in common that may be the same."""
    return answer.status, answer.rows, None if answer.columns is None else answer.columns.keys()


def _of_numbers(values: Values, differ: int) -> Numbers:
    shifts = [_shift(mine, other) for mine, other in values if None not in (mine, other)]
    if not shifts:
        return Numbers(0, differ)
    sizes = [abs(shift) for shift in shifts]
    return Numbers(len(shifts), differ, max(sizes), sum(sizes) / len(sizes), sum(shifts) / len(shifts))


def _shift(mine: float, other: float) -> float:
    """The difference, within what JSON can say and sums can hold."""
    shift = float(mine) - float(other)
    return shift if abs(shift) <= _GREATEST else math.copysign(_GREATEST, shift)


def _of_labels(values: Values, differ: int) -> Labels:
    confusion = Counter((_label(other), _label(mine)) for mine, other in values)
    return Labels(len(values), differ, dict(confusion) if len(confusion) <= MOST_PAIRS else {})


def _differ(mine: Any, other: Any, tolerance: float) -> bool:
    if mine is other and mine == other:
        return False
    if _is_number(mine) and _is_number(other):
        # Not by their difference alone: integers may be too large for one.
        return bool(mine != other) and not abs(mine - other) <= tolerance
    return type(mine) is not type(other) or bool(mine != other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _label(value: Any) -> Label:
    return value if value is None or isinstance(value, bool) else _shortened(str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _whole(answer: Recorded, row: int | None = None) -> Mapping[str, Any]:
    """An answer as an example shows it: how it is as a whole, and one row of it."""
    whole: dict[str, Any] = {"status": answer.status, "rows": answer.rows}
    if answer.columns is not None and row is not None:
        whole["outputs"] = dict(_row(answer.columns, row))
    return whole


def _row(columns: Mapping[str, Sequence[Any]], row: int) -> Iterator[tuple[str, Any]]:
    for name, values in columns.items():
        value = values[row] if row < len(values) else None
        if isinstance(value, str) or (isinstance(value, float) and not math.isfinite(value)):
            value = _shortened(str(value))
        yield name, value
