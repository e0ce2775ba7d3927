from typing import Any

import pytest

from airlock.exceptions import SpecError
from airlock.spec import METRICS, Delta, Latency, Limit, Performance, Smoke, Stage, checks


def performance(**options: Any) -> Performance:
    return Performance(dataset="holdout", **options)


@pytest.mark.parametrize(
    ("written", "built"),
    [
        ("smoke", checks.Smoke()),
        ({"smoke": None}, checks.Smoke()),
        ({"smoke": {}}, checks.Smoke()),
        ({"smoke": {"records": 50, "name": "many"}}, checks.Smoke(records=50, name="many")),
        ({"contract": {"rtol": 0.01, "on_fail": "warn"}}, checks.Contract(rtol=0.01, on_fail="warn")),
        ({"latency": {"p99_ms": 200}}, checks.Latency(p99_ms=200.0)),
        (
            {"performance": {"dataset": "holdout", "rmse": {"max": 3}}},
            checks.Performance("holdout", {"rmse": Limit(max=3)}),
        ),
        (
            {"performance": {"dataset": "holdout", "metrics": {"rmse": {"max": 3}}}},
            checks.Performance("holdout", {"rmse": Limit(max=3)}),
        ),
    ],
)
def test_forms_in_yaml(written: Any, built: checks.Check) -> None:
    assert Stage.model_validate({"name": "DEV", "checks": [written]}).checks == [built]


def test_the_kind_is_the_name_unless_said_otherwise() -> None:
    assert (Smoke().kind, Smoke().name) == ("smoke", "smoke")
    assert (Smoke(name="first_try").kind, Smoke(name="first_try").name) == ("smoke", "first_try")


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("smok", "unknown kind 'smok'. Did you mean 'smoke'?"),
        ("audit", "unknown kind 'audit'. Known: contract, latency, performance, smoke."),
        ({"latency": {"p99_ms": 200}, "smoke": {}}, "a check is its kind"),
        ({"latency": None, "p99_ms": 200}, "a check is its kind"),
        ({}, "a check is its kind"),
        (5, "a check is its kind"),
        ({"latency": {"p99": 200}}, "unknown key 'p99'. Did you mean 'p99_ms'?"),
        ({"smoke": [1]}, "a list is not a mapping"),
        ({"smoke": "smoke"}, "'smoke' is not a mapping"),
        ({"smoke": {"smoke": {}}}, "unknown key 'smoke'"),
    ],
)
def test_mistakes_in_the_form(written: Any, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        Stage("DEV", checks=[written])

    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"roc_auc": {"min": 1.2}}, "roc_auc is never 1.2. It lies between 0 and 1."),
        ({"r2": {"min": 2}}, "r2 is never 2."),
        ({"rmse": {"max": -1}}, "rmse is never -1."),
        ({"roc_auc": {"min": 0.9, "max": 0.8}}, "min 0.9 is above max 0.8"),
        ({"roc_auc": {}}, "the limit has neither min nor max"),
        ({"roc_auc": {"max": 0.9}}, "Higher is better here: write {min: …}."),
        ({"rmse": {"min": 0.9}}, "Lower is better here: write {max: …}."),
        ({"roc_auc": {"min": "0.9"}}, "'0.9' is not a number"),
        ({"roc_auc": {"min": float("nan")}}, "nan is not a number that can be used here"),
        ({"roc_auc": 0.9}, "0.9 is not a mapping"),
        ({"roc_auc": {"least": 0.9}}, "unknown key 'least'"),
        ({"roc_acu": {"min": 0.9}}, "Did you mean 'roc_auc'?"),
        ({"metrics": {"roc_acu": {"min": 0.9}}}, "unknown metric 'roc_acu'. Did you mean 'roc_auc'?"),
        ({"metrics": 3}, "3 is not a mapping"),
        ({}, "the check limits no metric"),
        ({"metrics": {}}, "the check limits no metric"),
        ({"roc_auc": {"min": 0.9}, "rmse": {"max": 1}}, "are not all of one task"),
        ({"vs_champion": {"roc_auc": {"max_delta": 0.01}}}, "max_delta does not fit roc_auc"),
        ({"vs_champion": {"rmse": {"min_delta": 0.01}}}, "min_delta does not fit rmse"),
        ({"vs_champion": {"rmse": {}}}, "either min_delta or max_delta"),
        ({"vs_champion": {"roc_auc": {"min_delta": -1.5}}}, "two values of roc_auc never differ by -1.5"),
    ],
)
def test_impossible_limits(limits: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        performance(**limits)

    assert complaint in str(caught.value)


def test_one_wrong_limit_does_not_hide_another() -> None:
    with pytest.raises(SpecError) as caught:
        performance(
            roc_auc={"min": 7}, brier={"max": "low"}, vs_champion={"f1": {"min_delta": 5}}, resamples=1
        )

    message = str(caught.value)
    assert all(
        part in message for part in ("roc_auc is never 7", "'low' is not a number", "f1 never differ", "100")
    )


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_each_metric_can_be_limited_its_own_way(metric: str) -> None:
    limit, delta = (
        (Limit(min=0.5), Delta(min_delta=-0.01))
        if METRICS[metric].higher_is_better
        else (Limit(max=0.5), Delta(max_delta=0.01))
    )

    assert performance(metrics={metric: limit}, vs_champion={metric: delta}).metrics == {metric: limit}


def test_a_comparison_alone_is_enough() -> None:
    assert performance(vs_champion={"roc_auc": Delta(min_delta=0)}).metrics == {}


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({}, "Add one of p50_ms, p95_ms and p99_ms."),
        ({"p50_ms": 300, "p99_ms": 200}, "a lower percentile has the greater limit"),
        ({"p99_ms": 0}, "greater than 0"),
        ({"p99_ms": 200, "error_rate": 5}, "less than or equal to 1"),
        ({"p99_ms": True}, "true is not a number"),
    ],
)
def test_impossible_latency(limits: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        Latency(**limits)

    assert complaint in str(caught.value)
