"""The scoring of a micro-batch: answers, and dead letters for the records that cannot be answered."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from airlock_host.columns import Columns
from airlock_host.exceptions import ModelFailed
from airlock_host.models import Model
from airlock_host.stream.codecs import Codec, Values
from airlock_host.stream.outcomes import Outcome, Poison

log = logging.getLogger(__name__)


def score(values: Sequence[bytes | None], codec: Codec, model: Model) -> Outcome:
    """Read, score and write the values of a micro-batch, in one call of the model.

    Where that call fails, it is made again for ever smaller parts, so that only the records on which the
    model fails remain without an answer.
    """
    read = codec.read(values)
    outcome = Outcome([None] * len(values), dict(read.poisons))
    if read.good:
        _score(read, 0, len(read.good), codec, model, outcome)
    return outcome


def _score(values: Values, first: int, last: int, codec: Codec, model: Model, outcome: Outcome) -> None:
    """Score the good values from ``first`` to before ``last``."""
    rows, ends = _part(values, first, last)
    try:
        answer = model.score(rows)
    except ModelFailed as error:
        if last - first == 1:
            log.error("a record cannot be scored: %s", error, exc_info=error.__cause__)
            outcome.poisons[values.good[first]] = Poison("model_failed", str(error))
            return
        middle = (first + last) // 2
        _score(values, first, middle, codec, model, outcome)
        _score(values, middle, last, codec, model, outcome)
        return
    for position, value in zip(values.good[first:last], codec.write(answer, ends), strict=True):
        outcome.answers[position] = value
    outcome.scored.append((answer.count, answer.first_number))


def _part(values: Values, first: int, last: int) -> tuple[Columns, list[int] | None]:
    if (first, last) == (0, len(values.good)):
        return values.rows, values.ends
    ends = values.ends
    begin, end = (first, last) if ends is None else (ends[first - 1] if first else 0, ends[last - 1])
    chosen = np.zeros(values.rows.count, dtype=np.bool_)
    chosen[begin:end] = True
    return values.rows.take(chosen), None if ends is None else [one - begin for one in ends[first:last]]
