"""``airlock rollback``: what it says first, what it does, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import Result

from airlock.registry import Registry
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

    done = airlock("olga", *COMMAND, "--yes")

    assert done.exit_code == 0, done.output
    assert registry.rollouts.get(rollout.id).outcome == "rolled_back"
    assert in_use(registry) == two_versions[1], "the batches' version stays"
    assert registry.rollbacks.list("cc-fraud") == []
