"""Traffic moves to a new version, or goes back: the task, tried again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from airlock import build_dag
from airlock.orchestration.judge import give_decision
from airlock.orchestration.passage_task import record_failure
from airlock.registry.records import Verdict
from airlock.spec import BlueGreen, Canary, ErrorRateGuard, Lifecycle, Policy, Service, Shadow, Stage
from tests.orchestration.rollout_scene import Scene, scene

MINUTES = timedelta(minutes=1)
CANARY = Canary([5, 50, 100], 10 * MINUTES, extend=1, guard=[ErrorRateGuard()])


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene(CANARY, tmp_path, monkeypatch) as found:
        yield found


def decide(scene: Scene, user: str, verdict: Verdict) -> str:
    """Answer the rollout's question; the state of the decision."""
    return give_decision(
        scene.registry,
        passage_id=scene.passage.id,
        stage="PROD.rollout",
        user=user,
        verdict=verdict,
        comment="",
        channel="airlock",
    ).state


def test_a_stage_with_a_rollout_has_two_tasks_more(service: Service) -> None:
    stages = [Stage("DEV"), Stage("UAT", rollout=BlueGreen()), Stage("PROD", rollout=CANARY)]
    dag = build_dag(service, Lifecycle("two-stages", stages=stages))

    assert "DEV.rollout" not in dag.task_ids
    assert dag.get_task("PROD.rollout").upstream_task_ids == {"PROD.deploy"}
    assert dag.get_task("PROD.rollout").downstream_task_ids == {"PROD.activate", "PROD.retire"}
    assert dag.get_task("UAT.rollout").downstream_task_ids == {"UAT.gate", "UAT.retire"}
    assert dag.get_task("PROD.pick_runtime").upstream_task_ids == {"UAT.gate"}
    assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(
        build_dag(service, Lifecycle("two-stages", stages=stages))
    )


def test_a_canary_goes_all_the_way(canary: Scene) -> None:
    assert canary.try_task() == "deferred"
    assert canary.shares == {"new": 5, "current": 95}
    assert not canary.wakes()

    canary.bake()
    assert canary.wakes()
    assert canary.try_task() == "deferred"
    assert canary.shares == {"new": 50, "current": 50}

    canary.bake()
    assert canary.try_task() == {"outcome": "completed", "compared": True}
    assert canary.shares == {"new": 100}
    assert canary.moves == ["advance", "advance", "complete"]
    assert canary.state(canary.current_deployment) == "ready", "it stays for its drain"

    canary.try_task("activate")
    assert canary.registry.passages.get(canary.passage.id).outcome == "completed"
    assert canary.state(canary.current_deployment) == "ready"
    assert canary.try_task("retire") == "deferred"
    assert not canary.wakes()
    canary.pass_time(minutes=1)
    assert canary.wakes()
    assert canary.try_task("retire") is None
    assert canary.state(canary.current_deployment) == "retired"
    assert canary.shares == {"new": 100}


def test_the_evidence_of_a_step_has_both_versions_numbers(canary: Scene) -> None:
    canary.try_task()
    canary.bake(requests=1000, errors=2)
    canary.try_task()

    [step] = canary.registry.rollouts.steps(canary.rollout.id)
    assert step.evidence["step"] == "5 %"
    assert (step.evidence["new"]["requests"], step.evidence["new"]["errors"]) == (1000, 2)
    assert step.evidence["current"]["requests"] == 5000
    assert step.evidence["guards"][0]["guard"] == "error_rate"
    assert step.evidence["guards"][0]["findings"][0]["new"] == 0.002


def test_a_failing_guard_sends_everybody_back_before_the_bake_is_over(canary: Scene) -> None:
    canary.try_task()
    canary.bake(requests=50, errors=50, seconds=4)

    assert canary.wakes()
    assert canary.try_task() == "skipped"

    assert canary.shares == {"current": 100}
    assert canary.state(canary.new_deployment) == "retired"
    assert canary.on_runtime.deployments == [canary.current_deployment.id]
    passage = canary.registry.passages.get(canary.passage.id)
    assert passage.outcome == "rolled_back"
    assert "50 of 50 requests failed" in (passage.reason or "")
    assert canary.rollout.outcome == "rolled_back"
    assert canary.try_task() == "skipped", "said again, nothing changes"
    assert canary.try_task("retire") is None
    assert canary.state(canary.current_deployment) == "ready"
    assert canary.moves == ["roll_back"]


def test_a_version_that_is_gone_has_failed(canary: Scene) -> None:
    canary.try_task()
    canary.new.is_up = False
    assert not canary.wakes(), "not answering alone is not proof"
    canary.on_runtime.deployments.remove(canary.new_deployment.id)

    assert canary.wakes()
    assert canary.try_task() == "skipped"
    assert canary.shares == {"current": 100}
    assert "The new version is gone" in (canary.rollout.reason or "")


def test_a_version_that_is_gone_before_the_first_measure_has_failed(canary: Scene) -> None:
    canary.new.is_up = False
    canary.on_runtime.deployments.remove(canary.new_deployment.id)

    assert canary.try_task() == "skipped"
    assert canary.shares == {"current": 100}


def test_a_version_that_answers_nothing_goes_back_though_it_counts_no_failure(canary: Scene) -> None:
    canary.try_task()
    canary.bake(requests=0)
    canary.current.answer(1000)
    canary.registry.traffic.follow("gateway-1", 1, unanswered={canary.new_deployment.id: 500})

    assert canary.try_task() == "skipped"
    assert canary.shares == {"current": 100}
    assert "500 of 500 requests failed" in canary.rollout.reason


class Killed(BaseException):
    """The worker was killed at this line."""


def killed(*_: object, **__: object) -> Any:
    raise Killed


@pytest.mark.parametrize(
    "line",
    [
        "outcomes.return_traffic",
        "outcomes.undeploy",
        "rollout.end_passage",
        "traffic._wait_for_gateways",
        "rollout.look",
        "rollout.first_readings",
    ],
)
@pytest.mark.parametrize("fails", [True, False])
def test_killed_at_any_line_it_goes_on_where_it_was(
    canary: Scene, monkeypatch: pytest.MonkeyPatch, line: str, fails: bool
) -> None:
    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(f"airlock.orchestration.{line}", killed)
        canary.try_task()
    canary.try_task()
    canary.bake(errors=500 if fails else 0)
    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(f"airlock.orchestration.{line}", killed)
        canary.try_task()
    result = canary.try_task()

    if fails:
        assert result == "skipped"
        assert canary.shares == {"current": 100}
        assert canary.state(canary.new_deployment) == "retired"
        assert canary.moves == ["roll_back"]
    else:
        assert result == "deferred"
        assert canary.shares == {"new": 50, "current": 50}
        assert canary.moves == ["advance"]


def test_too_few_requests_prolong_the_step_and_then_ask_a_person(canary: Scene) -> None:
    canary.try_task()
    canary.bake(requests=10)
    assert canary.wakes()
    assert canary.try_task() == "deferred"
    assert canary.rollout.extended == 1
    canary.bake(requests=10)

    assert canary.try_task() == "parked"
    assert canary.shares == {"new": 5, "current": 95}
    [text] = canary.requests_shown
    assert "These people may let it go on: mia." in text, "rob requested the passage"
    [gate] = canary.registry.gates_open.open_for("cc-fraud")
    assert (gate.stage, gate.task_id) == ("PROD.rollout", "PROD.rollout")

    assert decide(canary, "rob", "approve") == "refused"
    assert decide(canary, "eve", "reject") == "refused"
    assert canary.try_task() == "parked"
    assert decide(canary, "mia", "approve") == "accepted"
    assert canary.try_task() == "deferred"
    assert canary.shares == {"new": 50, "current": 50}
    assert canary.registry.gates_open.open_for("cc-fraud") == []
    assert canary.moves == ["extend", "ask", "advance"]


def ask(canary: Scene) -> None:
    canary.try_task()
    for _ in range(2):
        canary.bake(requests=10)
        canary.try_task()
    assert canary.rollout.asked is not None


def test_a_person_may_roll_back(canary: Scene) -> None:
    ask(canary)
    assert decide(canary, "rob", "reject") == "accepted"

    assert canary.try_task() == "skipped"
    assert canary.shares == {"current": 100}
    assert canary.registry.passages.get(canary.passage.id).outcome == "rolled_back"


def test_guards_are_watched_while_people_think(canary: Scene) -> None:
    ask(canary)
    canary.bake(requests=100, errors=100, seconds=30)

    assert canary.try_task() == "skipped"
    assert canary.shares == {"current": 100}


def test_without_an_answer_in_time_it_is_rolled_back(canary: Scene) -> None:
    ask(canary)
    canary.pass_time(days=8)

    assert canary.try_task() == "skipped"
    assert "nobody answered in time" in (canary.rollout.reason or "")


def test_where_nobody_may_answer_it_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scene(CANARY, tmp_path, monkeypatch, policy=Policy("PROD")) as found:
        found.try_task()
        found.bake(requests=10)
        found.try_task()
        found.bake(requests=10)

        assert found.try_task() == "skipped"
        assert found.shares == {"current": 100}
        assert "nobody to ask" in (found.rollout.reason or "")


def test_the_first_version_has_nothing_to_be_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(CANARY, tmp_path, monkeypatch, is_first=True) as found:
        assert found.try_task() == {"outcome": "completed", "compared": False}
        found.try_task("activate")
        assert found.shares == {"new": 100}
        assert found.try_task("retire") is None


def test_blue_green_switches_at_once_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(BlueGreen(drain=5 * MINUTES), tmp_path, monkeypatch) as found:
        assert found.try_task() == {"outcome": "completed", "compared": True}
        assert found.shares == {"new": 100}
        found.try_task("activate")
        found.pass_time(minutes=4)
        assert found.try_task("retire") == "deferred"
        assert found.state(found.current_deployment) == "ready"


def test_a_version_that_people_went_back_to_is_not_retired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(BlueGreen(), tmp_path, monkeypatch) as found:
        found.try_task()
        found.try_task("activate")
        old = found.current_deployment
        found.registry.history.make_current(
            passage_id=old.passage_id,
            deployment_id=old.id,
            service="cc-fraud",
            stage="PROD",
            mode="online",
            snapshot_digest=old.snapshot_digest,
        )
        found.pass_time(minutes=2)

        assert found.try_task("retire") is None
        assert found.state(old) == "ready"


def test_a_shadow_gets_copies_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = Shadow(20, 10 * MINUTES, guard=[ErrorRateGuard()])
    with scene(shadow, tmp_path, monkeypatch) as found:
        assert found.try_task() == "deferred"
        traffic = found.registry.traffic.current("cc-fraud", "PROD")
        assert traffic is not None
        assert traffic.mirror is not None
        assert (found.shares, traffic.mirror.deployment_id, traffic.mirror.percent) == (
            {"current": 100},
            found.new_deployment.id,
            20,
        )
        found.bake()
        assert found.try_task() == {"outcome": "completed", "compared": True}
        assert found.shares == {"new": 100}


def test_a_shadow_that_fails_gets_no_more_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scene(Shadow(guard=[ErrorRateGuard()]), tmp_path, monkeypatch) as found:
        found.try_task()
        found.bake(errors=900)
        assert found.try_task() == "skipped"
        traffic = found.registry.traffic.current("cc-fraud", "PROD")
        assert traffic is not None
        assert (found.shares, traffic.mirror) == ({"current": 100}, None)


def test_a_passage_that_is_superseded_gives_its_traffic_back(canary: Scene) -> None:
    canary.try_task()
    canary.registry.passages.finish(canary.passage.id, "superseded", "a newer one came")

    assert canary.wakes()
    assert canary.try_task() == "skipped"
    assert canary.shares == {"current": 100}
    assert canary.rollout.outcome == "stopped"
    assert canary.state(canary.new_deployment) == "retired"


def test_a_task_that_fails_for_good_leaves_no_traffic_on_trial(canary: Scene) -> None:
    canary.try_task()
    record_failure(canary.context, "the worker was killed")

    assert canary.shares == {"current": 100}
    assert canary.try_task() == "deferred", "cleared, it goes on where it was"
    assert canary.shares == {"new": 5, "current": 95}


def test_a_run_that_was_deleted_leaves_no_traffic_on_trial(
    canary: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary.try_task()
    next_run: Any = canary.dag.get_task("begin_passage")
    monkeypatch.setattr("airlock.orchestration.begin_passage.open_registry", lambda: canary.registry)
    run = SimpleNamespace(run_id="run-3", dag_id="cc-fraud", triggering_user_name="rob", run_type="manual")
    instance = SimpleNamespace(get_dagrun_state=lambda **_: "gone")

    next_run.execute({"dag_run": run, "ti": instance, "params": {"snapshot": "fraud@1"}})

    assert canary.registry.passages.get(canary.passage.id).outcome == "failed"
    assert canary.shares == {"current": 100}


def test_traffic_that_people_directed_since_stays(canary: Scene) -> None:
    canary.try_task()
    canary.registry.rollouts.end(canary.rollout.id, "stopped", "ops rolled back", by="ops")
    canary.registry.traffic.direct(
        "cc-fraud", "PROD", {canary.current_deployment.id: 100}, actor="ops", reason="rolled back"
    )

    assert canary.try_task() == "skipped"
    traffic = canary.registry.traffic.current("cc-fraud", "PROD")
    assert traffic is not None
    assert traffic.actor == "ops"
