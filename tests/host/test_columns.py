"""Rows as columns, and the rules that every value is held against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock_host.columns import Columns, problems
from airlock_host.schema import Field, Schema

LIMITED = Field("x", "number", minimum=0, maximum=10)


def column(field: Field, values: Any) -> Columns:
    return Columns(Schema([field]), len(values), lambda _: values)


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        (LIMITED, -0.1, "is -0.1"),
        (LIMITED, 10.1, "is 10.1"),
        (LIMITED, np.nan, "is null"),
        (LIMITED, np.inf, "is inf"),
        (Field("x", "number"), -np.inf, "is -inf"),
        (Field("x", "number", nullable=True, minimum=0), -1.0, "is -1.0"),
        (Field("x", "number", values=(1.5, 2.0)), 1.0, "is 1.0"),
        (Field("x", "integer", minimum=3), 2, "is 2"),
        (Field("x", "integer", values=(1, 2)), 3, "is 3"),
        (Field("x", "string"), None, "is null"),
        (Field("x", "string", values=("a",)), "b", "is 'b'"),
        (Field("x", "timestamp"), np.datetime64("NaT"), "is null"),
        (Field("x", "timestamp", values=("2026-01-01T00:00:00Z",)), np.datetime64("2026-01-02"), "is "),
    ],
)
def test_a_value_that_breaks_a_rule_is_named(field: Field, value: Any, wrong: str) -> None:
    [problem] = problems(column(field, [value]))
    assert problem.problem.startswith(wrong)
    assert (problem.record, problem.field, problem.expected) == (0, "x", field.expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (LIMITED, 0.0),
        (LIMITED, 10.0),
        (Field("x", "number", nullable=True, minimum=0), np.nan),
        (Field("x", "number", nullable=True, values=(1.0,)), np.nan),
        (Field("x", "integer", nullable=True, maximum=1), np.nan),
        (Field("x", "string", nullable=True, values=("a",)), None),
        (Field("x", "boolean", nullable=True), None),
        (Field("x", "timestamp", nullable=True), np.datetime64("NaT")),
        (Field("x", "timestamp", values=("2026-01-01T00:00:00Z",)), np.datetime64("2026-01-01")),
    ],
)
def test_a_value_within_the_rules_is_not(field: Field, value: Any) -> None:
    assert problems(column(field, [value])) == []


def test_expected_says_what_would_be_right() -> None:
    assert LIMITED.expected == "a finite number of at least 0 and at most 10"
    assert Field("x", "integer", nullable=True, minimum=1).expected == "an integer of at least 1 or null"
    assert Field("x", "string", values=("a", "b")).expected == 'one of "a", "b"'


floats = st.floats(allow_nan=True, allow_infinity=True)


@given(
    rows=st.lists(st.tuples(floats, floats, floats), max_size=30),
    limits=st.tuples(st.floats(-100, 0), st.floats(0, 100)),
)
def test_exactly_the_broken_values_are_named(
    rows: list[tuple[float, float, float]], limits: tuple[float, float]
) -> None:
    """The quick look at the whole block never hides a value that breaks a rule, nor makes one up."""
    low, high = limits
    fields = [
        Field("free", "number"),
        Field("limited", "number", minimum=low, maximum=high),
        Field("optional", "number", nullable=True, minimum=low),
    ]
    by_name = dict(zip(["free", "limited", "optional"], zip(*rows, strict=True), strict=False))
    columns = Columns(Schema(fields), len(rows), lambda field: by_name.get(field.name, ()))
    expected = {
        (number, field.name)
        for number, row in enumerate(rows)
        for field, value in zip(fields, row, strict=True)
        if not (field.nullable and np.isnan(value))
        if not (np.isfinite(value) and field.limits[0] <= value <= field.limits[1])
    }
    assert {(problem.record, problem.field) for problem in problems(columns)} == expected


def test_a_matrix_has_the_fields_in_the_order_of_the_schema() -> None:
    schema = Schema([Field("b", "number"), Field("a", "integer"), Field("c", "boolean")])
    values = {"b": [0.5, 1.5], "a": [7, 8], "c": [True, False]}
    rows = Columns(schema, 2, lambda field: values[field.name])
    assert rows.matrix().tolist() == [[0.5, 7.0, 1.0], [1.5, 8.0, 0.0]]
    assert rows.matrix().flags.c_contiguous
