"""The answers of a stream's shadow are compared by a job, when its time is over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airlock.runtimes.base import JobStatus
from airlock.spec import AnswersGuard, ErrorRateGuard, Shadow
from tests.orchestration.stream_scene import CLIENT, stream_scene

MINUTES = timedelta(minutes=1)
FIGURE = {"name": "shadow-score", "title": "Shadow and current: score", "alt": "…", "png": "aWk="}


def shadow(max_differ: float | None = 0.01) -> Shadow:
    guards = [ErrorRateGuard(), AnswersGuard(max_differ=max_differ)]
    return Shadow(30, 10 * MINUTES, extend=1, guard=guards)


def result(n: int = 1000, differ: int = 0) -> JobStatus:
    """What the host's job finds."""
    number = {"compared": n, "differ": differ, "greatest": 0.5, "mean": 0.1, "mean_shift": 0.0, "at": None}
    found: dict[str, Any] = {
        "n": n,
        "differ": differ,
        "only_current": {"n": 2, "shown": []},
        "only_shadow": {"n": 0, "shown": []},
        "numbers": {"score": number},
        "labels": {},
        "figures": [FIGURE],
    }
    return JobStatus("succeeded", exit_code=0, result=found)


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIRLOCK__INLINE_WAIT_SECONDS", "0.05")


def test_the_answers_are_compared_at_the_end_and_then_it_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stream_scene(shadow(), tmp_path, monkeypatch) as (scene, runtime):
        assert scene.try_task() == "deferred"
        assert runtime.told == ["new: shadow"]
        began = scene.clock.time
        assert runtime.submitted == [], "its time is not over"

        scene.bake()
        assert scene.try_task() == "deferred", "the job runs"
        [job] = runtime.submitted
        runtime.compared = result(differ=1)
        assert scene.try_task() == {"outcome": "completed", "compared": True}

        assert runtime.told[1:] == ["current: nothing", "new: input"]
        assert runtime.submitted == [job], "it ran once"
        assert runtime.jobs == [], "and is taken away, with the credentials in its file"
        evidence = scene.registry.rollouts.steps(scene.rollout.id)[0].evidence
        assert evidence["answers"]["differ"] == 1
        assert evidence["answers"]["only_current"] == {"n": 2}
        assert evidence["answers"]["figures"] == [FIGURE]
        assert "1 of 1,000 records were answered differently" in str(evidence["guards"])

    assert (job.command, job.deployment, job.is_secret) == ("check", None, True)
    arguments = job.arguments
    assert (arguments["kind"], arguments["atol"]) == ("shadow", 1e-6)
    assert arguments["since"] == began.timestamp()
    assert arguments["stream"]["client"] == CLIENT
    assert (arguments["stream"]["reads"], arguments["stream"]["output"]) == ("input", "scores")
    assert arguments["shadow"]["reads"] == "shadow"
    assert arguments["shadow"]["shadow"]["output"] == "scores.shadow"
    assert arguments["shadow"]["shadow"]["percent"] == 30


def test_a_version_that_answers_otherwise_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stream_scene(shadow(), tmp_path, monkeypatch) as (scene, runtime):
        scene.try_task()
        scene.bake()
        runtime.compared = result(differ=400)

        assert scene.try_task() == "skipped"

        assert "400 of 1,000 records were answered differently" in (scene.rollout.reason or "")
        assert scene.state(scene.new_deployment) == "retired"


def test_a_comparison_that_fails_does_not_tell_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stream_scene(shadow(), tmp_path, monkeypatch) as (scene, runtime):
        scene.try_task()
        scene.bake()
        runtime.compared = JobStatus("failed", "the topic 'scores.shadow' is not there", exit_code=1)
        assert scene.try_task() == "deferred"
        assert scene.moves == ["extend"]

        scene.bake()
        runtime.compared = result()
        assert scene.try_task() == {"outcome": "completed", "compared": True}
        assert len({job.name for job in runtime.submitted}) == 2


def test_without_a_limit_answers_are_reported_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stream_scene(shadow(None), tmp_path, monkeypatch) as (scene, runtime):
        scene.try_task()
        scene.bake()
        runtime.compared = result(differ=1000)

        assert scene.try_task() == {"outcome": "completed", "compared": True}
        assert "1,000 of 1,000 records were answered differently" in str(
            scene.registry.rollouts.steps(scene.rollout.id)[0].evidence["guards"]
        )
