"""Performance: what passes, what fails, what stays open, and why it says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.checks import failed, judge
from airlock.spec import Performance
from checks.building import (
    AGAINST_CHAMPION,
    BATCH,
    at_least,
    candidate,
    champion,
    judged,
    metric,
    not_worse_by,
    performance,
)

ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}


def with_auc(value: float | None, **changed: Any) -> dict[str, Any]:
    return performance(candidate=candidate(values={"roc_auc": value}, intervals={}, **changed))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_better_model_is_never_judged_worse(value: float, other: float, limit: float) -> None:
    low, high = (judged(at_least(limit), with_auc(each)).status for each in sorted((value, other)))

    assert ORDER[low] <= ORDER[high]


@given(st.floats(0, 1))
def test_the_limit_itself_passes(limit: float) -> None:
    assert judged(at_least(limit), with_auc(limit)).status == "pass"


def test_a_passing_check_says_what_was_measured() -> None:
    result = judged(at_least(0.85), performance())

    assert result.status == "pass"
    assert result.summary == "roc_auc 0.9 (at least 0.85)."
    found = metric(result, "roc_auc")
    assert (found.value, found.ci, found.n, found.limit) == (0.9, (0.88, 0.92), 1000, "at least 0.85")
    assert result.dataset is not None
    assert result.dataset.rows == 1000


def test_a_failing_check_says_by_how_much() -> None:
    result = judged(at_least(0.95), performance())

    assert result.status == "fail"
    assert result.summary == "roc_auc is 0.9; the limit is at least 0.95."


def test_a_limit_inside_the_interval_is_remarked_on() -> None:
    result = judged(at_least(0.89), performance())

    assert result.status == "pass"
    assert metric(result, "roc_auc").message == (
        "Within the limit, but the 95 % interval 0.88 to 0.92 holds the limit too."
    )


@pytest.mark.parametrize("name", ["roc_auc", "brier"])
def test_a_measure_that_is_missing_fails(name: str) -> None:
    limit = {"min": 0.5} if name == "roc_auc" else {"max": 0.2}
    result = judged(Performance(dataset="holdout", metrics={name: limit}), with_auc(None))

    assert result.status == "fail"
    assert result.summary == f"{name} could not be computed."


def test_scores_that_are_no_probabilities_fail_what_needs_them() -> None:
    values = {"roc_auc": 0.9, "log_loss": None}
    measured = performance(candidate=candidate(values=values, is_probability=False))
    check = Performance(dataset="holdout", metrics={"log_loss": {"max": 0.5}, "roc_auc": {"min": 0.8}})

    result = judged(check, measured)

    assert result.status == "fail"
    assert "'risk' holds values outside 0 to 1" in result.summary
    assert metric(result, "roc_auc").status == "pass"


def test_records_without_a_prediction_fail_whatever_the_others_say() -> None:
    rows = {"labelled": 1000, "used": 990, "refused": 10, "duplicates": 0}
    problems = ["10 of 1,000 records were refused; record 5 was refused: 'amount' is null"]

    result = judged(at_least(0.5), performance(rows=rows, candidate=candidate(problems=problems)))

    assert result.status == "fail"
    assert result.summary.startswith("10 of 1,000 records were refused")
    assert result.metrics[0].name == "rows_predicted"


def test_answers_in_the_wrong_order_fail() -> None:
    rows = {"labelled": 1000, "used": 0, "refused": 0, "duplicates": 0}
    broken = candidate(
        values={}, intervals={}, rows=0, problems=["answers are not in the order of the records"]
    )

    result = judged(at_least(0.5), performance(rows=rows, candidate=broken))

    assert result.status == "fail"
    assert result.summary == "Answers are not in the order of the records."


def test_too_few_rows_are_inconclusive_even_for_a_bad_model() -> None:
    rows = {"labelled": 150, "used": 150, "refused": 0, "duplicates": 0}

    for limit in (0.5, 0.99):
        result = judged(at_least(limit), performance(rows=rows))
        assert result.status == "inconclusive"
        assert result.summary == "150 rows are too few to judge by; at least 200 are needed."


@pytest.mark.parametrize(("positives", "status"), [(19, "inconclusive"), (20, "pass"), (0, "inconclusive")])
def test_too_few_of_a_class_are_inconclusive(positives: int, status: str) -> None:
    result = judged(at_least(0.5), performance(classes=[1000 - positives, positives]))

    assert result.status == status
    if status == "inconclusive":
        assert f"Only {positives} of 1,000 rows are positive" in result.summary


def test_a_constant_target_of_a_regression_is_inconclusive() -> None:
    measured = performance(task="regression", classes=None, target_varies=False)
    check = Performance(dataset="holdout", metrics={"rmse": {"max": 1.0}})

    result = judged(check, measured)

    assert result.status == "inconclusive"
    assert "same target" in result.summary


@pytest.mark.parametrize(("repeated", "status"), [(0, "pass"), (50, "pass"), (51, "warn")])
def test_many_repeated_rows_are_warned_of(repeated: int, status: str) -> None:
    rows = {"labelled": 1000, "used": 1000, "refused": 0, "duplicates": repeated}

    assert judged(at_least(0.5), performance(rows=rows)).status == status


@pytest.mark.parametrize(
    ("difference", "interval", "status"),
    [
        (0.01, [-0.004, 0.02], "pass"),
        (0.01, [-0.006, 0.02], "inconclusive"),
        (-0.02, [-0.03, -0.01], "fail"),
    ],
)
def test_against_the_champion_the_interval_decides(
    difference: float, interval: list[float], status: str
) -> None:
    measured = performance(champion=champion(difference, interval))

    result = judged(not_worse_by(0.005), measured, AGAINST_CHAMPION)

    assert result.status == status
    found = metric(result, "roc_auc_vs_champion")
    assert (found.delta, found.delta_ci) == (difference, tuple(interval))
    assert found.champion == pytest.approx(0.9 - difference)


def test_where_lower_is_better_the_margin_is_mirrored() -> None:
    check = Performance(dataset="holdout", vs_champion={"log_loss": {"max_delta": 0.01}})
    worse = performance(champion=champion(0.05, [0.02, 0.08], name="log_loss"))
    alike = performance(champion=champion(0.0, [-0.005, 0.005], name="log_loss"))

    assert judged(check, worse, AGAINST_CHAMPION).status == "fail"
    assert judged(check, alike, AGAINST_CHAMPION).status == "pass"


def test_a_first_version_passes_by_its_limits() -> None:
    check = at_least(0.85, vs_champion={"roc_auc": {"min_delta": -0.005}})

    result = judged(check, performance(), BATCH)

    assert result.status == "pass"
    assert metric(result, "roc_auc_vs_champion").status == "not_applicable"
    assert "roc_auc was not compared: the service has no champion yet." in result.not_tested


def test_a_first_version_with_comparisons_only_warns() -> None:
    result = judged(not_worse_by(0.005), performance(), BATCH)

    assert result.status == "warn"
    assert result.summary.startswith("Nothing was judged")


def test_a_champion_that_cannot_score_leaves_the_comparison_open() -> None:
    done = {"features": {}, "score": {}, "champion_score": failed("ValueError", exit_code=1)}

    result = judge(not_worse_by(0.005), {**done, "measure": performance()}, AGAINST_CHAMPION)

    assert result.status == "inconclusive"
    assert "the champion could not be scored: ValueError" in result.summary


def test_too_few_shared_rows_leave_the_comparison_open() -> None:
    few = champion(0.1, [0.05, 0.15], rows=100, problems=["900 of 1,000 records were refused"])

    result = judged(not_worse_by(0.005), performance(champion=few), AGAINST_CHAMPION)

    assert result.status == "inconclusive"
    assert "Only 100 rows were predicted by both models. 900 of 1,000 records were refused." in result.summary


def test_a_failed_limit_outweighs_an_open_comparison() -> None:
    check = at_least(0.95, vs_champion={"roc_auc": {"min_delta": -0.005}})

    result = judged(check, performance(champion=champion(0.0, [-0.01, 0.01])), AGAINST_CHAMPION)

    assert result.status == "fail"


def test_on_fail_warn_turns_a_failure_into_a_warning_that_says_so() -> None:
    result = judged(at_least(0.95, on_fail="warn"), performance())

    assert result.status == "warn"
    assert metric(result, "roc_auc").status == "fail"
    assert "only warns" in result.notes[0]


def test_on_fail_warn_does_not_make_an_open_question_a_pass() -> None:
    result = judged(at_least(0.5, on_fail="warn", min_rows=5000), performance())

    assert result.status == "inconclusive"


def test_other_measures_are_shown_without_a_verdict() -> None:
    found = metric(judged(at_least(0.5), performance()), "precision")

    assert (found.status, found.value) == ("info", 0.6)


def test_whether_the_order_is_proven_is_said() -> None:
    proven = judged(at_least(0.5), performance())
    trusted = judged(at_least(0.5), performance(order_proven_by=[]))

    assert any("'payment' came back as it was sent" in note for note in proven.notes)
    assert any("nothing here proves" in note for note in trusted.notes)
