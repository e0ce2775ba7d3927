"""A batch job from its input to its output."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from airlock_host.batch.run import MANIFEST
from airlock_host.exceptions import InputUnusable, ModelFailed, SnapshotUnusable
from host.batch.conftest import Run
from host.building import GOOD, MEAN, NUMBERS, build_snapshot, write_numbers

PROVENANCE = {
    "snapshot": "loans@3",
    "digest": "sha256:abc",
    "deployment": "dep-1",
    "run": "scheduled__2026-03-31",
    "interval": ["2026-03-31T00:00:00Z", "2026-04-01T00:00:00Z"],
}


def everything_in(folder: Path) -> dict[str, str]:
    """By name, the digests of all files."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def loans_table(**columns: list[Any]) -> pa.Table:
    """Three applications; ``columns`` replace those of the first record thrice."""
    record = {**GOOD, "debt": 10.0, "applied": np.datetime64("2026-03-31T12:00:00", "us")}
    return pa.table({name: columns.get(name, [value] * 3) for name, value in record.items()} | columns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def test_what_was_read_comes_back_with_the_answers(folder: Path, means: Path, score: Run) -> None:
    table = write_numbers(folder / "in" / "a.parquet", 2500, row_group=1000)
    result = score(means, batch_rows=300)
    assert (result["rows_in"], result["rows_out"], result["rows_rejected"]) == (2500, 2500, 0)
    written = pq.read_table(folder / "out")
    assert written.select(table.column_names).equals(table)
    expected = np.column_stack([table[name].to_numpy() for name in table.column_names]).mean(axis=1)
    np.testing.assert_allclose(written["mean"].to_numpy(), expected)


def test_the_result_and_the_manifest_say_what_was_written(folder: Path, means: Path, score: Run) -> None:
    write_numbers(folder / "in" / "a.parquet", 10)
    write_numbers(folder / "in" / "b.parquet", 20)
    result = score(means, provenance=PROVENANCE)
    names = ["part-00000.parquet", "part-00001.parquet"]
    assert [(file["path"], file["rows"]) for file in result["files"]] == [
        (str(folder / "out" / name), rows) for name, rows in zip(names, [10, 20], strict=True)
    ]
    for file in result["files"]:
        assert file["sha256"] == "sha256:" + hashlib.sha256(Path(file["path"]).read_bytes()).hexdigest()
    assert result["rows_per_second"] > 0
    manifest = json.loads((folder / "out" / MANIFEST).read_text())
    assert [file["path"] for file in manifest["files"]] == names
    assert manifest["rows_in"] == 30
    assert manifest["provenance"] == PROVENANCE


def test_provenance_is_in_every_file(folder: Path, means: Path, score: Run) -> None:
    write_numbers(folder / "in" / "a.parquet", 10)
    score(means, provenance=PROVENANCE)
    metadata = pq.read_schema(folder / "out" / "part-00000.parquet").metadata
    assert json.loads(metadata[b"airlock"]) == PROVENANCE


def test_a_second_run_leaves_the_same_bytes_once(folder: Path, means: Path, score: Run) -> None:
    for name in ("a", "b", "c"):
        write_numbers(folder / "in" / f"{name}.parquet", 150_000)
    score(means, processes=1)
    first = everything_in(folder / "out")
    assert first.keys() == {"part-00000.parquet", "part-00001.parquet", "part-00002.parquet", MANIFEST}
    assert score(means, processes=2)["processes"] == 2
    assert everything_in(folder / "out") == first


def test_a_run_with_less_input_leaves_nothing_of_the_older_one(folder: Path, means: Path, score: Run) -> None:
    for name in ("a", "b"):
        write_numbers(folder / "in" / f"{name}.parquet", 10)
    score(means)
    pq.write_table(pa.table({"x": [1]}), folder / "out" / "part-of-someone-else.parquet")
    (folder / "in" / "b.parquet").unlink()
    score(means)
    assert everything_in(folder / "out").keys() == {
        "part-00000.parquet",
        "part-of-someone-else.parquet",
        MANIFEST,
    }


def test_one_file_of_many_parts(folder: Path, means: Path, score: Run) -> None:
    tables = [write_numbers(folder / "in" / f"{name}.parquet", 100, seed=ord(name)) for name in "ab"]
    result = score(means, output=str(folder / "out.parquet"), provenance=PROVENANCE)
    [file] = result["files"]
    assert (file["path"], file["rows"]) == (str(folder / "out.parquet"), 200)
    written = pq.read_table(folder / "out.parquet")
    assert written.drop_columns("mean").equals(pa.concat_tables(tables).replace_schema_metadata())
    assert json.loads(written.schema.metadata[b"airlock"]) == PROVENANCE
    assert sorted(path.name for path in folder.iterdir()) == ["in", "means", "out.parquet"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("all", [*GOOD, "customer", "score", "decision"]),
        ("outputs", ["score", "decision"]),
        (["customer"], ["customer", "score", "decision"]),
    ],
)
def test_which_columns_are_written_can_be_chosen(
    folder: Path, loans: Path, score: Run, columns: Any, expected: list[str]
) -> None:
    pq.write_table(loans_table(customer=["a", "b", "c"]), folder / "in" / "a.parquet")
    score(loans, columns=columns)
    assert pq.read_table(folder / "out").column_names == expected


def test_an_answer_takes_the_place_of_a_column_of_its_name(folder: Path, loans: Path, score: Run) -> None:
    pq.write_table(loans_table(score=["old"] * 3), folder / "in" / "a.parquet")
    score(loans)
    written = pq.read_table(folder / "out")
    assert written.column_names == [*GOOD, "score", "decision"]
    assert written.schema.field("score").type == pa.float64()


def test_bad_rows_are_rejected_with_their_reason(folder: Path, loans: Path, score: Run) -> None:
    table = loans_table(age=[40, 3, None], income=[1.0, float("inf"), float("nan")], customer=["a", "b", "c"])
    pq.write_table(table, folder / "in" / "a.parquet")
    result = score(loans, batch_rows=2)
    assert (result["rows_in"], result["rows_out"], result["rows_rejected"]) == (3, 1, 2)
    assert pq.read_table(folder / "out")["customer"].to_pylist() == ["a"]
    rejects = folder / "out" / "_rejects.jsonl"
    assert result["rejects"]["path"] == str(rejects)
    assert result["rejects"]["sha256"] == "sha256:" + hashlib.sha256(rejects.read_bytes()).hexdigest()
    second, third = lines_of(rejects)
    assert (second["file"], second["row"], second["record"]["customer"]) == ("a.parquet", 1, "b")
    assert second["problems"] == [
        {"field": "income", "problem": "is inf", "expected": "a finite number of at least 0"},
        {"field": "age", "problem": "is 3", "expected": "an integer of at least 18 and at most 120"},
    ]
    assert third["row"] == 2
    assert [problem["problem"] for problem in third["problems"]] == ["is null", "is null"]


def test_rejects_go_where_the_job_says_and_vanish_when_there_are_none(
    folder: Path, loans: Path, score: Run
) -> None:
    pq.write_table(loans_table(age=[1, 40, 40]), folder / "in" / "a.parquet")
    rejects = folder / "elsewhere" / "bad.jsonl"
    score(loans, rejects=str(rejects))
    assert [line["row"] for line in lines_of(rejects)] == [0]
    pq.write_table(loans_table(), folder / "in" / "a.parquet")
    assert score(loans, rejects=str(rejects))["rejects"] is None
    assert not rejects.exists()


def test_rows_are_numbered_by_file_whatever_the_parts(
    folder: Path, means: Path, score: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airlock_host.batch.inputs.ROWS_PER_PART", 20)
    table = write_numbers(folder / "in" / "a.parquet", 50, row_group=10)
    bad = table["x07"].to_numpy().copy()
    bad[[5, 25, 49]] = np.nan
    pq.write_table(table.set_column(7, "x07", pa.array(bad)), folder / "in" / "a.parquet", row_group_size=10)
    result = score(means, processes=2)
    assert [file["rows"] for file in result["files"]] == [19, 19, 9]
    assert [line["row"] for line in lines_of(folder / "out" / "_rejects.jsonl")] == [5, 25, 49]


def test_a_file_in_which_every_row_is_bad(folder: Path, loans: Path, score: Run) -> None:
    pq.write_table(loans_table(age=[1, 2, 3]), folder / "in" / "a.parquet")
    result = score(loans)
    assert (result["rows_out"], result["rows_rejected"]) == (0, 3)
    assert pq.read_table(folder / "out").num_rows == 0


def test_no_rows_are_no_fault(folder: Path, loans: Path, score: Run) -> None:
    pq.write_table(loans_table().slice(0, 0), folder / "in" / "a.parquet")
    pq.ParquetWriter(folder / "in" / "b.parquet", loans_table().schema).close()  # not one row group
    result = score(loans)
    assert (result["rows_in"], result["rows_out"], len(result["files"])) == (0, 0, 2)
    assert pq.read_table(folder / "out").column_names == [*GOOD, "score", "decision"]


CSV = """customer,income,age,purpose,owner,debt,applied
a,3000,40,car,true,,2026-03-31
"b, b",0,40,house,False,1e5,2026-03-31T12:00:00+02:00
c,many,40,car,1,,
d,3000,40.5,boat,perhaps,nan,2026-02-30
e,,40,car,0,,
"""


def test_csv_is_read_and_its_bad_cells_are_rejected(folder: Path, loans: Path, score: Run) -> None:
    (folder / "in" / "a.csv").write_text(CSV)
    result = score(loans, batch_rows=2)
    assert (result["rows_in"], result["rows_out"]) == (5, 2)
    written = pq.read_table(folder / "out")
    assert written["customer"].to_pylist() == ["a", "b, b"]
    assert written["decision"].to_pylist() == ["yes", "no"]
    assert written["applied"].cast(pa.string()).to_pylist() == [
        "2026-03-31 00:00:00.000000Z",
        "2026-03-31 10:00:00.000000Z",
    ]
    third, fourth, fifth = lines_of(folder / "out" / "_rejects.jsonl")
    assert (third["row"], third["record"]["income"]) == (2, "many")
    assert {problem["field"]: problem["problem"] for problem in fourth["problems"]} == {
        "age": "is the text '40.5'",
        "purpose": "is 'boat'",
        "owner": "is the text 'perhaps'",
        "debt": "is the text 'nan'",
        "applied": "is the text '2026-02-30'",
    }
    assert [problem["problem"] for problem in fifth["problems"]] == ["is null"]


def test_csv_and_parquet_score_alike(folder: Path, means: Path, score: Run) -> None:
    table = write_numbers(folder / "in" / "a.parquet", 5000)
    pyarrow.csv.write_csv(table, folder / "in" / "b.csv")
    score(means)
    first, second = (pq.read_table(folder / "out" / f"part-0000{number}.parquet") for number in (0, 1))
    assert first.equals(second)


def test_every_kind_of_column_passes_through(folder: Path, loans: Path, score: Run) -> None:
    extra = pa.table(
        {
            "list": [[1], [], [2, 3]],
            "money": pa.array(["1.50", "2.00", None]).cast(pa.decimal128(9, 2)),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    table = loans_table()
    for name in extra.column_names:
        table = table.append_column(name, extra[name])
    pq.write_table(table, folder / "in" / "a.parquet")
    score(loans)
    assert pq.read_table(folder / "out").select(extra.column_names).to_pylist() == extra.to_pylist()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 3], pa.int8()),
        pa.array([1, 2, 3], pa.float32()),
        pa.array(["1", "2.5", "3"]).cast(pa.decimal128(9, 2)),
    ],
    ids=lambda column: str(column.type),
)
def test_a_number_may_be_stored_in_any_type_of_number(
    folder: Path, loans: Path, score: Run, column: pa.Array
) -> None:
    pq.write_table(loans_table(income=column), folder / "in" / "a.parquet")
    assert score(loans)["rows_out"] == 3


def test_an_integer_too_large_is_rejected(folder: Path, loans: Path, score: Run) -> None:
    pq.write_table(loans_table(age=pa.array([40, 2**63, None], pa.uint64())), folder / "in" / "a.parquet")
    assert score(loans)["rows_out"] == 1
    rejects = lines_of(folder / "out" / "_rejects.jsonl")
    assert [line["problems"][0]["problem"] for line in rejects] == ["is 9223372036854775808", "is null"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1774958400] * 3, pa.timestamp("s")),
        pa.array([1774958400_000_000_000] * 3, pa.timestamp("ns", tz="Europe/Berlin")),
        pa.array([1774958400_000] * 3, pa.date64()),
        pa.array([20543] * 3, pa.date32()),
    ],
    ids=lambda column: str(column.type),
)
def test_times_may_be_stored_in_any_unit_and_zone(folder: Path, score: Run, column: pa.Array) -> None:
    """All of these are midday or midnight, UTC, of one day; the model hands through what it gets."""
    pq.write_table(pa.table({"when": column}), folder / "in" / "a.parquet")
    model = build_snapshot(
        folder / "model",
        "def score(rows):\n    return {'day': rows['when'].dt.strftime('%Y-%m-%d')}\n",
        inputs=({"name": "when", "type": "timestamp"},),
        outputs=({"name": "day", "type": "string"},),
    )
    score(model)
    assert set(pq.read_table(folder / "out")["day"].to_pylist()) == {"2026-03-31"}


@pytest.mark.parametrize("form", ["dict[str, np.ndarray]", "pa.RecordBatch", "dict"])
def test_nulls_of_every_type_go_in_and_out(folder: Path, score: Run, form: str) -> None:
    kinds = {
        "i": ("integer", [1, None, 2**40]),
        "x": ("number", [0.5, None, 2.0]),
        "s": ("string", ["a", None, ""]),
        "b": ("boolean", [True, None, False]),
        "t": ("timestamp", [np.datetime64("2026-03-31T12:00:00", "us"), None, np.datetime64(0, "us")]),
    }
    fields = tuple({"name": name, "type": kind, "nullable": True} for name, (kind, _) in kinds.items())
    table = pa.table({name: pa.array(values) for name, (_, values) in kinds.items()})
    pq.write_table(table, folder / "in" / "a.parquet")
    source = f"""
        import numpy as np
        import pyarrow as pa
        def score(rows: {form}):
            return rows
    """
    score(build_snapshot(folder / "model", source, inputs=fields, outputs=fields))
    written = pq.read_table(folder / "out")
    assert written["t"].cast(pa.timestamp("us")).to_pylist() == table["t"].to_pylist()
    assert written.drop_columns("t").to_pylist() == table.drop_columns("t").to_pylist()


def test_strings_may_be_stored_as_dictionaries_and_nulls_without_a_type(
    folder: Path, loans: Path, score: Run
) -> None:
    table = loans_table(purpose=pa.array(["car", "boat", "house"]).dictionary_encode(), debt=pa.nulls(3))
    pq.write_table(table, folder / "in" / "a.parquet")
    assert score(loans)["rows_rejected"] == 1


@pytest.mark.parametrize(
    ("column", "field"),
    [({"age": ["40"] * 3}, "age"), ({"owner": [1] * 3}, "owner"), ({"applied": [1.0] * 3}, "applied")],
)
def test_a_column_of_the_wrong_type_ends_the_job_before_it_begins(
    folder: Path, loans: Path, score: Run, column: dict[str, list[Any]], field: str
) -> None:
    pq.write_table(loans_table(**column), folder / "in" / "a.parquet")
    with pytest.raises(InputUnusable, match=rf"a\.parquet: column '{field}' is of type") as refused:
        score(loans)
    assert refused.value.field == field
    assert not (folder / "out").exists()


def test_a_missing_column_is_named(folder: Path, loans: Path, score: Run) -> None:
    pq.write_table(loans_table().drop_columns("age"), folder / "in" / "a.parquet")
    with pytest.raises(InputUnusable, match="has no column 'age', which the model takes") as refused:
        score(loans)
    assert refused.value.field == "age"


def test_files_must_be_alike(folder: Path, means: Path, score: Run) -> None:
    table = write_numbers(folder / "in" / "a.parquet", 5)
    pq.write_table(table.append_column("id", pa.array([1] * 5)), folder / "in" / "b.parquet")
    with pytest.raises(InputUnusable, match=r"other columns than .*: id is int64 instead of missing"):
        score(means)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.parquet", b"PAR1 not really", "cannot be read as Parquet"),
        ("a.parquet", b"", "cannot be read as Parquet"),
        ("a.csv", b"", "cannot be read as CSV"),
        ("a.txt", b"x", "holds no Parquet or CSV file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    folder: Path, means: Path, score: Run, name: str, content: bytes, reason: str
) -> None:
    (folder / "in" / name).write_bytes(content)
    with pytest.raises(InputUnusable, match=reason):
        score(means)


def test_a_csv_line_with_too_many_cells_ends_the_job(folder: Path, means: Path, score: Run) -> None:
    names = [entry["name"] for entry in NUMBERS]
    lines = [",".join(names), ",".join(["1"] * 20), ",".join(["1"] * 21)]
    (folder / "in" / "a.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputUnusable, match=r"a\.csv cannot be read as CSV: .*Expected 20 columns, got 21"):
        score(means)


def test_a_csv_that_is_not_utf8_ends_the_job(folder: Path, means: Path, score: Run) -> None:
    names = [entry["name"] for entry in NUMBERS]
    lines = [",".join([*names, "note"]).encode(), b",".join([b"1"] * 20 + [b"caf\xe9"])]
    (folder / "in" / "a.csv").write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(InputUnusable, match=r"a\.csv cannot be read as CSV: .*UTF8"):
        score(means)


def test_damage_in_the_middle_of_a_file_ends_the_job_and_keeps_the_older_output(
    folder: Path, means: Path, score: Run
) -> None:
    path = folder / "in" / "a.parquet"
    write_numbers(path, 50_000, row_group=10_000)
    score(means)
    before = everything_in(folder / "out")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = b"\xff" * 20_000
    path.write_bytes(content)
    with pytest.raises(InputUnusable, match=r"a\.parquet cannot be read to its end"):
        score(means)
    assert everything_in(folder / "out") == before


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("nowhere.parquet", "does not exist"),
        ("in/*.parquet", "no Parquet or CSV file matches"),
        ("in", "holds no Parquet or CSV file"),
        ("notes.txt", "is neither Parquet"),
    ],
)
def test_an_input_that_is_not_there_is_named(
    folder: Path, means: Path, score: Run, given: str, reason: str
) -> None:
    (folder / "notes.txt").touch()
    with pytest.raises(InputUnusable, match=reason):
        score(means, input=str(folder / given))


def test_inputs_may_be_files_folders_and_patterns(folder: Path, means: Path, score: Run) -> None:
    for name in (
        "in/a.parquet",
        "in/_hidden.parquet",
        "in/.hidden.parquet",
        "other.pq",
        "x1.parquet",
        "x2.parquet",
    ):
        write_numbers(folder / name, 10)
    inputs = [str(folder / name) for name in ("in", "other.pq", "x*.parquet", "x1.parquet")]
    assert score(means, input=inputs)["rows_in"] == 40


def test_the_output_must_not_be_an_input(folder: Path, means: Path, score: Run) -> None:
    write_numbers(folder / "in" / "a.parquet", 10)
    with pytest.raises(InputUnusable, match="would score its own output"):
        score(means, output=str(folder / "in"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"colour": 1}, "unknown keys colour"),
        ({"kind": "train"}, "is of kind 'score', not 'train'"),
        ({"output": None}, "must name its 'output'"),
        ({"input": []}, "'input' must be a path, or a list of paths"),
        ({"columns": "some"}, "'columns' must be 'all', 'outputs' or a list of names"),
        ({"columns": ["other"]}, "'columns' names 'other', which the input does not have"),
        ({"processes": 0}, "'processes' must be a whole number of at least 1"),
        ({"batch_rows": 1.5}, "'batch_rows' must be a whole number of at least 1"),
        ({"provenance": []}, "'provenance' must be an object"),
    ],
)
def test_a_job_that_is_wrong_says_where(
    folder: Path, means: Path, score: Run, change: dict[str, Any], reason: str
) -> None:
    write_numbers(folder / "in" / "a.parquet", 10)
    with pytest.raises(InputUnusable, match=reason):
        score(means, **change)


def test_a_model_that_fails_names_the_rows_and_keeps_the_older_output(folder: Path, score: Run) -> None:
    write_numbers(folder / "in" / "a.parquet", 1000)
    source = """
        import os
        def score(rows):
            if os.path.exists("{flag}") and len(rows) == 100:
                raise ValueError("no such branch")
            return rows.mean(axis=1)
    """.replace("{flag}", str(folder / "flag"))
    model = build_snapshot(folder / "model", source, inputs=NUMBERS, outputs=MEAN)
    score(model, batch_rows=300)
    before = everything_in(folder / "out")
    (folder / "flag").touch()
    with pytest.raises(
        ModelFailed, match=r"a\.parquet, rows 900 to 999: the model raised ValueError: no such"
    ):
        score(model, batch_rows=300)
    assert everything_in(folder / "out") == before


def test_an_answer_that_breaks_the_output_schema_ends_the_job(folder: Path, score: Run) -> None:
    write_numbers(folder / "in" / "a.parquet", 10)
    source = "def score(rows):\n    return [float('nan')] * len(rows)\n"
    model = build_snapshot(folder / "model", source, inputs=NUMBERS, outputs=MEAN)
    with pytest.raises(ModelFailed, match="rows 0 to 9: the model's answer breaks its output schema"):
        score(model)


def test_a_model_that_does_not_load_ends_the_job(folder: Path, score: Run) -> None:
    write_numbers(folder / "in" / "a.parquet", 10)
    model = build_snapshot(folder / "model", "import nowhere_to_be_found", inputs=NUMBERS, outputs=MEAN)
    with pytest.raises(SnapshotUnusable, match="needs nowhere_to_be_found"):
        score(model)


def test_what_a_model_prints_does_no_harm(folder: Path, score: Run) -> None:
    write_numbers(folder / "in" / "a.parquet", 10)
    source = "def score(rows):\n    print('scoring', len(rows))\n    return rows.mean(axis=1)\n"
    assert score(build_snapshot(folder / "model", source, inputs=NUMBERS, outputs=MEAN))["rows_out"] == 10
