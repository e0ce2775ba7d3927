"""What becomes of the records of a micro-batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from airlock_host.columns import Array

Reason = Literal["empty", "too_large", "not_decodable", "bad_record", "model_failed", "answer_too_large"]


@dataclass(frozen=True, slots=True)
class Poison:
    """Why a record cannot be answered.

    :param reason: one word, for headers and measurements.
    """

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a micro-batch.

    :param answers: by record its answer's value; ``None`` where it has none.
    :param poisons: by position of a record why it has none.
    :param scored: for the measurements, of each part that was scored at once: its rows, and the first number
        that the model answers, where it answers one.
    """

    answers: list[bytes | None]
    poisons: dict[int, Poison]
    scored: list[tuple[int, Array | None]] = field(default_factory=list)
