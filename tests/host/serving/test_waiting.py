"""Requests that wait in vain."""

from __future__ import annotations

from typing import Any

import pytest

from airlock_host.serving.waiting import LEFT, PATIENCE_SECONDS, Waiter, WaitingRequests


@pytest.fixture
def unanswered() -> list[str]:
    return []


@pytest.fixture
def waiting(unanswered: list[str]) -> WaitingRequests:
    return WaitingRequests(unanswered.append)


def waiter(waiting: WaitingRequests, **scope: Any) -> Waiter:
    made = Waiter("score", scope, since=100.0)
    waiting.begin(made)
    return made


def test_an_answer_that_is_wanted_counts_as_itself(waiting: WaitingRequests, unanswered: list[str]) -> None:
    one = waiter(waiting)
    waiting.look(100.0 + PATIENCE_SECONDS)
    assert waiting.end(one)
    waiting.look(1000.0)
    assert unanswered == []


def test_who_waits_too_long_is_counted_once_whatever_follows(
    waiting: WaitingRequests, unanswered: list[str]
) -> None:
    one = waiter(waiting)
    for later in (1, 2):
        waiting.look(100.0 + PATIENCE_SECONDS + later)
    one.scope[LEFT] = True
    assert not waiting.end(one)
    assert unanswered == ["score"]


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_who_left_is_counted_once(
    waiting: WaitingRequests, unanswered: list[str], is_looked_at: bool
) -> None:
    one = waiter(waiting)
    one.scope[LEFT] = True
    if is_looked_at:
        waiting.look(101.0)
    assert not waiting.end(one)
    assert unanswered == ["score"]
