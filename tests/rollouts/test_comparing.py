"""What two versions answered to the same requests, compared."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.rollouts.answers import MOST_PAIRS, Compared, Example, Labels, Numbers
from airlock.rollouts.comparing import compare, together
from airlock.rollouts.recorded import Recorded


def answer(status: int = 200, rows: int | None = None, **columns: Sequence[Any]) -> Recorded:
    """An answer to one request; without columns it was refused."""
    given = rows if rows is not None else max((len(values) for values in columns.values()), default=0)
    return Recorded(1, "r-1", status, given, columns or None)


def compared(new: Recorded, current: Recorded, tolerance: float = 1e-6, examples: int = 5) -> Compared:
    return compare([(new, current)], tolerance, examples)


@pytest.mark.parametrize(
    ("new", "current"),
    [
        (answer(score=[0.5]), answer(score=[0.5])),
        (answer(score=[0.5 + 1e-9]), answer(score=[0.5])),
        (answer(score=[1]), answer(score=[1.0])),
        (answer(score=[None]), answer(score=[None])),
        (answer(score=[0.5, 0.6], decision=["yes", "no"]), answer(score=[0.5, 0.6], decision=["yes", "no"])),
        (answer(422), answer(422)),
        (answer(rows=0), answer(rows=0)),
    ],
)
def test_answers_that_are_the_same(new: Recorded, current: Recorded) -> None:
    assert (compared(new, current).n, compared(new, current).differ) == (1, 0)
    assert compared(new, current).examples == ()


@pytest.mark.parametrize(
    ("new", "current"),
    [
        (answer(score=[0.51]), answer(score=[0.5])),
        (answer(score=[None]), answer(score=[0.5])),
        (answer(score=["0.5"]), answer(score=[0.5])),
        (answer(score=[0.5, 0.6]), answer(score=[0.5, 0.7])),
        (answer(score=[0.5, 0.6]), answer(score=[0.5])),
        (answer(score=[0.5], rows=2), answer(score=[0.5], rows=3)),
        (answer(score=[0.5], reason=["x"]), answer(score=[0.5])),
        (answer(decision=["yes"]), answer(decision=["no"])),
        (answer(flag=[True]), answer(flag=[1])),
        (answer(500), answer(score=[0.5])),
        (answer(500), answer(422)),
    ],
)
def test_answers_that_differ(new: Recorded, current: Recorded) -> None:
    assert (compared(new, current).n, compared(new, current).differ) == (1, 1)
    assert len(compared(new, current).examples) == 1
    assert compared(new, current, examples=0).examples == ()


def test_numbers_within_the_tolerance_are_the_same() -> None:
    new, current = answer(score=[0.52]), answer(score=[0.5])

    assert compared(new, current, tolerance=0.03).differ == 0
    assert compared(new, current, tolerance=0.01).differ == 1


def test_integers_beyond_what_a_double_holds_are_told_apart() -> None:
    assert compared(answer(sum=[2**62 + 1]), answer(sum=[2**62]), tolerance=0.5).differ == 1


def test_how_far_numbers_are_apart() -> None:
    found = compared(answer(score=[0.5, 0.2, None]), answer(score=[0.4, 0.5, 0.1]))

    numbers = found.numbers["score"]
    assert (numbers.compared, numbers.differ) == (2, 3)
    assert numbers.greatest == pytest.approx(0.3)
    assert numbers.mean == pytest.approx(0.2)
    assert numbers.mean_shift == pytest.approx(-0.1)


def test_which_labels_became_which() -> None:
    found = compared(answer(decision=["yes", "no", None]), answer(decision=["yes", "yes", None]))

    confusion = {("yes", "yes"): 1, ("yes", "no"): 1, (None, None): 1}
    assert found.labels["decision"] == Labels(3, 1, confusion)


def test_of_free_text_nothing_is_kept() -> None:
    found = Compared()
    for number in range(MOST_PAIRS + 9):
        found = together(found, compared(answer(note=[f"n{number}"]), answer(note=[f"n{number}"])), 5)

    assert (found.labels["note"].compared, found.labels["note"].confusion) == (MOST_PAIRS + 9, {})
    assert found.labels["note"].others == MOST_PAIRS + 9


def test_an_example_shows_the_row_that_differs() -> None:
    found = compared(
        answer(score=[0.1, 0.2], note=["a", "b" * 500]), answer(score=[0.1, 0.3], note=["a", "b" * 500])
    )

    note = "b" * 100 + "…"
    assert found.examples == (
        Example(
            "r-1",
            1,
            {"status": 200, "rows": 2, "outputs": {"score": 0.3, "note": note}},
            {"status": 200, "rows": 2, "outputs": {"score": 0.2, "note": note}},
        ),
    )


def test_an_example_of_a_failure_says_how_it_failed() -> None:
    [example] = compared(answer(500), answer(score=[0.3])).examples

    assert (example.row, example.current["status"], example.new) == (None, 200, {"status": 500, "rows": 0})


_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))
_answers = st.builds(
    Recorded,
    st.just(1),
    st.text(max_size=3),
    st.sampled_from([200, 422, 500]),
    st.integers(0, 3),
    st.none() | st.dictionaries(st.sampled_from("ab"), st.lists(_values, max_size=3), max_size=2),
)
_pairs = st.lists(st.tuples(_answers, _answers), max_size=9)


@given(_pairs, _pairs)
def test_it_does_not_matter_in_how_many_looks_it_is_found(
    first: list[tuple[Recorded, Recorded]], second: list[tuple[Recorded, Recorded]]
) -> None:
    at_once = compare([*first, *second], 0.1, 3)
    in_two = together(compare(first, 0.1, 3), compare(second, 0.1, 3), 3)

    assert (at_once.n, at_once.differ, at_once.labels) == (in_two.n, in_two.differ, in_two.labels)
    assert len(in_two.examples) == min(3, in_two.differ)
    for name, numbers in at_once.numbers.items():
        other = in_two.numbers[name]
        assert (numbers.compared, numbers.differ) == (other.compared, other.differ)
        assert numbers.greatest == other.greatest


@given(_pairs)
def test_whatever_was_answered_it_can_be_kept(pairs: list[tuple[Recorded, Recorded]]) -> None:
    found = compare(pairs, 0.1, 3)

    assert Compared.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found
    assert found.differ <= found.n == len(pairs)
    for numbers in found.numbers.values():
        assert numbers == Numbers() or numbers.greatest is None or math.isfinite(numbers.greatest)


@given(_answers)
def test_an_answer_is_the_same_as_itself(one: Recorded) -> None:
    values = [value for column in (one.columns or {}).values() for value in column]
    has_nan = any(isinstance(value, float) and math.isnan(value) for value in values)

    assert compare([(one, one)], 0.0, 1).differ == int(has_nan), "which JSON does not have"
