from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airlock import Lifecycle, Service, Stage
from airlock.exceptions import SpecError
from airlock.spec import (
    AnswersGuard,
    BlueGreen,
    Canary,
    Direct,
    ErrorRateGuard,
    LatencyGuard,
    MetricGuard,
    Rollout,
    ScoreDistributionGuard,
    Shadow,
    Sticky,
    load_include,
    misfits,
)
from airlock.spec.outline import outline
from airlock.spec.render import mermaid, svg
from tests.spec.writing import GOOD, write_good


@pytest.mark.parametrize(
    ("written", "built"),
    [
        ("direct", Direct()),
        ("blue_green", BlueGreen()),
        ({"strategy": "blue_green", "drain": "5m"}, BlueGreen(drain=timedelta(minutes=5))),
        ("canary", Canary()),
        (
            {
                "strategy": "canary",
                "steps": [5, 100],
                "bake": "30m",
                "guard": ["error_rate", {"latency": {"p99_ratio": 2}}, {"error_rate": {"name": "strict"}}],
                "sticky": {"header": "X-Customer"},
            },
            Canary(
                [5, 100],
                timedelta(minutes=30),
                Sticky("X-Customer"),
                guard=[ErrorRateGuard(), LatencyGuard(p99_ratio=2), ErrorRateGuard(name="strict")],
            ),
        ),
        (
            {
                "strategy": "shadow",
                "percent": 20,
                "guard": ["score_distribution", {"metric": {"metric": "queue", "max": 3}}],
            },
            Shadow(20, guard=[ScoreDistributionGuard(), MetricGuard("queue", max=3)]),
        ),
        (
            {"strategy": "shadow", "guard": ["answers"]},
            Shadow(guard=[AnswersGuard(0.01, 1e-6, 5)]),
        ),
        (
            {"strategy": "shadow", "guard": [{"answers": {"max_differ": None, "tolerance": 0.001}}]},
            Shadow(guard=[AnswersGuard(max_differ=None, tolerance=0.001)]),
        ),
    ],
)
def test_forms_in_yaml(written: Any, built: Rollout) -> None:
    stage = Stage.model_validate({"name": "PROD", "rollout": written})

    assert stage.rollout == built
    assert Stage.model_validate(stage.model_dump(mode="json")) == stage


def test_without_a_rollout_traffic_moves_at_once() -> None:
    assert Stage("PROD").moves_traffic_by == Direct()
    assert "rollout" not in Stage("PROD").model_dump()


def test_a_canary_has_good_defaults() -> None:
    canary = Canary()

    assert canary.steps == [5, 25, 50, 100]
    assert [guard.name for guard in canary.guard] == ["error_rate", "latency"]


def test_a_shadow_compares_answers_without_a_limit() -> None:
    assert [guard.name for guard in Shadow().guard] == ["error_rate", "latency", "answers"]
    assert Shadow().compares_answers == AnswersGuard(max_differ=None, examples=0)
    assert Shadow(guard=[ErrorRateGuard()]).compares_answers is None


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("canry", "unknown kind 'canry'. Did you mean 'canary'?"),
        ({"steps": [100]}, "a rollout is a strategy, or a mapping with its 'strategy'"),
        ({"strategy": "canary", "steps": [5, 5, 100]}, "the steps do not rise"),
        ({"strategy": "canary", "steps": [5, 50]}, "the last step is 50. Let it be 100"),
        ({"strategy": "canary", "steps": []}, "the list is empty"),
        ({"strategy": "canary", "steps": [0, 100]}, "greater than or equal to 1"),
        ({"strategy": "canary", "bake": 10}, "10 is not a length of time"),
        ({"strategy": "canary", "guard": []}, "the list is empty"),
        ({"strategy": "canary", "guard": ["error_rat"]}, "Did you mean 'error_rate'?"),
        ({"strategy": "canary", "guard": [5]}, "a guard is its kind, or one kind with its options"),
        ({"strategy": "canary", "guard": ["latency", "latency"]}, "the guard 'latency' is here twice"),
        ({"strategy": "canary", "guard": [{"latency": {"p95_ratio": None}}]}, "limits no percentile"),
        ({"strategy": "canary", "guard": [{"metric": {"metric": "queue"}}]}, "limits nothing"),
        ({"strategy": "canary", "guard": [{"metric": {"metric": "a b", "max": 1}}]}, "'a b' is not the name"),
        ({"strategy": "canary", "guard": ["latency", "answers"]}, "only a shadow's requests are answered by"),
        (
            {
                "strategy": "shadow",
                "guard": ["answers", {"answers": {"name": "strict", "max_differ": 0.001}}],
            },
            "answers are compared by one guard only",
        ),
        ({"strategy": "shadow", "guard": [{"answers": {"max_differ": 0}}]}, "greater than 0"),
        ({"strategy": "canary", "sticky": {"header": "X Customer"}}, "is not the name of a header"),
        ({"strategy": "shadow", "sticky": {"header": "X-Customer"}}, "unknown key 'sticky'"),
        ({"strategy": "direct", "drain": "1m"}, "unknown key 'drain'"),
    ],
)
def test_mistakes(written: Any, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        Stage("PROD", rollout=written)

    assert complaint in str(caught.value)


def test_a_batch_stage_has_no_traffic_to_move() -> None:
    with pytest.raises(SpecError, match="the stage runs as batch"):
        Stage("PROD", mode="batch", rollout=Canary())

    assert Stage("PROD", mode="batch", rollout=Direct()).mode == "batch"


def test_a_service_that_runs_as_batch_cannot_take_a_life_cycle_with_a_rollout() -> None:
    lifecycle = Lifecycle("careful", stages=[Stage("DEV"), Stage("PROD", rollout=Canary())])
    service = Service(service="a", lifecycle="careful", owner="b", mode={"PROD": "batch"})

    [mistake] = misfits(service, lifecycle)

    assert mistake.place == ("mode", "PROD")
    assert "the rollout of stage PROD" in mistake.message
    assert misfits(service.model_copy(update={"mode": "online"}), lifecycle) == []


def with_rollout(rollout: str) -> dict[str, str]:
    text = dedent(GOOD["lifecycles/standard.yaml"])
    return {
        "lifecycles/standard.yaml": text.replace("- name: PROD\n", f"- name: PROD\n    rollout: {rollout}\n")
    }


def test_a_mistake_is_named_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_include(write_good(tmp_path, **with_rollout("{strategy: canary, steps: [50, 5, 100]}")))

    [problem] = caught.value.problems
    assert (problem.file.name, problem.line, problem.message) == ("standard.yaml", 8, "the steps do not rise")


def test_answers_are_compared_by_a_shadow_only(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_include(write_good(tmp_path, **with_rollout("{strategy: canary, guard: [latency, answers]}")))

    [problem] = caught.value.problems
    assert (problem.file.name, problem.line) == ("standard.yaml", 8)
    assert "only a shadow's requests" in problem.message


def test_a_question_needs_somebody_who_may_answer(tmp_path: Path) -> None:
    asks = with_rollout("{strategy: shadow, ask: true}")
    load_include(write_good(tmp_path / "good", **asks))

    with pytest.raises(SpecError) as caught:
        load_include(write_good(tmp_path / "bad", **asks, **{"policies/PROD.yaml": "stage: PROD\n"}))

    [problem] = caught.value.problems
    assert (problem.file.name, problem.line) == ("standard.yaml", 8)
    assert "nobody could be asked" in problem.message


def test_a_rollout_that_could_ask_nobody_is_warned_of(tmp_path: Path) -> None:
    canary = with_rollout("canary")
    assert load_include(write_good(tmp_path / "good", **canary)).warnings == []

    found = load_include(write_good(tmp_path / "bad", **canary, **{"policies/PROD.yaml": "stage: PROD\n"}))

    [problem] = found.warnings
    assert (problem.file.name, problem.line) == ("standard.yaml", 8)
    assert "a rollout that cannot tell is rolled back" in problem.message


def test_pictures_show_the_rollout() -> None:
    lifecycle = Lifecycle("careful", stages=[Stage("DEV"), Stage("PROD", rollout=Canary([5, 100]))])

    dev, prod = outline(lifecycle)

    assert dev.rollout is None
    assert prod.rollout is not None
    assert prod.rollout.details == (
        "canary",
        "5 → 100 %",
        "10m a step",
        "watches error_rate, latency",
        "drains 1m",
    )
    assert "PROD-deploy --> PROD-rollout" in mermaid(lifecycle)
    assert "5 → 100 %" in svg(lifecycle)
