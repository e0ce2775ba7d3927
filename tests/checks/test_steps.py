"""The protocol: which step comes next, what it is given, and what a step that did not succeed means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airlock.checks import CheckContext, Step, failed, judge, next_step, plan
from airlock.exceptions import CheckError
from airlock.spec import Check, Contract, Latency, Performance, Smoke
from checks.building import AGAINST_CHAMPION, BATCH, CHAMPION, MANIFEST, ONLINE, at_least, not_worse_by

ALL = [Smoke(), Contract(), at_least(0.8), Latency(p99_ms=100)]


def walk(steps: list[Step], *, failing: dict[str, int | None] | None = None) -> list[str]:
    """The names of the steps that are run, in their order."""
    measurements: dict[str, Any] = {}
    while step := next_step(steps, measurements):
        exits = failing or {}
        done = failed("broke", exit_code=exits[step.name]) if step.name in exits else {"ok": step.name}
        measurements[step.name] = done
    return list(measurements)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.kind)
def test_online_all_is_asked_of_the_endpoint_from_the_checks_environment(check: Check) -> None:
    steps = plan(check, ONLINE)

    assert [(step.name, step.where, step.command) for step in steps] == [("measure", "checks", "check")]
    assert "http://runtime:8080" in json.dumps(steps[0].job({}))


@pytest.mark.parametrize("check", [Smoke(), Contract()], ids=lambda check: check.kind)
def test_in_batch_the_candidate_scores_records_that_were_written_for_it(check: Check) -> None:
    steps = plan(check, BATCH)

    assert [(step.name, step.where, step.command) for step in steps] == [
        ("records", "checks", "check"),
        ("score", "candidate", "batch"),
        ("measure", "checks", "check"),
    ]
    assert steps[1].arguments["input"] == [steps[0].arguments["output"]]
    assert steps[2].arguments["rejects"] == steps[1].arguments["rejects"]


def test_candidate_and_champion_score_the_same_features() -> None:
    steps = {step.name: step for step in plan(at_least(0.8), AGAINST_CHAMPION)}

    assert list(steps) == ["features", "score", "champion_score", "measure"]
    assert steps["champion_score"].where == "champion"
    assert steps["champion_score"].arguments["input"] == steps["score"].arguments["input"]


def test_a_champion_with_another_schema_gets_its_own_columns() -> None:
    other = replace(CHAMPION, manifest={**MANIFEST, "input_schema": MANIFEST["input_schema"][:1]})
    steps = {step.name: step for step in plan(at_least(0.8), replace(BATCH, champion=other))}

    assert steps["champion_features"].arguments["input"] == MANIFEST["input_schema"][:1]
    assert steps["champion_score"].arguments["input"] != steps["score"].arguments["input"]


@pytest.mark.parametrize("check", ALL[:3], ids=lambda check: check.kind)
def test_no_scoring_job_is_told_the_data_set_with_its_target(check: Check) -> None:
    scoring = [step for step in plan(check, AGAINST_CHAMPION) if step.where != "checks"]

    assert scoring
    for step in scoring:
        assert "holdout" not in json.dumps(step.job({}))


@pytest.mark.parametrize(
    ("check", "context"),
    [
        *((check, replace(ONLINE, champion=CHAMPION)) for check in ALL),
        *((check, AGAINST_CHAMPION) for check in ALL[:3]),
    ],
)
def test_every_step_is_plain_json_and_writes_to_the_scratch_folder_only(
    check: Check, context: CheckContext
) -> None:
    for step in plan(check, context):
        job = step.job({})
        assert json.loads(json.dumps(job)) == job
        for key in ("output", "rejects"):
            if isinstance(job.get(key), str):
                assert job[key].startswith("/scratch/dep-1/")


def test_steps_run_in_order_each_once() -> None:
    assert walk(plan(not_worse_by(0.1), AGAINST_CHAMPION)) == [
        "features",
        "score",
        "champion_score",
        "measure",
    ]


def test_what_needs_a_broken_step_is_left_out() -> None:
    steps = plan(not_worse_by(0.1), AGAINST_CHAMPION)

    assert walk(steps, failing={"features": 2}) == ["features"]
    assert walk(steps, failing={"score": 1}) == ["features", "score"]
    assert walk(steps, failing={"champion_score": 1})[-1] == "measure"


def test_a_check_job_reads_results_and_a_batch_job_does_not() -> None:
    steps = {step.name: step for step in plan(not_worse_by(0.1), AGAINST_CHAMPION)}
    done = {"features": {"a": 1}, "score": {"b": 2}, "champion_score": failed("broke", exit_code=1)}

    assert steps["measure"].job(done)["results"] == {"score": {"b": 2}}
    assert "results" not in steps["score"].job(done)


@pytest.mark.parametrize(("exit_code", "status"), [(1, "fail"), (2, "error"), (None, "error"), (-9, "error")])
@pytest.mark.parametrize("check", ALL[:3], ids=lambda check: check.kind)
def test_a_candidate_that_cannot_score_fails_and_broken_machinery_is_an_error(
    check: Check, exit_code: int | None, status: str
) -> None:
    done = {
        "features": {},
        "records": {},
        "score": failed("/scratch/dep-1/x.parquet: no", exit_code=exit_code),
    }

    result = judge(check, done, BATCH)

    assert result.status == status
    assert result.summary.endswith(": x.parquet: no")


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.kind)
@pytest.mark.parametrize("exit_code", [1, 2, None])
def test_a_measurement_that_broke_is_never_the_models_failure(check: Check, exit_code: int | None) -> None:
    done = {"measure": failed("no target column", exit_code=exit_code)}

    result = judge(check, done, ONLINE)

    assert result.status == "error"
    assert "no target column" in result.summary


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.kind)
def test_a_check_that_was_not_measured_is_an_error(check: Check) -> None:
    assert judge(check, {}, ONLINE).status == "error"


def test_latency_of_a_batch_deployment_is_refused_when_it_is_planned() -> None:
    with pytest.raises(CheckError, match="deployed as a batch job") as refused:
        plan(Latency(p99_ms=100), BATCH)
    assert refused.value.mend


def test_an_online_deployment_without_an_endpoint_is_refused() -> None:
    with pytest.raises(CheckError, match="no endpoint"):
        plan(Smoke(), replace(ONLINE, endpoint=None))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (Performance(dataset="other", metrics={"roc_auc": {"min": 0.5}}), "does not have"),
        (at_least(0.5, score="payment"), "no numeric output payment; its outputs are payment, risk, points"),
        (
            Performance(dataset="holdout", vs_champion={"max_error": {"max_delta": 1.0}}),
            "a maximum has no confidence interval",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_way_to_mend_it(check: Check, message: str) -> None:
    with pytest.raises(CheckError, match=message) as refused:
        plan(check, BATCH)
    assert refused.value.mend


def test_the_measured_output_is_the_first_number_that_is_no_input() -> None:
    manifest = {
        **MANIFEST,
        "input_schema": [*MANIFEST["input_schema"], {"name": "risk", "type": "number"}],
    }

    assert plan(at_least(0.5), BATCH)[-1].arguments["candidate"]["column"] == "risk"
    assert plan(at_least(0.5, score="points"), BATCH)[-1].arguments["candidate"]["column"] == "points"
    other = replace(BATCH, manifest=manifest)
    assert plan(at_least(0.5), other)[-1].arguments["candidate"]["column"] == "points"


def test_a_champion_that_lacks_the_named_output_is_measured_by_its_own_first_number() -> None:
    old = {**MANIFEST, "output_schema": MANIFEST["output_schema"][:2]}
    context = replace(BATCH, champion=replace(CHAMPION, manifest=old))

    assert plan(at_least(0.5, score="points"), context)[-1].arguments["champion"]["column"] == "risk"
