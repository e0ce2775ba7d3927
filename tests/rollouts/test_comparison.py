"""Answers are read from two rings that turn, and joined."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.exceptions import CheckError
from airlock.rollouts import Comparison
from airlock.rollouts.comparison import INTERVAL
from airlock.rollouts.recorded import Position, Recorded, Recording, page
from airlock.spec import AnswersGuard
from tests.rollouts.building import NOW

GUARD = AnswersGuard(examples=3)


@dataclass
class Ring:
    """A version's server: its last answers, numbered from 1."""

    size: int = 1000
    started: float = 1.0
    last: int = 0
    kept: deque[Recorded] = field(default_factory=deque)

    def answer(self, request: str, score: float) -> None:
        self.last += 1
        self.kept.append(Recorded(self.last, request, 200, 1, {"score": [score]}))
        while len(self.kept) > self.size:
            self.kept.popleft()

    def begin_anew(self) -> None:
        self.started, self.last = self.started + 1, 0
        self.kept.clear()

    def read(self, position: Position) -> Recording:
        after = 0 if position.after > self.last else position.after
        return Recording(self.started, tuple(each for each in self.kept if each.sequence > after), self.last)


def look(comparison: Comparison, new: Ring, current: Ring) -> Comparison:
    further = comparison.go_on(GUARD, NOW, new.read(comparison.new), current.read(comparison.current))
    return Comparison.from_json(json.loads(json.dumps(further.to_json())))


def begun(new: Ring, current: Ring) -> Comparison:
    return look(Comparison(), new, current)


def test_what_was_answered_before_the_step_began_is_left_out() -> None:
    new, current = Ring(), Ring()
    for ring in (new, current):
        ring.answer("a", 0.1)
    comparison = begun(new, current)
    for ring in (new, current):
        ring.answer("b", 0.1)

    assert look(comparison, new, current).found.n == 1


def test_several_processes_at_one_address_are_said_and_nothing_counts_twice() -> None:
    new, current = Ring(), Ring()
    comparison = begun(new, current)
    for ring in (new, current):
        ring.answer("a", 0.1)
    comparison = look(comparison, new, current)
    beside = Ring(started=2.0)
    comparison = look(comparison, beside, current)

    with pytest.raises(CheckError, match="answered by several processes"):
        look(comparison, new, current)
    assert comparison.found.n == 1


def test_answers_are_joined_by_their_request_and_counted_once() -> None:
    new, current = Ring(), Ring()
    comparison = begun(new, current)
    for request, score in (("a", 0.1), ("b", 0.2)):
        current.answer(request, score)
    new.answer("b", 0.2)
    comparison = look(comparison, new, current)
    assert (comparison.found.n, comparison.found.differ) == (1, 0)

    new.answer("a", 0.7)
    comparison = look(comparison, new, current)
    assert (comparison.found.n, comparison.found.differ) == (2, 1)
    for _ in range(3):
        comparison = look(comparison, new, current)
    assert comparison.found.n == 2


def test_what_has_no_counterpart_is_waited_for_once_more_only() -> None:
    new, current = Ring(), Ring()
    comparison = begun(new, current)
    current.answer("a", 0.1)
    for _ in range(3):
        comparison = look(comparison, new, current)
        assert comparison.current.reached == 1
    assert comparison.current.after == 1

    new.answer("a", 0.1)
    assert look(comparison, new, current).found.n == 0


def test_requests_of_one_id_are_left_out() -> None:
    new, current = Ring(), Ring()
    comparison = begun(new, current)
    for ring in (new, current):
        for request in ("a", "a", "b"):
            ring.answer(request, 0.1)

    assert look(comparison, new, current).found.n == 1


def test_a_server_that_began_anew_is_read_from_its_beginning() -> None:
    new, current = Ring(), Ring()
    comparison = begun(new, current)
    for ring in (new, current):
        for request in ("a", "b", "c"):
            ring.answer(request, 0.1)
    for _ in range(2):
        comparison = look(comparison, new, current)
    assert comparison.found.n == 3

    new.begin_anew()
    for ring in (new, current):
        ring.answer("d", 0.1)
    comparison = look(look(comparison, new, current), new, current)
    assert comparison.found.n == 4


def test_answers_are_read_every_few_seconds() -> None:
    assert Comparison().is_due(NOW)
    assert not Comparison(at=NOW).is_due(NOW + INTERVAL / 2)
    assert Comparison(at=NOW).is_due(NOW + INTERVAL)
    assert Comparison(at=NOW).is_due(NOW - timedelta(hours=1)), "where a clock was set back"


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        "null",
        "[]",
        "{}",
        '{"answers": [{}], "started": 1, "next": 1}',
        '{"answers": [], "started": "x", "next": 1}',
    ],
)
def test_what_is_no_answers_is_said(text: str) -> None:
    with pytest.raises(CheckError, match="something that is no answers"):
        page(text)


_turns = st.lists(
    st.one_of(
        st.tuples(st.just("request"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["look", "copy", "new begins anew", "current begins anew"]), st.just(0)),
    ),
    max_size=60,
)


@given(_turns, st.integers(1, 8))
def test_whatever_happens_no_answer_is_counted_twice_and_none_with_another_requests(
    turns: list[tuple[str, int]], size: int
) -> None:
    """Each request has a score of its own, which both versions answer: a difference would be a mix-up."""
    new, current = Ring(size), Ring(size)
    comparison = begun(new, current)
    copies: list[tuple[str, float]] = []
    requests = 0
    for turn, late in turns:
        match turn:
            case "request":
                requests += 1
                current.answer(f"r{requests}", requests)
                copies.insert(max(0, len(copies) - late), (f"r{requests}", requests))
            case "copy" if copies:
                new.answer(*copies.pop(0))
            case "look":
                comparison = look(comparison, new, current)
            case "new begins anew":
                new.begin_anew()
            case "current begins anew":
                current.begin_anew()
    comparison = look(comparison, new, current)

    assert comparison.found.differ == 0
    assert comparison.found.n <= requests - len(copies)
    assert len(comparison.new.settled) <= 2 * size
    assert len(comparison.current.settled) <= 2 * size


@given(st.lists(st.sampled_from(["request", "look"]), max_size=60))
def test_of_a_quiet_service_all_answers_are_compared(turns: list[str]) -> None:
    new, current = Ring(), Ring()
    comparison = begun(new, current)
    requests = 0
    for turn in turns:
        if turn == "look":
            comparison = look(comparison, new, current)
        else:
            requests += 1
            for ring in (new, current):
                ring.answer(f"r{requests}", requests)

    assert look(comparison, new, current).found.n == requests
