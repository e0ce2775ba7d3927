"""``airlock rollback``: what it says first, what it does, and what it leaves alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from airlock.cli import rollbacks
from airlock.orchestration import stream_traffic
from airlock.orchestration.rollback import SECONDS_TO_GET_READY
from airlock.registry import Registry
from airlock.registry.rollbacks import Rollbacks
from tests.web.story import Story
from tests.web.test_rollbacks import begin_a_rollout, in_use, put_into_use, two_versions

__all__ = ["two_versions"]

AsPerson = Callable[..., Result]

COMMAND = ("rollback", "cc-fraud", "--stage", "LIVE", "--reason", "It blocks everybody.")


def test_it_says_what_it_would_do_and_asks(
    two_versions: list[str], airlock: AsPerson, registry: Registry
) -> None:
    old, new = two_versions
    refused = airlock("olga", *COMMAND, input="n\n")
    assert refused.exit_code == 1
    assert f"cc-fraud in LIVE (batch): from {new} back to {old}." in refused.output
    assert in_use(registry) == new

    done = airlock("olga", *COMMAND, "--yes")
    assert done.exit_code == 0, done.output
    assert f"{old} is in use in LIVE (batch)." in done.output
    assert in_use(registry) == old


def test_given_again_after_it_was_interrupted_it_finishes(
    two_versions: list[str], airlock: AsPerson, registry: Registry
) -> None:
    left, target = registry.history.versions("cc-fraud", "LIVE", "batch")
    registry.rollbacks.begin(left, target, requested_by="olga", reason="It blocks everybody.")

    assert airlock("olga", *COMMAND, "--yes").exit_code == 0

    [done] = registry.rollbacks.list("cc-fraud")
    assert done.ended_at is not None
    assert in_use(registry) == two_versions[0]


def test_given_again_after_it_was_done_it_goes_no_further(
    two_versions: list[str], story: Story, airlock: AsPerson, registry: Registry
) -> None:
    """Whoever got no answer repeats it."""
    oldest, old = two_versions
    passage = story.begin(story.promote(story.snapshot(code="version = 3")["name"]))
    put_into_use(registry, passage.id, passage.snapshot_digest, "batch")

    for _ in range(2):
        done = airlock("olga", *COMMAND, "--yes")
        assert done.exit_code == 0, done.output
        assert f"{old} is in use in LIVE (batch)." in done.output
    assert len(registry.rollbacks.list("cc-fraud")) == 1

    further = airlock("olga", *COMMAND[:-1], "That one is bad, too.", "--yes")
    assert f"{oldest} is in use in LIVE (batch)." in further.output
    assert in_use(registry) == oldest


def test_a_server_that_takes_long_is_waited_for_and_then_said_to_be_at_work(
    two_versions: list[str], airlock: AsPerson, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SECONDS_TO_GET_READY + stream_traffic.PATIENCE.total_seconds() < rollbacks.SECONDS_TO_GO_BACK
    go_on, make_current = threading.Event(), Rollbacks.make_current

    def be_slow(*arguments: Any) -> None:
        go_on.wait(10)
        make_current(*arguments)

    monkeypatch.setattr(Rollbacks, "make_current", be_slow)
    monkeypatch.setattr(rollbacks, "SECONDS_TO_GO_BACK", 0.3)

    given_up = airlock("olga", *COMMAND, "--yes")
    assert given_up.exit_code == 3
    assert "has not answered in time, and may be at work yet. Give the same command again" in given_up.output
    go_on.set()

    monkeypatch.setattr(rollbacks, "SECONDS_TO_GO_BACK", 30)
    done = airlock("olga", *COMMAND, "--yes")
    assert done.exit_code == 0, done.output
    assert len(registry.rollbacks.list("cc-fraud")) == 1
    assert in_use(registry) == two_versions[0]


@pytest.mark.parametrize("to", [None, "the earlier one"])
def test_what_one_mode_goes_back_to_is_not_left_in_the_other(
    two_versions: list[str], airlock: AsPerson, registry: Registry, to: str | None
) -> None:
    """The bad version is scored with and does not answer yet, or not any more."""
    old, new = two_versions
    earlier = registry.history.versions("cc-fraud", "LIVE", "batch")[1]
    put_into_use(registry, str(earlier.passage_id), earlier.snapshot_digest, "online")

    done = airlock("olga", *COMMAND, "--yes", *(["--to", old] if to else []))

    assert done.exit_code == 0, done.output
    [rollback] = registry.rollbacks.list("cc-fraud")
    assert (rollback.mode, rollback.from_name, rollback.to_name) == ("batch", new, old)
    assert in_use(registry) == old


def test_while_a_rollout_is_under_way_it_ends_that_and_nothing_else(
    two_versions: list[str], story: Story, airlock: AsPerson, registry: Registry
) -> None:
    rollout = begin_a_rollout(story, registry)

    for _ in range(2):  # whoever got no answer repeats it
        done = airlock("olga", *COMMAND, "--yes")

        assert done.exit_code == 0, done.output
        assert registry.rollouts.get(rollout.id).outcome == "rolled_back"
    assert in_use(registry) == two_versions[1], "the batches' version stays"
    assert registry.rollbacks.list("cc-fraud") == []
