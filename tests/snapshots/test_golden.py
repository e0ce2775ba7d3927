"""Golden records must fit the schemas, and what does not is named by its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airlock.exceptions import SnapshotError
from airlock.snapshots.golden import check_golden
from airlock.spec.schema import Field

INPUT = (
    Field("income", "number", min=0, max=1e6),
    Field("years", "integer", nullable=True),
    Field("purpose", "string", values=["car", "house"]),
    Field("married", "boolean"),
    Field("applied", "timestamp"),
)
OUTPUT = (Field("probability", "number", min=0, max=1),)
GOOD = {"income": 10.5, "years": 3, "purpose": "car", "married": True, "applied": "2026-01-31T08:00:00Z"}


def check(folder: Path, *lines: Any) -> int:
    path = folder / "golden.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return check_golden(path, shown_as="golden.jsonl", input_schema=INPUT, output_schema=OUTPUT)


def record(**changes: Any) -> dict[str, Any]:
    return {"input": GOOD | changes, "output": {"probability": 0.5}}


def test_records_that_fit_are_counted(tmp_path: Path) -> None:
    without_years = {key: value for key, value in GOOD.items() if key != "years"}
    lines = [
        record(),
        "",
        record(income=0, years=None, married=False),
        record(years=3.0, applied="2026-01-31 08:00"),
        {"input": without_years, "output": {"probability": 1}},
    ]
    assert check(tmp_path, *lines) == 4


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (record(income="10"), "input 'income' is \"10\", not of type number"),
        (record(income=True), "input 'income' is true, not of type number"),
        (record(income=None), "input 'income' is null"),
        (record(income=-1), "input 'income' is -1, less than 0"),
        (record(income=2e6), "input 'income' is 2000000.0, more than 1e\\+06"),
        (record(income=10**400), "not of type number"),
        (record(years=3.5), "input 'years' is 3.5, not of type integer"),
        (record(years=2**63), "not of type integer"),
        (record(years=True), "not of type integer"),
        (record(purpose="boat"), 'input \'purpose\' is "boat", not one of \\["car", "house"\\]'),
        (record(married=1), "input 'married' is 1, not of type boolean"),
        (record(applied="yesterday"), "not of type timestamp"),
        (record(applied="2026-02-30T08:00:00Z"), "not of type timestamp"),
        (record(applied="2026-01-31"), "not of type timestamp"),
        (record(extra=1), "input 'extra' is not in the schema"),
        ({"input": {}, "output": {"probability": 0.5}}, "input 'income' is missing"),
        ({"input": GOOD, "output": {"probability": 1.5}}, "output 'probability' is 1.5, more than 1"),
        ({"input": GOOD, "output": {}}, "output 'probability' is missing"),
        ({"input": GOOD, "output": 0.5}, "output is not an object"),
        ({"input": GOOD}, "must be an object with the keys"),
        ({**record(), "note": "x"}, "must be an object with the keys"),
        ([1], "must be an object with the keys"),
        ("{", "not valid JSON"),
        ('{"input": {"income": NaN}, "output": {}}', "NaN is not JSON"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_does_not_fit_is_named_by_line_and_field(tmp_path: Path, line: Any, problem: str) -> None:
    with pytest.raises(SnapshotError, match=f"golden.jsonl does not fit .*line 2: .*{problem}"):
        check(tmp_path, record(), line)


def test_all_problems_are_named_but_not_without_end(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError) as caught:
        check(tmp_path, *[record(income=-1)] * 100)
    assert "line 20:" in str(caught.value)
    assert "line 21:" not in str(caught.value)


def test_no_records_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="has no records"):
        check(tmp_path, "", "")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(SnapshotError, match=r"golden\.jsonl cannot be read"):
        check_golden(
            tmp_path / "golden.jsonl", shown_as="golden.jsonl", input_schema=INPUT, output_schema=OUTPUT
        )
