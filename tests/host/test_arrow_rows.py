"""A file and a request that mean the same are read the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from airlock_host.arrow_rows import arrow_type, good_rows, read_batch
from airlock_host.exceptions import BadRecords
from airlock_host.json_rows import read_records, write_records
from airlock_host.schema import Schema
from host.building import INPUTS

SCHEMA = Schema.read(INPUTS)
NAIVE = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))

records = st.fixed_dictionaries(
    {
        "income": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "age": st.none() | st.integers(-200, 200),
        "purpose": st.none() | st.sampled_from(["car", "house", "boat"]),
        "owner": st.none() | st.booleans(),
        "debt": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "applied": st.none() | NAIVE,
    }
)


def as_json(record: dict[str, Any]) -> dict[str, Any]:
    time = record["applied"]
    return {**record, "applied": None if time is None else time.isoformat() + "Z"}


def as_batch(found: list[dict[str, Any]]) -> pa.RecordBatch:
    arrays = [pa.array([record[field.name] for record in found], arrow_type(field)) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, names=list(SCHEMA.names))


@given(st.lists(records, max_size=8))
def test_the_same_records_as_arrow_and_as_json(found: list[dict[str, Any]]) -> None:
    rows, problems = read_batch(as_batch(found), SCHEMA)
    refused = []
    good = []
    for number, record in enumerate(found):
        try:
            good += write_records(read_records([as_json(record)], SCHEMA))
        except BadRecords as error:
            refused += [(number, problem.field) for problem in error.problems]
    assert {(problem.record, problem.field) for problem in problems} == set(refused)
    assert write_records(rows.take(good_rows(len(found), problems))) == good


def test_good_rows_are_those_without_a_problem() -> None:
    rows, problems = read_batch(as_batch([dict.fromkeys(SCHEMA.names)] * 2), SCHEMA)
    assert rows.count == 2
    assert np.array_equal(good_rows(2, problems), [False, False])
    assert {problem.field for problem in problems} == {"income", "age", "purpose", "owner"}
