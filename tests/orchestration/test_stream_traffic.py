"""Workers of a stream follow where traffic is directed, whatever is killed in between."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airlock.exceptions import DeploymentFailed
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.placement import undeploy
from airlock.orchestration.rollback import choose, find_way_back, roll_back
from airlock.orchestration.traffic import direct_all
from airlock.spec import BlueGreen, Canary, ErrorRateGuard
from tests.orchestration.rollout_scene import Scene
from tests.orchestration.stream_scene import CLIENT, StreamRuntime, Worker, stream_scene

MINUTES = timedelta(minutes=1)
CANARY = Canary([5, 50, 100], 10 * MINUTES, extend=1, guard=[ErrorRateGuard()])

Found = tuple[Scene, StreamRuntime]


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    with stream_scene(CANARY, tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    """Version 2 has taken over from version 1, which stays for its drain."""
    with stream_scene(BlueGreen(drain=10 * MINUTES), tmp_path, monkeypatch) as (scene, runtime):
        scene.try_task()
        scene.try_task("activate")
        yield scene, runtime


def new_of(scene: Scene) -> Worker:
    assert isinstance(scene.new, Worker)
    return scene.new


def direct_back(scene: Scene) -> None:
    """Version 1 is in use again."""
    old = scene.current_deployment
    scene.registry.history.make_current(
        passage_id=old.passage_id,
        deployment_id=old.id,
        service="cc-fraud",
        stage="PROD",
        mode="online",
        snapshot_digest=old.snapshot_digest,
    )
    direct_all(scene.registry, old, "back")


def readers(runtime: StreamRuntime) -> dict[str, str]:
    """Who reads what, of those that are there."""
    return {
        name: worker.reads
        for deployment, (name, worker) in runtime.workers.items()
        if deployment in runtime.deployments
    }


def test_a_canary_goes_all_the_way(canary: Found) -> None:
    scene, runtime = canary
    assert scene.try_task() == "deferred"
    assert runtime.told == ["new: share", "current: input 5"]
    runtime.told.clear()

    scene.bake()
    assert scene.try_task() == "deferred"
    assert runtime.told == ["current: input 50"]
    runtime.told.clear()

    scene.bake()
    assert scene.try_task() == {"outcome": "completed", "compared": True}
    assert runtime.told == ["current: nothing", "new: input"]
    runtime.told.clear()

    scene.try_task("activate")
    assert runtime.told == [], "nothing changes"
    scene.pass_time(minutes=1)
    assert scene.try_task("retire") is None
    assert readers(runtime) == {"new": "input"}


def test_the_evidence_is_about_records(canary: Found) -> None:
    scene, _ = canary
    scene.try_task()
    scene.bake(requests=1000, errors=2)
    scene.try_task()

    [step] = scene.registry.rollouts.steps(scene.rollout.id)
    assert (step.evidence["new"]["of"], step.evidence["new"]["requests"]) == ("records", 1000)
    assert step.evidence["new"]["errors"] == 2


def test_a_failing_guard_leaves_what_was_passed_on_to_the_current_version(canary: Found) -> None:
    scene, runtime = canary
    scene.try_task()
    runtime.told.clear()
    scene.bake(requests=50, errors=50, seconds=4)

    assert scene.try_task() == "skipped"

    assert runtime.told == ["new: nothing", "current: share", "current: input"]
    assert readers(runtime) == {"current": "input"}
    assert "50 of 50 records failed" in (scene.rollout.reason or "")


def test_nobody_waits_for_a_version_that_is_gone(canary: Found) -> None:
    scene, runtime = canary
    scene.try_task()
    runtime.told.clear()
    scene.new.is_up = False
    runtime.fail(scene.new_deployment.id)

    assert scene.try_task() == "skipped"

    assert runtime.told == ["current: share", "current: input"]
    assert readers(runtime) == {"current": "input"}
    assert scene.state(scene.new_deployment) == "retired"


def test_a_version_that_hangs_is_taken_off_its_runtime_and_the_other_goes_on(canary: Found) -> None:
    scene, runtime = canary
    scene.try_task()
    new_of(scene).obeys = False
    scene.bake(requests=50, errors=50, seconds=4)

    assert scene.try_task() == "skipped"

    assert readers(runtime) == {"current": "input"}
    assert scene.state(scene.new_deployment) == "retired"


class Killed(BaseException):
    """The worker of Airflow was killed at this line."""


@pytest.mark.parametrize("change", range(3))
@pytest.mark.parametrize("fails", [True, False])
def test_killed_at_any_change_the_next_try_does_what_is_missing(
    canary: Found, fails: bool, change: int
) -> None:
    scene, runtime = canary
    changes = 0

    def kill() -> None:
        nonlocal changes
        changes += 1
        if changes == change + 1:
            raise Killed

    scene.try_task()
    scene.bake()
    scene.try_task()
    assert readers(runtime) == {"new": "share", "current": "input"}
    scene.bake(errors=500 if fails else 0)
    runtime.before = kill
    for _ in range(2):
        with suppress(Killed):
            scene.try_task()

    if fails:
        assert readers(runtime) == {"current": "input"}
        assert scene.state(scene.new_deployment) == "retired"
    else:
        assert readers(runtime) == {"current": "nothing", "new": "input"}
        assert scene.rollout.outcome == "completed"


def test_one_that_was_killed_after_the_record_is_found_by_the_way_back(canary: Found) -> None:
    """The registry says where traffic goes, and no worker has followed."""
    scene, runtime = canary
    scene.try_task()
    scene.bake(requests=50, errors=50, seconds=4)
    scene.registry.rollouts.end(scene.rollout.id, "rolled_back", "a guard failed")
    scene.registry.traffic.direct(
        "cc-fraud", "PROD", {scene.current_deployment.id: 100}, actor="airlock", reason="a guard failed"
    )

    assert scene.try_task() == "skipped"
    assert runtime.told[-3:] == ["new: nothing", "current: share", "current: input"]


def test_a_topic_that_is_not_there_is_named(canary: Found, caplog: pytest.LogCaptureFixture) -> None:
    scene, _ = canary
    new_of(scene).takes_its_file = False

    with pytest.raises(AirflowException, match=r"refuses to read what is passed on\.(.|\n)*is not there"):
        scene.try_task()


def test_a_worker_that_does_not_follow_is_named(replaced: Found) -> None:
    scene, runtime = replaced
    new_of(scene).obeys = False

    with pytest.raises(
        DeploymentFailed, match=r"fraud@2 \(dep-.*\) was told .* to read nothing, and does not"
    ):
        direct_back(scene)
    assert readers(runtime) == {"current": "nothing", "new": "input"}


def test_a_reader_that_is_gone_is_named(replaced: Found) -> None:
    scene, runtime = replaced
    scene.current.is_up = False
    runtime.fail(scene.current_deployment.id)

    with pytest.raises(DeploymentFailed, match=r"fraud@1 .* is to read transactions .* but it is gone"):
        direct_back(scene)
    assert readers(runtime) == {"new": "input"}, "until somebody else does"


def test_a_reader_that_says_nothing_is_named(replaced: Found) -> None:
    scene, runtime = replaced
    scene.current.is_up = False

    with pytest.raises(DeploymentFailed, match=r"fraud@1 .* is to read transactions .* does not say what"):
        direct_back(scene)
    assert readers(runtime)["new"] == "input"


def test_people_go_back_to_the_version_that_drains(replaced: Found) -> None:
    scene, runtime = replaced
    runtime.told.clear()
    way = find_way_back(scene.registry, "cc-fraud", "PROD", "online")

    roll_back(load_settings(), scene.registry, way, choose(way, None), by="olga", reason="it is wrong")

    assert runtime.told[:2] == ["new: nothing", "current: input"]
    assert readers(runtime) == {"current": "input"}


def test_people_go_back_from_a_version_that_hangs(replaced: Found) -> None:
    scene, runtime = replaced
    new_of(scene).obeys = False
    way = find_way_back(scene.registry, "cc-fraud", "PROD", "online")

    roll_back(load_settings(), scene.registry, way, choose(way, None), by="olga", reason="it hangs")

    assert readers(runtime) == {"current": "input"}


def test_what_ends_stops_reading_first_even_if_nobody_takes_its_place(
    replaced: Found, caplog: pytest.LogCaptureFixture
) -> None:
    scene, runtime = replaced
    runtime.told.clear()
    with caplog.at_level(logging.INFO):
        undeploy(load_settings(), scene.registry, scene.new_deployment, "no longer needed")

    assert runtime.told == ["new: nothing"]
    assert readers(runtime) == {"current": "nothing"}


def test_credentials_are_in_no_log(canary: Found, caplog: pytest.LogCaptureFixture) -> None:
    scene, _ = canary
    with caplog.at_level(logging.DEBUG):
        scene.try_task()
    assert CLIENT["sasl.password"] not in caplog.text


def test_a_service_without_topics_has_no_workers(canary: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its deployments of before stay as they are until they are undeployed."""
    scene, runtime = canary
    service: Any = scene.registry.catalog.service("cc-fraud").model_copy(update={"kafka": None})
    monkeypatch.setattr(scene.registry.catalog, "service", lambda name: service)

    direct_all(scene.registry, scene.current_deployment, "first")

    assert runtime.told == []
