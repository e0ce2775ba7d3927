"""Smoke and contract over the files of a score job: answers, rejects, golden records by position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airlock_host.measure import run
from measure.building import INPUT, KEYLESS_OUTPUT, write_answers

GOLDEN = [
    {"input": {"customer": f"g-{number}", "income": 1.0, "children": 0}, "output": {"risk": number / 10}}
    for number in range(3)
]


def check(folder: Path, kind: str, scores: list[Any], positions: list[int], rejects: dict[int, str]) -> Any:
    """Three golden records, and in a contract a bad one in which customer is null, at position 3."""
    lines = [
        json.dumps({"row": row, "problems": [{"field": field, "problem": "is null", "expected": "a string"}]})
        for row, field in rejects.items()
    ]
    (folder / "rejects.jsonl").write_text("\n".join(lines))
    records = {
        "golden": 3,
        "made": 0,
        "bad": {"field": "customer", "why": "is null"} if kind == "contract" else None,
    }
    return run(
        {
            "kind": kind,
            "mode": "batch",
            "input": INPUT,
            "output": KEYLESS_OUTPUT,
            "golden": GOLDEN,
            "records": 3,
            "rtol": 1e-6,
            "atol": 1e-9,
            "rejects": str(folder / "rejects.jsonl"),
            "results": {"records": records, "score": write_answers(folder, scores, positions=positions)},
        }
    )


def test_smoke_of_good_answers(tmp_path: Path) -> None:
    found = check(tmp_path, "smoke", [0.0, 0.1, 0.2], [0, 1, 2], {})

    assert found["answers"] == {"answered": 3, "valid": 3, "problems": []}


def test_smoke_tells_refused_records(tmp_path: Path) -> None:
    found = check(tmp_path, "smoke", [0.0, 0.2], [0, 2], {1: "income"})

    assert found["rejected"] == 1
    assert found["answers"]["problems"] == ["record 2 was refused: 'income' is null"]


def test_contract_of_good_answers(tmp_path: Path) -> None:
    found = check(tmp_path, "contract", [0.0, 0.1, 0.2], [0, 1, 2], {3: "customer"})

    assert found["golden"]["matching"] == 3
    assert found["answers"]["problems"] == []
    assert found["bad_record"]["refused"]
    assert found["bad_record"]["named"]


def test_golden_records_are_compared_by_position(tmp_path: Path) -> None:
    found = check(tmp_path, "contract", [0.2, 0.0], [2, 0], {1: "income", 3: "customer"})

    assert found["golden"]["matching"] == 2
    assert found["golden"]["mismatches"] == ["golden record 2 was not answered"]


def test_a_bad_record_that_was_scored_is_told(tmp_path: Path) -> None:
    found = check(tmp_path, "contract", [0.0, 0.1, 0.2, 0.5], [0, 1, 2, 3], {})["bad_record"]

    assert not found["refused"]
    assert found["answer"] == "it was scored"


def test_a_bad_record_refused_for_another_field_is_not_named(tmp_path: Path) -> None:
    found = check(tmp_path, "contract", [0.0, 0.1, 0.2], [0, 1, 2], {3: "income"})["bad_record"]

    assert found["refused"]
    assert not found["named"]
