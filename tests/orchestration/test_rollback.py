"""Back to an earlier version, by people: what can be gone back to, and that it happens once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airlock.exceptions import AdapterError, Conflict, DeploymentFailed, NotFound
from airlock.orchestration import outcomes, rollout
from airlock.orchestration.configuration import Settings, load_settings
from airlock.orchestration.passage_task import record_failure
from airlock.orchestration.rollback import choose, end_rollout, find_way_back, finish, roll_back
from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord, RollbackRecord
from airlock.runtimes.base import Handle, Status
from airlock.spec import BlueGreen, Canary, ErrorRateGuard
from tests.orchestration.rollout_scene import Scene, scene
from tests.registry.building import acquire, add_snapshot

MINUTES = timedelta(minutes=1)


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Version 2 has taken over from version 1, which stays for its drain."""
    with scene(BlueGreen(drain=10 * MINUTES), tmp_path, monkeypatch) as found:
        found.try_task()
        found.try_task("activate")
        yield found


def go_back(scene: Scene, to: str | None = None) -> RollbackRecord:
    way = find_way_back(scene.registry, "cc-fraud", "PROD", "online")
    return roll_back(
        load_settings(), scene.registry, way, choose(way, to), by="olga", reason="it blocks everybody"
    )


def in_use(scene: Scene) -> str:
    version = scene.registry.history.current("cc-fraud", "PROD", "online")
    assert version is not None
    return version.snapshot_name


def add_version(scene: Scene, content: object) -> DeploymentRecord:
    """One more version, which stands in PROD and gets no requests."""
    digest = add_snapshot(scene.registry, content=content).digest
    return add_deployment(scene, digest, key=digest)


def add_deployment(scene: Scene, digest: str, *, key: str, ready: bool = True) -> DeploymentRecord:
    deployments = scene.registry.deployments
    identity: dict[str, Any] = {"key": key, "stage": "PROD", "mode": "online", "attempt": 1}
    deployment_id = deployments.identify(**identity)
    deployments.declare(
        **identity,
        passage_id=scene.current_deployment.passage_id,
        service="cc-fraud",
        snapshot_digest=digest,
        runtime=acquire(scene.registry, deployment_id, stage="PROD").name,
        purpose="passage",
    )
    scene.on_runtime.deployments.append(deployment_id)
    deployment = deployments.set_state(deployment_id, "deploying", handle={"name": deployment_id})
    if not ready:
        return deployment
    return deployments.set_state(deployment_id, "ready", endpoints=scene.current.endpoints)


def put_into_use(scene: Scene, deployment: DeploymentRecord) -> None:
    scene.pass_time(seconds=1)
    scene.registry.history.make_current(
        passage_id=deployment.passage_id,
        deployment_id=deployment.id,
        service="cc-fraud",
        stage="PROD",
        mode="online",
        snapshot_digest=deployment.snapshot_digest,
    )
    scene.pass_time(seconds=1)


def add_an_older_version(scene: Scene) -> DeploymentRecord:
    """Version 3 was in use before version 1, and still stands."""
    older = add_version(scene, "older")
    put_into_use(scene, older)
    put_into_use(scene, scene.current_deployment)
    return older


def test_requests_go_back_and_the_bad_version_is_taken_away(replaced: Scene) -> None:
    assert replaced.shares == {"new": 100}

    done = go_back(replaced)

    assert (done.from_name, done.to_name, done.requested_by) == ("fraud@2", "fraud@1", "olga")
    assert done.ended_at is not None
    assert replaced.shares == {"current": 100}
    assert in_use(replaced) == "fraud@1"
    assert replaced.state(replaced.new_deployment) == "retired"
    assert replaced.on_runtime.deployments == [replaced.current_deployment.id]
    events = [entry.event for entry in replaced.registry.ledger.entries() if "rollback" in entry.event]
    assert events == ["rollback.began", "rollback.ended"]
    replaced.pass_time(minutes=10)
    assert replaced.try_task("retire") is None
    assert replaced.state(replaced.current_deployment) == "ready", "it is in use again"


@pytest.mark.parametrize("is_older_known", [False, True], ids=["the second version", "the third version"])
def test_all_traffic_is_on_the_new_version_and_no_task_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_older_known: bool
) -> None:
    """The scheduler is down right after the rollout: the version to leave is the one that answers."""
    with scene(BlueGreen(drain=10 * MINUTES), tmp_path, monkeypatch) as found:
        if is_older_known:
            add_an_older_version(found)
        assert found.try_task() == {"outcome": "completed", "compared": True}
        assert found.shares == {"new": 100}

        done = go_back(found)

        assert (done.from_name, done.to_name) == ("fraud@2", "fraud@1")
        assert found.shares == {"current": 100}
        assert found.state(found.new_deployment) == "retired"

        for task in ("rollout", "activate"):  # the scheduler is back
            assert found.try_task(task) == "skipped"
        found.pass_time(minutes=10)
        assert found.try_task("retire") is None
        assert found.registry.passages.get(found.passage.id).outcome == "rolled_back"
        assert in_use(found) == "fraud@1"
        assert found.shares == {"current": 100}
        assert found.state(found.current_deployment) == "ready"


def test_a_passage_that_ends_after_its_rollout_leaves_a_version_that_is_known_to_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(BlueGreen(drain=10 * MINUTES), tmp_path, monkeypatch) as found:
        found.try_task()
        found.registry.passages.finish(found.passage.id, "superseded", "a newer one came")

        assert found.try_task("activate") == "skipped"
        assert (in_use(found), found.shares) == ("fraud@2", {"new": 100})


def test_a_task_that_has_looked_before_does_not_put_the_bad_version_into_use(
    replaced: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People go back between the last look of ``activate`` and what it does then."""
    end_if_left = outcomes.end_if_left

    def look_and_be_slow(*arguments: Any) -> None:
        end_if_left(*arguments)
        go_back(replaced)

    monkeypatch.setattr(outcomes, "end_if_left", look_and_be_slow)

    with pytest.raises(AirflowException, match="olga has gone back from this version of cc-fraud in PROD"):
        replaced.try_task("activate")
    assert (in_use(replaced), replaced.shares) == ("fraud@1", {"current": 100})


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
        if line in ("make_current", "end"):
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


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Version 2 has taken over from version 1, whose drain is over, and version 3 was in use before that."""
    with scene(BlueGreen(drain=10 * MINUTES), tmp_path, monkeypatch) as found:
        add_an_older_version(found)
        found.try_task()
        with monkeypatch.context() as patch:  # the older one stays, so that people can go back to it
            patch.setattr(outcomes, "undeploy", lambda *_: None)
            found.try_task("activate")
        found.pass_time(minutes=11)
        found.try_task("retire")
        yield found


def go_back_in_vain(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> RollbackRecord:
    """The version before does not get ready, and holds a slot."""

    def bring_up(settings: Settings, registry: Registry, begun: RollbackRecord) -> DeploymentRecord:
        deployment = add_deployment(scene, begun.to_digest, key=begun.id, ready=False)
        raise DeploymentFailed(f"{deployment.id} is not ready yet.")

    with monkeypatch.context() as patch:
        patch.setattr("airlock.orchestration.rollback._bring_up", bring_up)
        with pytest.raises(DeploymentFailed):
            go_back(scene)
    begun = scene.registry.rollbacks.under_way("cc-fraud", "PROD", "online")
    assert begun is not None
    assert (begun.to_name, in_use(scene), scene.shares) == ("fraud@1", "fraud@2", {"new": 100})
    return begun


def test_people_who_cannot_go_back_to_one_version_go_back_to_another(
    three: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_vain = go_back_in_vain(three, monkeypatch)
    assert len(three.on_runtime.deployments) == 3, "the older one, the bad one, and what does not get ready"

    done = go_back(three, to="fraud@3")

    assert (done.from_name, done.to_name, done.outcome) == ("fraud@2", "fraud@3", "done")
    assert in_use(three) == "fraud@3"
    assert len(three.on_runtime.deployments) == 1
    assert three.registry.rollbacks.get(in_vain.id).outcome == "replaced"
    with pytest.raises(Conflict, match=r"not going back to fraud@1 .* asked for another version since"):
        finish(load_settings(), three.registry, in_vain)
    assert in_use(three) == "fraud@3"


def test_who_is_still_bringing_a_version_up_does_not_undo_what_was_asked_for_since(
    three: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server works on in the request of before."""

    def bring_up(settings: Settings, registry: Registry, begun: RollbackRecord) -> DeploymentRecord:
        deployment = add_deployment(three, begun.to_digest, key=begun.id)
        go_back(three, to="fraud@3")
        return deployment

    monkeypatch.setattr("airlock.orchestration.rollback._bring_up", bring_up)
    with pytest.raises(Conflict, match="not going back to fraud@1 in PROD any more"):
        go_back(three)
    assert in_use(three) == "fraud@3"


def test_people_who_were_interrupted_may_go_back_to_another_version(
    three: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 came into use and got no requests: it has broken since."""

    def killed(*_: object, **__: object) -> Any:
        raise Killed

    again = add_deployment(three, three.current_deployment.snapshot_digest, key="again")
    with monkeypatch.context() as patch:
        patch.setattr("airlock.orchestration.rollback.direct_all", killed)
        with pytest.raises(Killed):
            go_back(three)
    assert (in_use(three), three.shares) == ("fraud@1", {"new": 100})

    go_back(three, to="fraud@3")

    assert in_use(three) == "fraud@3"
    assert three.state(three.new_deployment) == three.state(again) == "retired"


def test_a_version_that_comes_into_use_otherwise_overtakes_a_rollback(
    three: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People have mended it by a new version. What they began before is not carried out against that one."""
    in_vain = go_back_in_vain(three, monkeypatch)
    newer = add_version(three, "newer")
    put_into_use(three, newer)

    assert three.registry.rollbacks.get(in_vain.id).outcome == "overtaken"
    with pytest.raises(Conflict, match=r"not going back to fraud@1 .* has come into use since"):
        finish(load_settings(), three.registry, in_vain)
    assert (in_use(three), three.state(newer)) == (newer.snapshot_name, "ready")

    way = find_way_back(three.registry, "cc-fraud", "PROD", "online")
    assert (way.in_use.deployment_id, way.under_way) == (newer.id, None)
    assert [version.snapshot_name for version in way.targets] == ["fraud@1", "fraud@3"], "fraud@2 is bad"
    go_back(three, to="fraud@3")
    assert in_use(three) == "fraud@3"
    events = [entry.event for entry in three.registry.ledger.entries() if "rollback" in entry.event]
    assert events == ["rollback.began", "rollback.overtaken", "rollback.began", "rollback.ended"]


def test_two_people_go_back_once(replaced: Scene) -> None:
    way = find_way_back(replaced.registry, "cc-fraud", "PROD", "online")
    go_back(replaced)
    again = roll_back(load_settings(), replaced.registry, way, way.targets[0], by="omar", reason="me too")
    assert again.requested_by == "olga"
    assert len(replaced.registry.rollbacks.list("cc-fraud")) == 1


def test_a_rollout_whose_end_was_killed_before_requests_went_back_is_still_to_be_ended(
    canary: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("airlock.orchestration.rollback.return_traffic", killed)
        with pytest.raises(Killed):
            end_the_rollout(canary)
    assert (canary.rollout.outcome, canary.shares) == ("rolled_back", {"new": 5, "current": 95})

    end_the_rollout(canary)
    way = find_way_back(canary.registry, "cc-fraud", "PROD", "online")
    assert (way.rollout, way.ended) == (None, canary.rollout)


def test_a_rollout_that_was_completed_meanwhile_is_not_said_to_be_ended(canary: Scene) -> None:
    way = find_way_back(canary.registry, "cc-fraud", "PROD", "online")
    assert way.rollout is not None
    canary.bake()
    assert canary.try_task() == {"outcome": "completed", "compared": True}

    with pytest.raises(Conflict, match="fraud@2 has come into use in PROD meanwhile"):
        end_rollout(canary.registry, way.rollout, by="olga", reason="customers call")
    assert go_back(canary).to_name == "fraud@1"


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


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Version 2 has 5 % of the requests beside version 1, and version 3 was in use before that."""
    strategy = Canary([5, 100], 10 * MINUTES, guard=[ErrorRateGuard()])
    with scene(strategy, tmp_path, monkeypatch) as found:
        add_an_older_version(found)
        found.try_task()
        yield found


def test_a_rollout_whose_task_failed_is_not_what_people_go_back_from(canary: Scene) -> None:
    """It has given its requests back; who goes back wants to leave version 1, which is in use."""
    _, older = canary.registry.history.versions("cc-fraud", "PROD", "online")[:2]
    record_failure(canary.context, "the worker was killed")
    assert canary.rollout.outcome is None, "it goes on where it was, if the task is cleared"

    done = go_back(canary)

    assert (done.from_name, done.to_name) == ("fraud@1", older.snapshot_name)
    assert shares(canary) == {older.deployment_id: 100}
    assert canary.try_task() == "skipped", "what it was compared with is gone"
    assert canary.registry.passages.get(canary.passage.id).outcome == "rolled_back"
    assert shares(canary) == {older.deployment_id: 100}


def test_a_rollout_whose_task_failed_is_ended_where_it_has_requests_yet(
    canary: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_reach(*_: object) -> None:
        raise AdapterError("The cluster does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr("airlock.orchestration.passage_task.return_traffic", out_of_reach)
        record_failure(canary.context, "the worker was killed")
    assert canary.shares == {"new": 5, "current": 95}

    end_the_rollout(canary)


def end_the_rollout(scene: Scene) -> None:
    way = find_way_back(scene.registry, "cc-fraud", "PROD", "online")
    assert way.rollout is not None
    end_rollout(scene.registry, way.rollout, by="olga", reason="customers call")
    assert scene.shares == {"current": 100}


@pytest.mark.parametrize("line", ["_send", "direct"])
def test_a_task_that_has_read_the_rollout_before_it_was_ended_sends_no_more(
    canary: Scene, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    canary.bake()
    assert canary.wakes(), "the last step is next"
    act = getattr(rollout, line)

    def be_slow(*arguments: Any, **options: Any) -> None:
        if canary.rollout.outcome is None:
            end_the_rollout(canary)
        act(*arguments, **options)

    monkeypatch.setattr(rollout, line, be_slow)
    canary.pass_time(minutes=-5)

    assert canary.try_task() == "skipped"
    directed = canary.registry.traffic.history("cc-fraud", "PROD")
    assert canary.shares == {"current": 100}
    assert len(directed) == 3, "first, the step, back; and then no more"


def test_a_task_that_is_slow_to_direct_requests_to_what_people_have_left_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``activate`` sends to what is in use once more; people go back before it comes to that."""
    with scene(BlueGreen(drain=10 * MINUTES), tmp_path, monkeypatch) as found:
        found.try_task()
        direct_all = outcomes.direct_all

        def be_slow(*arguments: Any) -> None:
            back = find_way_back(found.registry, "cc-fraud", "PROD", "online")
            with monkeypatch.context() as patch:
                patch.setattr("airlock.orchestration.rollback.undeploy", lambda *_: None)
                roll_back(load_settings(), found.registry, back, back.targets[0], by="olga", reason="bad")
            direct_all(*arguments)

        monkeypatch.setattr(outcomes, "direct_all", be_slow)

        with pytest.raises(AirflowException, match="fraud@1 is the version in use there, and no rollout"):
            found.try_task("activate")
        assert found.shares == {"current": 100}


def test_a_rollout_ends_where_another_version_comes_into_use(canary: Scene) -> None:
    """What it compares with is not in use any more, and requests must not go back there."""
    other = add_version(canary, "other")
    put_into_use(canary, other)

    assert (canary.rollout.outcome, canary.try_task()) == ("stopped", "skipped")
    traffic = canary.registry.traffic.current("cc-fraud", "PROD")
    assert traffic is not None
    assert traffic.shares == {other.id: 100}


@pytest.fixture
def brought_up(replaced: Scene, monkeypatch: pytest.MonkeyPatch) -> list[DeploymentRecord]:
    """Deployments of the earlier version that were brought up anew."""
    found: list[DeploymentRecord] = []

    def bring_up(settings: Settings, registry: Registry, begun: RollbackRecord) -> DeploymentRecord:
        found.append(add_deployment(replaced, begun.to_digest, key=begun.id))
        return found[-1]

    monkeypatch.setattr("airlock.orchestration.rollback._bring_up", bring_up)
    return found


def shares(scene: Scene) -> dict[str, int]:
    traffic = scene.registry.traffic.current("cc-fraud", "PROD")
    assert traffic is not None
    return dict(traffic.shares)


def test_a_version_that_broke_down_during_its_drain_is_brought_up_anew(
    replaced: Scene, brought_up: list[DeploymentRecord]
) -> None:
    replaced.on_runtime.deployments.remove(replaced.current_deployment.id)

    go_back(replaced)

    [anew] = brought_up
    assert shares(replaced) == {anew.id: 100}
    old = replaced.registry.deployments.get(replaced.current_deployment.id)
    assert (old.state, old.reason) == ("failed", "It is not there.")
    assert replaced.on_runtime.deployments == [anew.id]
    held = replaced.registry.leases.held()
    assert [lease.deployment_id for lease in held] == [anew.id], "its slot is free"


def test_a_version_of_which_nobody_can_tell_whether_it_answers_is_brought_up_elsewhere(
    replaced: Scene, brought_up: list[DeploymentRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(handle: Handle) -> Status:
        raise AdapterError("The engine does not answer.")

    monkeypatch.setattr(replaced.on_runtime, "status", status)
    go_back(replaced)

    assert shares(replaced) == {brought_up[0].id: 100}
    assert replaced.state(replaced.current_deployment) == "ready", "it may be, and is ended later"


def test_a_version_that_cannot_be_brought_up_gets_no_requests(
    replaced: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced.on_runtime.deployments.remove(replaced.current_deployment.id)

    def bring_up(*_: object) -> DeploymentRecord:
        raise DeploymentFailed("It does not get ready.")

    monkeypatch.setattr("airlock.orchestration.rollback._bring_up", bring_up)
    with pytest.raises(DeploymentFailed):
        go_back(replaced)
    assert (in_use(replaced), replaced.shares) == ("fraud@2", {"new": 100})


def test_asked_again_after_the_earlier_version_has_broken_down_it_is_brought_up_anew(
    replaced: Scene, brought_up: list[DeploymentRecord]
) -> None:
    done = go_back(replaced)
    assert finish(load_settings(), replaced.registry, done) == done
    assert brought_up == []

    replaced.on_runtime.deployments.remove(replaced.current_deployment.id)
    assert finish(load_settings(), replaced.registry, done) == done

    [anew] = brought_up
    assert shares(replaced) == {anew.id: 100}
    version = replaced.registry.history.current("cc-fraud", "PROD", "online")
    assert version is not None
    assert version.deployment_id == anew.id


def test_nothing_in_use_is_said(replaced: Scene) -> None:
    with pytest.raises(NotFound, match=r"No version of cc-fraud is in use in UAT \(online\)"):
        find_way_back(replaced.registry, "cc-fraud", "UAT", "online")
