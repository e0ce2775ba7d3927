"""A shadow's answers are compared at each look, whoever looks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airlock.exceptions import DeploymentFailed
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.placement import Placement
from airlock.orchestration.rollback import find_way_back, roll_back
from airlock.orchestration.rollout_answers import answers_to_record
from airlock.orchestration.watching import Begun
from airlock.registry.records import DeploymentRecord
from airlock.rollouts import Compared, Comparison
from airlock.rollouts.recorded import RING
from airlock.spec import AnswersGuard, BlueGreen, Canary, Direct, ErrorRateGuard, Rollout, Shadow
from tests.orchestration.rollout_scene import Scene, scene

HOUR = timedelta(hours=1)
SHADOW = Shadow(duration=HOUR, guard=[ErrorRateGuard(), AnswersGuard(examples=2)])


@pytest.fixture
def shadow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene(SHADOW, tmp_path, monkeypatch) as found:
        found.new.recorded, found.current.recorded = [], []
        yield found


def answer(shadow: Scene, requests: int, differ: int = 0) -> None:
    """Both versions answer the same requests, of which the new one answers some differently."""
    assert shadow.new.recorded is not None
    assert shadow.current.recorded is not None
    first = len(shadow.current.recorded)
    for number in range(first, first + requests):
        shadow.current.recorded.append((f"r{number}", 0.5))
        shadow.new.recorded.append((f"r{number}", 0.9 if number - first < differ else 0.5))
    shadow.bake(requests, seconds=10)


def found(shadow: Scene) -> Compared:
    """What has been found until now."""
    return Comparison.from_json((shadow.rollout.readings or {}).get("answers")).found


def last_evidence(shadow: Scene) -> Compared:
    """What was found by the first move."""
    return Compared.from_json(shadow.registry.rollouts.steps(shadow.rollout.id)[0].evidence["answers"])


def test_versions_that_answer_alike_take_over(shadow: Scene) -> None:
    assert shadow.try_task() == "deferred"
    for _ in range(4):
        answer(shadow, 250)
        assert not shadow.wakes()
    assert found(shadow).n == 1000

    shadow.pass_time(hours=1)
    assert shadow.wakes()
    assert shadow.try_task() == {"outcome": "completed", "compared": True}
    assert (last_evidence(shadow).n, last_evidence(shadow).differ) == (1000, 0)


def test_answers_that_differ_end_the_shadow_at_once(shadow: Scene) -> None:
    shadow.try_task()
    answer(shadow, 100, differ=40)

    assert shadow.wakes()
    assert shadow.try_task() == "skipped"
    assert shadow.shares == {"current": 100}
    assert "40 of 100 requests were answered differently" in (shadow.rollout.reason or "")
    assert last_evidence(shadow).numbers["score"].greatest == pytest.approx(0.4)
    assert [example.request for example in last_evidence(shadow).examples] == ["r0", "r1"]


def test_each_answer_counts_once_whoever_looks(shadow: Scene) -> None:
    shadow.try_task()
    for _ in range(3):
        answer(shadow, 10)
        shadow.wakes()
        shadow.try_task()
        shadow.wakes()

    assert found(shadow).n == 30


def test_answers_are_read_every_few_seconds(shadow: Scene) -> None:
    shadow.try_task()
    answer(shadow, 10)
    shadow.wakes()
    answer(shadow, 10)
    shadow.pass_time(seconds=-8)
    shadow.wakes()
    assert found(shadow).n == 10

    shadow.pass_time(seconds=8)
    shadow.wakes()
    assert found(shadow).n == 20


def test_a_current_version_that_keeps_none_is_said(shadow: Scene) -> None:
    shadow.current.recorded = None
    assert shadow.try_task() == "deferred"
    shadow.bake(minutes=70)

    assert shadow.try_task() == "deferred", "it is prolonged"
    [step] = shadow.registry.rollouts.steps(shadow.rollout.id)
    assert step.move == "extend"
    [_, guard] = step.evidence["guards"]
    assert guard["status"] == "inconclusive"
    assert guard["findings"][0]["sentence"] == (
        "fraud@1 keeps no answers to compare: it was deployed before its stage's rollout had a guard that "
        "compares them."
    )


def test_without_a_limit_it_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guards = [ErrorRateGuard(), AnswersGuard(max_differ=None)]
    with scene(Shadow(duration=HOUR, guard=guards), tmp_path, monkeypatch) as found:
        found.try_task()
        found.bake(minutes=70)

        assert found.try_task() == {"outcome": "completed", "compared": True}
        assert "keeps no answers" in last_evidence(found).why


def test_an_answer_that_is_late_is_waited_for(shadow: Scene) -> None:
    shadow.try_task()
    answer(shadow, 10)
    assert shadow.new.recorded is not None
    late = shadow.new.recorded.pop()
    shadow.wakes()
    assert found(shadow).n == 9

    shadow.new.recorded.append(late)
    shadow.pass_time(seconds=10)
    shadow.wakes()
    assert found(shadow).n == 10


def test_what_is_deployed_under_a_shadow_keeps_answers(shadow: Scene) -> None:
    deploy: Any = shadow.dag.get_task("PROD.deploy")
    task = SimpleNamespace(settings=None, registry=shadow.registry, snapshot=None, passage=shadow.passage)

    assert deploy.placement(task).record_answers == RING


def test_what_people_go_back_to_keeps_answers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next version is compared with it."""
    placements = []

    def bring_up(placement: Placement, deployment: DeploymentRecord, begun: Begun) -> DeploymentRecord:
        placements.append(placement)
        raise DeploymentFailed("No runtime is here.")

    guards = [ErrorRateGuard(), AnswersGuard(max_differ=None)]
    with scene(Shadow(duration=HOUR, guard=guards), tmp_path, monkeypatch) as found:
        found.try_task()
        found.bake(hours=1)
        found.try_task()
        found.try_task("activate")
        found.pass_time(hours=1)
        found.try_task("retire")
        assert found.state(found.current_deployment) == "retired"
        monkeypatch.setattr(Placement, "bring_up", bring_up)
        way = find_way_back(found.registry, "cc-fraud", "PROD", "online")

        with pytest.raises(DeploymentFailed):
            roll_back(load_settings(), found.registry, way, way.targets[0], by="olga", reason="too strict")

    assert [placement.record_answers for placement in placements] == [RING]


@pytest.mark.parametrize(
    ("rollout", "answers"),
    [
        (Direct(), 0),
        (BlueGreen(), 0),
        (Canary(), 0),
        (Shadow(guard=[ErrorRateGuard()]), 0),
        (Shadow(), RING),
        (SHADOW, RING),
    ],
)
def test_only_what_is_compared_is_recorded(rollout: Rollout, answers: int) -> None:
    assert answers_to_record(rollout) == answers
