"""JSON records as rows, and back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock_host.exceptions import BadRecords
from airlock_host.json_rows import read_records, write_records
from airlock_host.schema import Schema
from host.building import GOOD, INPUTS

SCHEMA = Schema.read(INPUTS)


def problems_of(*records: Any) -> list[tuple[int, str | None, str]]:
    with pytest.raises(BadRecords) as refused:
        read_records(records, SCHEMA)
    return [(one.record, one.field, one.problem) for one in refused.value.problems]


def test_good_records_come_back_as_they_were() -> None:
    rows = read_records([GOOD, {**GOOD, "debt": 12.5, "applied": None}], SCHEMA)
    assert write_records(rows) == [
        {**GOOD, "applied": "2026-03-31T12:00:00.000000Z"},
        {**GOOD, "debt": 12.5, "applied": None},
    ]


def test_a_field_that_may_be_null_may_be_left_out() -> None:
    shorter = {name: value for name, value in GOOD.items() if name not in ("debt", "applied")}
    rows = read_records([shorter], SCHEMA)
    assert math.isnan(rows["debt"][0])


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("income", "3000", 'is the string "3000"'),
        ("income", True, "is true"),
        ("income", None, "is null"),
        ("income", -1, "is -1.0"),
        ("income", 10**400, f"is {10**400}"),
        ("income", [1], "is a list"),
        ("age", 40.5, "is 40.5"),
        ("age", 17, "is 17"),
        ("age", 2**70, f"is {2**70}"),
        ("age", True, "is true"),
        ("purpose", "boat", "is 'boat'"),
        ("purpose", 1, "is 1"),
        ("owner", 1, "is 1"),
        ("owner", "true", 'is the string "true"'),
        ("debt", "much", 'is the string "much"'),
        ("applied", "yesterday", 'is the string "yesterday"'),
        ("applied", "2026-02-30T00:00:00Z", 'is the string "2026-02-30T00:00:00Z"'),
        ("applied", 1.5, "is 1.5"),
    ],
)
def test_a_bad_value_is_named_with_its_record_and_field(field: str, value: Any, problem: str) -> None:
    assert problems_of(GOOD, {**GOOD, field: value}) == [(1, field, problem)]


def test_a_whole_number_with_a_fraction_of_zero_is_an_integer() -> None:
    assert read_records([{**GOOD, "age": 41.0}], SCHEMA)["age"].tolist() == [41]


def test_missing_and_unknown_fields_are_named() -> None:
    renamed = {("Age" if name == "age" else name): value for name, value in GOOD.items()}
    assert problems_of(renamed) == [
        (0, "Age", "is not a field of this model"),
        (0, "age", "is missing"),
    ]


def test_a_record_that_is_no_object_is_named() -> None:
    assert problems_of(GOOD, [1, 2]) == [(1, None, "is a list")]


def test_all_problems_are_told_at_once() -> None:
    found = problems_of({**GOOD, "income": "a", "age": 3}, GOOD, {**GOOD, "owner": None, "purpose": "boat"})
    assert set(found) == {
        (0, "income", 'is the string "a"'),
        (0, "age", "is 3"),
        (2, "owner", "is null"),
        (2, "purpose", "is 'boat'"),
    }


def test_times_are_read_into_utc() -> None:
    there = {**GOOD, "applied": "2026-03-31T14:30:00+02:00"}
    day = {**GOOD, "applied": "2026-03-31"}
    applied = [record["applied"] for record in write_records(read_records([there, day], SCHEMA))]
    assert applied == ["2026-03-31T12:30:00.000000Z", "2026-03-31T00:00:00.000000Z"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
likely_values = json_values | st.sampled_from([*GOOD.values(), 19, "house", 0.0])
records = st.dictionaries(st.sampled_from([*GOOD, "other"]), likely_values) | json_values


@given(st.lists(records, max_size=5))
def test_whatever_comes_is_either_read_or_refused_by_name(records: list[Any]) -> None:
    refused = None
    try:
        rows = read_records(records, SCHEMA)
    except BadRecords as error:
        refused = error
    if refused is None:
        assert rows.count == len(records)
        assert len(write_records(rows)) == len(records)
    else:
        assert refused.problems
        assert all(0 <= problem.record < len(records) for problem in refused.problems)
