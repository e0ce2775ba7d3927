"""Back to an earlier version, by people: what can be gone back to, and that it happens once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airlock.exceptions import Conflict, NotFound
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.rollback import choose, end_rollout, find_way_back, finish, roll_back
from airlock.registry.records import RollbackRecord
from airlock.spec import BlueGreen, Canary, ErrorRateGuard
from tests.orchestration.rollout_scene import Scene, scene

MINUTES = timedelta(minutes=1)


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Version 2 has taken over from version 1, which stays for its drain."""
    with scene(BlueGreen(drain=10 * MINUTES), tmp_path, monkeypatch) as found:
        found.try_task()
        found.try_task("activate")
        yield found


def go_back(scene: Scene) -> RollbackRecord:
    way = find_way_back(scene.registry, "cc-fraud", "PROD", "online")
    return roll_back(
        load_settings(), scene.registry, way, choose(way, None), by="olga", reason="it blocks everybody"
    )


def test_requests_go_back_and_the_bad_version_is_taken_away(replaced: Scene) -> None:
    assert replaced.shares == {"new": 100}

    done = go_back(replaced)

    assert (done.from_name, done.to_name, done.requested_by) == ("fraud@2", "fraud@1", "olga")
    assert done.ended_at is not None
    assert replaced.shares == {"current": 100}
    in_use = replaced.registry.history.current("cc-fraud", "PROD", "online")
    assert in_use is not None
    assert in_use.snapshot_name == "fraud@1"
    assert replaced.state(replaced.new_deployment) == "retired"
    assert replaced.on_runtime.deployments == [replaced.current_deployment.id]
    events = [entry.event for entry in replaced.registry.ledger.entries() if "rollback" in entry.event]
    assert events == ["rollback.began", "rollback.ended"]
    replaced.pass_time(minutes=10)
    assert replaced.try_task("retire") is None
    assert replaced.state(replaced.current_deployment) == "ready", "it is in use again"


def test_what_was_left_is_bad_and_nobody_goes_back_to_it(replaced: Scene) -> None:
    go_back(replaced)
    way = find_way_back(replaced.registry, "cc-fraud", "PROD", "online")
    assert way.targets == []
    with pytest.raises(Conflict, match="no earlier version of cc-fraud in PROD that is not marked bad"):
        choose(way, None)
    with pytest.raises(Conflict, match="fraud@2 is no version that cc-fraud in PROD can go back to"):
        choose(way, "fraud@2")


def test_a_task_that_is_cleared_does_not_bring_the_bad_version_back(replaced: Scene) -> None:
    go_back(replaced)
    assert replaced.try_task("activate") == "skipped"
    assert replaced.shares == {"current": 100}


class Killed(BaseException):
    """The API server was killed at this line."""


@pytest.mark.parametrize("line", ["make_current", "direct_all", "undeploy", "end"])
def test_a_rollback_that_was_killed_goes_on_where_it_was(
    replaced: Scene, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    def killed(*_: object, **__: object) -> Any:
        raise Killed

    registry = replaced.registry
    with monkeypatch.context() as patch:
        if line == "make_current":
            patch.setattr(registry.history, line, killed)
        elif line == "end":
            patch.setattr(registry.rollbacks, line, killed)
        else:
            patch.setattr(f"airlock.orchestration.rollback.{line}", killed)
        with pytest.raises(Killed):
            go_back(replaced)

    [begun] = registry.rollbacks.list("cc-fraud")
    assert begun.ended_at is None
    done = finish(load_settings(), registry, begun)

    assert done.ended_at is not None
    assert finish(load_settings(), registry, done) == done
    assert replaced.shares == {"current": 100}
    assert replaced.state(replaced.new_deployment) == "retired"
    assert len(registry.history.versions("cc-fraud", "PROD", "online")) == 3


def test_two_people_go_back_once(replaced: Scene) -> None:
    way = find_way_back(replaced.registry, "cc-fraud", "PROD", "online")
    go_back(replaced)
    again = roll_back(load_settings(), replaced.registry, way, way.targets[0], by="omar", reason="me too")
    assert again.requested_by == "olga"
    assert len(replaced.registry.rollbacks.list("cc-fraud")) == 1


def test_a_rollout_is_ended_and_the_version_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = Canary([5, 100], 10 * MINUTES, guard=[ErrorRateGuard()])
    with scene(canary, tmp_path, monkeypatch) as found:
        found.try_task()
        assert found.shares == {"new": 5, "current": 95}
        way = find_way_back(found.registry, "cc-fraud", "PROD", "online")
        assert way.rollout is not None

        end_rollout(found.registry, way.rollout, by="olga", reason="customers call")

        assert found.shares == {"current": 100}, "at once, without the scheduler"
        assert found.try_task() == "skipped"
        passage = found.registry.passages.get(found.passage.id)
        assert passage.outcome == "rolled_back"
        assert "olga: customers call" in (passage.reason or "")
        assert found.state(found.new_deployment) == "retired"


def test_nothing_in_use_is_said(replaced: Scene) -> None:
    with pytest.raises(NotFound, match=r"No version of cc-fraud is in use in UAT \(online\)"):
        find_way_back(replaced.registry, "cc-fraud", "UAT", "online")
