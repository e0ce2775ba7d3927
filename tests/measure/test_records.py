"""Records to try a model with: made ones obey the schema, the bad one breaks it in the field it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock_host.exceptions import InputUnusable
from airlock_host.json_rows import BadRecords, read_records
from airlock_host.measure import run
from airlock_host.measure.records import bad_record, golden_and_made, made
from airlock_host.schema import Schema
from measure.building import INPUT, schema


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    """A field as a manifest lists it, of any type, with or without limits."""
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean", "timestamp"]))
    field: dict[str, Any] = {"type": kind, "nullable": draw(st.booleans())}
    if kind in ("integer", "number"):
        low = draw(st.none() | st.integers(-1000, 1000))
        high = draw(st.none() | st.integers(0, 1000))
        field["min"] = low
        field["max"] = None if high is None else (low or 0) + high
    if kind == "string" and draw(st.booleans()):
        field["values"] = draw(st.lists(st.text("abc", min_size=1), min_size=1, max_size=3, unique=True))
    return field


schemas = st.lists(fields(), min_size=1, max_size=5).map(
    lambda found: Schema.read({"name": f"field_{number}", **field} for number, field in enumerate(found))
)


@given(schemas, st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_made_records_obey_any_schema(inputs: Schema, count: int) -> None:
    assert read_records(made(inputs, count), inputs).count == count


@given(schemas)
@settings(max_examples=100, deadline=None)
def test_the_bad_record_breaks_any_schema_in_the_field_it_says(inputs: Schema) -> None:
    good = made(inputs, 1)[0]
    bad = bad_record(good, inputs, typed=False)

    if bad is None:  # every field takes any text, or null
        assert all(field.type == "string" and field.nullable and not field.values for field in inputs)
        return
    with pytest.raises(BadRecords) as refused:
        read_records([bad.record], inputs)
    assert {problem.field for problem in refused.value.problems} == {bad.field}


def test_golden_records_come_first() -> None:
    golden = [{"input": {"customer": "a", "income": 1.0, "children": None}, "output": {}}]

    records = golden_and_made(golden, schema(*INPUT), 3)

    assert len(records) == 3
    assert records[0] == golden[0]["input"]
    assert records[1] != records[2]


def test_more_golden_records_than_asked_are_cut() -> None:
    golden = [{"input": {"customer": str(number)}, "output": {}} for number in range(5)]

    assert [record["customer"] for record in golden_and_made(golden, schema(*INPUT), 2)] == ["0", "1"]


def test_records_are_written_with_their_position_and_the_bad_one_last(tmp_path: Path) -> None:
    path = tmp_path / "scratch" / "records.parquet"
    golden = [{"input": {"customer": "a", "income": 5.0}, "output": {}}]

    found = run(
        {"kind": "records", "input": INPUT, "golden": golden, "count": 2, "bad": True, "output": str(path)}
    )

    assert found == {"golden": 1, "made": 1, "bad": {"field": "customer", "why": "is null"}}
    rows = pq.read_table(path).to_pylist()
    assert [row["airlock_row"] for row in rows] == [0, 1, 2]
    assert rows[0] == {"customer": "a", "income": 5.0, "children": None, "airlock_row": 0}
    assert rows[2]["customer"] is None


@pytest.mark.parametrize(("name", "value"), [("income", "much"), ("since", "yesterday"), ("customer", 7)])
def test_a_golden_record_of_the_wrong_type_is_named(tmp_path: Path, name: str, value: Any) -> None:
    golden = [{"input": {name: value}, "output": {}}]
    fields = [*INPUT, {"name": "since", "type": "timestamp"}]
    job = {"kind": "records", "input": fields, "golden": golden, "count": None, "bad": False}

    with pytest.raises(InputUnusable, match=f"'{name}'") as raised:
        run({**job, "output": str(tmp_path / "records.parquet")})
    assert raised.value.field == name
