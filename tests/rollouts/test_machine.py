"""A rollout's moves, and what holds whatever happens to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.rollouts import ALL, Facts, Step, next_move, steps
from airlock.spec import BlueGreen, Canary, Direct, Rollout, Shadow
from tests.rollouts.building import NOW

TEN = timedelta(minutes=10)
CANARY = Canary([5, 50, 100], TEN)
BEGUN = Facts(CANARY, step=0, since=NOW, extended=0, now=NOW)


def at_the_end(**facts: Any) -> Facts:
    return replace(BEGUN, **{"now": NOW + TEN, **facts})


def test_steps_of_the_strategies() -> None:
    assert steps(Direct()) == steps(BlueGreen()) == (ALL,)
    assert steps(CANARY) == (Step(5, bake=TEN), Step(50, bake=TEN), ALL)
    assert steps(Shadow(20, TEN)) == (Step(0, 20, TEN), ALL)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (BEGUN, "wait"),
        (replace(BEGUN, since=None), "wait"),
        (replace(BEGUN, verdict="fail"), "roll_back"),
        (at_the_end(verdict="pass"), "advance"),
        (at_the_end(), "extend"),
        (at_the_end(extended=1), "wait"),
        (at_the_end(extended=2, now=NOW + 3 * TEN), "ask"),
        (at_the_end(extended=2, now=NOW + 3 * TEN, answer="nobody"), "roll_back"),
        (at_the_end(asked=True), "ask"),
        (at_the_end(asked=True, answer="go on"), "advance"),
        (at_the_end(asked=True, answer="go on", verdict="fail"), "roll_back"),
        (at_the_end(asked=True, answer="roll back"), "roll_back"),
        (at_the_end(asked=True, answer="expired"), "roll_back"),
        (at_the_end(step=2), "complete"),
        (at_the_end(ended=True, verdict="fail"), "rest"),
        (at_the_end(rollout=Shadow(20, TEN), verdict="pass"), "advance"),
        (at_the_end(rollout=Shadow(20, TEN, ask=True), verdict="pass"), "ask"),
        (Facts(BlueGreen(), 0, None, 0, NOW), "complete"),
    ],
)
def test_moves(facts: Facts, kind: str) -> None:
    assert next_move(facts).kind == kind


def test_waiting_ends_with_the_bake_and_its_extensions() -> None:
    assert next_move(replace(BEGUN, extended=1)).until == NOW + 2 * TEN


_percents = st.lists(st.integers(1, 99), max_size=5, unique=True).map(sorted)
_rollouts: st.SearchStrategy[Rollout] = st.one_of(
    st.builds(
        lambda percents, bake, extend: Canary([*percents, 100], timedelta(seconds=bake), extend=extend),
        _percents,
        st.integers(1, 1000),
        st.integers(0, 3),
    ),
    st.builds(
        lambda bake, extend, ask: Shadow(100, timedelta(seconds=bake), ask, extend=extend),
        st.integers(1, 1000),
        st.integers(0, 3),
        st.booleans(),
    ),
    st.just(BlueGreen()),
)
_moments = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.sampled_from(["pass", "inconclusive", "inconclusive", "fail"]),
        st.sampled_from([None, "go on", "roll back", "expired", "nobody"]),
    ),
    max_size=40,
)


@given(_rollouts, _moments)
def test_whatever_happens(rollout: Rollout, moments: list[tuple[int, Any, Any]]) -> None:
    """No step is left out, traffic never exceeds its step, a failure ends it, and the end is all or none."""
    plan = steps(rollout)
    facts = Facts(rollout, step=0, since=NOW, extended=0, now=NOW)
    traffic, visited = plan[0].percent, [0]
    for seconds, verdict, answer in moments:
        now = facts.now + timedelta(seconds=seconds)
        facts = replace(facts, now=now, verdict=verdict, answer=answer)
        move = next_move(facts)

        assert next_move(facts) == move, "asked again, it says the same"
        if verdict == "fail" and not facts.ended and plan[facts.step].bake is not None:
            assert move.kind == "roll_back"
        match move.kind:
            case "advance":
                facts = replace(facts, step=facts.step + 1, since=now, extended=0, asked=False)
                traffic = plan[facts.step].percent
                visited.append(facts.step)
            case "extend":
                facts = replace(facts, extended=facts.extended + 1)
                assert facts.extended <= getattr(rollout, "extend", 0)
            case "ask":
                facts = replace(facts, asked=True)
            case "complete":
                assert facts.step == len(plan) - 1
                facts, traffic = replace(facts, ended=True), 100
            case "roll_back":
                facts, traffic = replace(facts, ended=True), 0
        if facts.ended:
            assert traffic in (0, 100)
            assert next_move(facts).kind == "rest"
        else:
            assert traffic <= plan[facts.step].percent
    assert visited == list(range(len(visited)))
