"""Matching answers with records: every way in which they may not belong together is noticed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock_host.measure.predictions import Predictions, Reject, Scored, echoed
from measure.building import INPUT, KEYLESS_OUTPUT, OUTPUT, customers, schema, write_answers

ROWS = 50
FEATURES = customers(ROWS).drop_columns("defaulted")
KEYS = FEATURES.column("customer").to_pylist()
SCORES = np.linspace(0, 1, ROWS)


def match(
    folder: Path, result: dict[str, Any], rejects: Sequence[int] = (), *, keyed: bool = False
) -> Predictions:
    lines = [
        json.dumps({"file": "f", "row": row, "problems": [{"field": "income", "problem": "is null"}]})
        for row in rejects
    ]
    (folder / "rejects.jsonl").write_text("\n".join(lines))
    scored = Scored.read(result, str(folder / "rejects.jsonl"))
    return Predictions.match(scored, FEATURES, schema(*(OUTPUT if keyed else KEYLESS_OUTPUT)), "risk")


def test_each_answer_finds_its_record_in_whatever_order_files_come(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(ROWS)

    found = match(tmp_path, write_answers(tmp_path, SCORES[order], positions=order))

    assert found.problems == []
    assert np.array_equal(found.values, SCORES)


def test_a_key_that_comes_back_in_another_order_is_a_problem(tmp_path: Path) -> None:
    swapped = [KEYS[1], KEYS[0], *KEYS[2:]]

    found = match(tmp_path, write_answers(tmp_path, SCORES, keys=swapped), keyed=True)

    assert found.problems == [
        "answers are not in the order of the records: 'customer' of record 1 is not given back as it was sent"
    ]
    assert np.isnan(found.values).all()


def test_a_key_that_comes_back_as_it_was_sent_is_fine(tmp_path: Path) -> None:
    assert match(tmp_path, write_answers(tmp_path, SCORES, keys=KEYS), keyed=True).problems == []


@given(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=ROWS, unique=True).map(sorted))
@settings(max_examples=30, deadline=None)
def test_refused_records_leave_gaps_and_shift_nothing(rejected: list[int]) -> None:
    kept = np.setdiff1d(np.arange(ROWS), rejected)
    table = pa.table({"risk": SCORES[kept]})
    scored = Scored(table, kept, [Reject(row, "income", "is null") for row in rejected])
    found = Predictions.match(scored, FEATURES, schema(*KEYLESS_OUTPUT), "risk")

    assert found.rejected == len(rejected)
    assert np.array_equal(found.values[kept], SCORES[kept])
    assert np.isnan(found.values[rejected]).all()
    assert f"{len(rejected):,} of 50 records were refused" in found.problems[0]


def test_a_refused_record_is_named_with_its_field(tmp_path: Path) -> None:
    kept = np.arange(1, ROWS)

    found = match(tmp_path, write_answers(tmp_path, SCORES[1:], positions=kept), rejects=[0])

    assert found.problems == ["1 of 50 records were refused; record 1 was refused: 'income' is null"]


def test_missing_answers_are_a_problem(tmp_path: Path) -> None:
    found = match(tmp_path, write_answers(tmp_path, SCORES[:-1]))

    assert "49 answers and 0 refusals are not one for each of 50 records" in found.problems[0]
    assert np.isnan(found.values).all()


def test_an_answer_given_twice_is_a_problem(tmp_path: Path) -> None:
    positions = [0, 0, *range(2, ROWS)]

    found = match(tmp_path, write_answers(tmp_path, SCORES, positions=positions))

    assert "cannot be matched" in found.problems[0]


def test_answers_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    scores = SCORES.copy()
    scores[[3, 4]] = [np.nan, np.inf]

    found = match(tmp_path, write_answers(tmp_path, scores))

    assert found.problems == ["2 of 50 predictions in 'risk' are missing or not finite"]


def test_answers_without_the_measured_column_are_a_problem(tmp_path: Path) -> None:
    scored = Scored.read(write_answers(tmp_path, SCORES), str(tmp_path / "none.jsonl"))

    found = Predictions.match(scored, FEATURES, schema(*KEYLESS_OUTPUT), "margin")

    assert found.problems == ["the answers have no column 'margin'"]


def test_words_instead_of_numbers_are_no_predictions(tmp_path: Path) -> None:
    found = match(tmp_path, write_answers(tmp_path, ["high"] * ROWS))

    assert "50 of 50 predictions in 'risk' are missing or not finite" in found.problems


def test_inputs_and_outputs_of_other_types_prove_no_order() -> None:
    assert echoed(FEATURES, schema(*OUTPUT)) == ["customer"]
    assert echoed(FEATURES, schema({"name": "customer", "type": "integer"})) == []
    assert echoed(FEATURES, schema(*INPUT)) == ["customer", "income", "children"]
