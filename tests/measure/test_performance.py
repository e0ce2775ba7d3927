"""Measuring performance from files: numbers, pairing, what is left out, and the same result every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as scikit

from airlock_host.exceptions import InputUnusable
from airlock_host.measure import run
from measure.building import (
    OUTPUT,
    customers,
    good_scores,
    model_job,
    performance_job,
    write_answers,
    write_dataset,
)

TABLE = customers(400)
TRUTH = TABLE.column("defaulted").to_numpy()
GOOD = good_scores(TABLE)
WORSE = np.clip(GOOD + np.random.default_rng(1).normal(0, 0.3, len(GOOD)), 0, 1)


def against(folder: Path, champion: Any, candidate: Any = GOOD, **champion_job: Any) -> dict[str, Any]:
    job = performance_job(folder, TABLE, candidate, champion=model_job(folder, "champion", **champion_job))
    job["results"]["champion_score"] = write_answers(folder, champion, name="champion")
    return run(job)


def test_values_are_scikit_learns(tmp_path: Path) -> None:
    measured = run(performance_job(tmp_path, TABLE, GOOD))

    values = measured["candidate"]["values"]
    assert values["roc_auc"] == pytest.approx(scikit.roc_auc_score(TRUTH, GOOD))
    assert values["f1"] == pytest.approx(scikit.f1_score(TRUTH, GOOD >= 0.5))
    assert values["log_loss"] == pytest.approx(scikit.log_loss(TRUTH, GOOD))
    assert measured["rows"] == {"labelled": 400, "used": 400, "refused": 0, "duplicates": 0}
    assert measured["classes"] == [280, 120]
    assert measured["candidate"]["problems"] == []
    assert measured["champion"] is None


def test_a_second_run_gives_the_very_same_result(tmp_path: Path) -> None:
    assert against(tmp_path, WORSE) == against(tmp_path, WORSE)


def test_another_champion_draws_other_samples(tmp_path: Path) -> None:
    one = against(tmp_path, WORSE)
    other = against(tmp_path, WORSE, digest="sha256:another")

    assert one["candidate"]["values"] == other["candidate"]["values"]
    assert one["candidate"]["intervals"] != other["candidate"]["intervals"]


def test_the_champion_is_compared_row_by_row(tmp_path: Path) -> None:
    champion = against(tmp_path, WORSE)["champion"]

    difference = scikit.roc_auc_score(TRUTH, GOOD) - scikit.roc_auc_score(TRUTH, WORSE)
    low, high = champion["difference_intervals"]["roc_auc"]
    assert champion["differences"]["roc_auc"] == pytest.approx(difference)
    assert low < difference < high
    assert champion["rows"] == 400


def test_the_comparison_rests_on_rows_that_both_predicted(tmp_path: Path) -> None:
    champion = WORSE.copy()
    champion[:100] = np.nan

    measured = against(tmp_path, champion)

    assert measured["candidate"]["rows"] == 400
    assert measured["champion"]["rows"] == 300
    assert "100 of 400 predictions" in measured["champion"]["problems"][0]
    shared = scikit.roc_auc_score(TRUTH[100:], GOOD[100:]) - scikit.roc_auc_score(TRUTH[100:], WORSE[100:])
    assert measured["champion"]["differences"]["roc_auc"] == pytest.approx(shared)


def test_predictions_that_are_not_numbers_are_left_out_and_told(tmp_path: Path) -> None:
    scores = GOOD.copy()
    scores[:10] = np.nan

    measured = run(performance_job(tmp_path, TABLE, scores))

    assert measured["rows"]["used"] == 390
    assert measured["candidate"]["problems"] == ["10 of 400 predictions in 'risk' are missing or not finite"]


def test_scores_beyond_0_to_1_have_no_probability_measures(tmp_path: Path) -> None:
    measured = run(performance_job(tmp_path, TABLE, GOOD * 100))

    assert measured["candidate"]["is_probability"] is False
    assert measured["candidate"]["values"]["brier"] is None
    assert measured["candidate"]["values"]["roc_auc"] is not None
    assert "Calibration" not in " ".join(figure["title"] for figure in measured["figures"])


def test_a_constant_target_is_told_and_measures_what_it_can(tmp_path: Path) -> None:
    table = TABLE.set_column(3, "defaulted", pa.array([1] * 400))

    measured = run(performance_job(tmp_path, table, GOOD))

    assert measured["classes"] == [0, 400]
    assert measured["target_varies"] is False
    assert measured["candidate"]["values"]["roc_auc"] is None
    assert measured["figures"] == []


def test_rows_without_a_target_are_not_measured(tmp_path: Path) -> None:
    target = [None, *TRUTH[1:].tolist()]
    table = TABLE.set_column(3, "defaulted", pa.array(target, pa.int64()))

    assert run(performance_job(tmp_path, table, GOOD))["rows"]["labelled"] == 399


def test_a_target_of_three_classes_is_refused(tmp_path: Path) -> None:
    table = TABLE.set_column(3, "defaulted", pa.array([0, 1, 2, 1] * 100))

    with pytest.raises(InputUnusable, match="other values than 0 and 1"):
        run(performance_job(tmp_path, table, GOOD))


def test_no_usable_prediction_at_all_is_still_a_measurement(tmp_path: Path) -> None:
    measured = run(performance_job(tmp_path, TABLE, np.full(400, np.nan)))

    assert measured["rows"]["used"] == 0
    assert measured["candidate"]["values"] == {}
    assert measured["candidate"]["intervals"] == {}


def test_a_champion_that_was_not_scored_is_absent(tmp_path: Path) -> None:
    measured = run(performance_job(tmp_path, TABLE, GOOD, champion=model_job(tmp_path, "champion")))

    assert measured["champion"] is None


def test_a_key_that_comes_back_proves_the_order(tmp_path: Path) -> None:
    keys = TABLE.column("customer")
    job = performance_job(tmp_path, TABLE, GOOD, candidate=model_job(tmp_path, "score", output=OUTPUT))
    job["results"]["score"] = write_answers(tmp_path, GOOD, keys=keys)

    assert run(job)["order_proven_by"] == ["customer"]


def test_regression(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(100, 20, 300)
    table = customers(300).set_column(3, "defaulted", pa.array(truth))
    predicted = truth + random.normal(0, 5, 300)

    measured = run(performance_job(tmp_path, table, predicted, task="regression"))

    assert measured["classes"] is None
    assert measured["candidate"]["values"]["rmse"] == pytest.approx(
        scikit.root_mean_squared_error(truth, predicted)
    )
    assert {figure["title"] for figure in measured["figures"]} == {"Predicted and actual", "Errors"}


def test_no_float_has_more_digits_than_mean_anything(tmp_path: Path) -> None:
    value = run(performance_job(tmp_path, TABLE, GOOD))["candidate"]["values"]["log_loss"]

    assert value == float(f"{value:.9g}")


def test_a_job_without_a_key_is_explained(tmp_path: Path) -> None:
    job = performance_job(tmp_path, TABLE, GOOD)
    del job["threshold"]

    with pytest.raises(InputUnusable, match="lacks 'threshold'"):
        run(job)


def test_an_unknown_kind_is_explained() -> None:
    with pytest.raises(InputUnusable, match="'vibes' is no kind of check; known are records"):
        run({"kind": "vibes"})


def test_the_dataset_is_named_by_its_bytes(tmp_path: Path) -> None:
    one = run(performance_job(tmp_path, TABLE, GOOD))["dataset"]
    write_dataset(tmp_path, customers(400, seed=5))
    other = run(performance_job(tmp_path, customers(400, seed=5), GOOD))["dataset"]

    assert one["name"] == other["name"]
    assert one["digest"] != other["digest"]
