"""Labelled data: whatever is wrong with it is said, and a model never sees the target."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from airlock_host.exceptions import InputUnusable
from airlock_host.measure import run
from airlock_host.measure.dataset import Dataset
from measure.building import INPUT, customers, schema, write_dataset

INPUTS = schema(*INPUT)


def test_features_are_written_without_the_target_and_anything_the_model_does_not_take(tmp_path: Path) -> None:
    table = customers(20).append_column("secret", pa.array(range(20)))
    job = {"kind": "features", "dataset": write_dataset(tmp_path, table), "input": INPUT}

    found = run({**job, "output": str(tmp_path / "features.parquet")})

    written = pq.read_table(tmp_path / "features.parquet")
    assert written.column_names == ["customer", "income", "children", "airlock_row"]
    assert found["dataset"]["rows"] == 20


def test_the_digest_is_the_files_sha256(tmp_path: Path) -> None:
    job = write_dataset(tmp_path, customers(10))

    expected = hashlib.sha256((tmp_path / "holdout.parquet").read_bytes()).hexdigest()
    assert Dataset.open(job, INPUTS).digest == f"sha256:{expected}"


def test_several_files_are_one_data_set_whose_digest_changes_with_any_of_them(tmp_path: Path) -> None:
    for part in range(3):
        write_dataset(tmp_path, customers(10, seed=part), f"part-{part}.parquet")
    job = {"name": "holdout", "path": str(tmp_path / "part-*.parquet"), "target": "defaulted"}
    before = Dataset.open(job, INPUTS)
    write_dataset(tmp_path, customers(10, seed=9), "part-1.parquet")
    after = Dataset.open(job, INPUTS)

    assert before.facts["rows"] == after.facts["rows"] == 30
    assert before.digest != after.digest


def test_csv_columns_are_read_as_the_schema_says(tmp_path: Path) -> None:
    table = customers(5).set_column(0, "customer", pa.array([f"00{number}" for number in range(5)]))
    pyarrow.csv.write_csv(table, tmp_path / "holdout.csv")
    job = {"name": "holdout", "path": str(tmp_path / "holdout.csv"), "target": "defaulted"}

    features = Dataset.open(job, INPUTS).features(INPUTS)

    assert features.column("customer").to_pylist()[1] == "001"
    assert features.column("children").null_count == 1


def test_rows_that_repeat_are_counted(tmp_path: Path) -> None:
    table = customers(10)

    assert Dataset.open(write_dataset(tmp_path, table), INPUTS).duplicates() == 0
    twice = pa.concat_tables([table, table.slice(0, 4)])
    assert Dataset.open(write_dataset(tmp_path, twice), INPUTS).duplicates() == 4


def test_a_column_that_may_be_null_may_be_missing(tmp_path: Path) -> None:
    job = write_dataset(tmp_path, customers(10).drop_columns("children"))

    assert Dataset.open(job, INPUTS).features(INPUTS).column("children").null_count == 10


def use(job: dict[str, str]) -> None:
    """All that a check does with a data set."""
    dataset = Dataset.open(job, INPUTS)
    dataset.features(INPUTS)
    dataset.numbers()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda table: table.drop_columns("defaulted"),
            "no target column 'defaulted'; it has customer, income",
        ),
        (lambda table: table.drop_columns("income"), "lacks the column 'income'"),
        (lambda table: table.slice(0, 0), "has no rows"),
        (
            lambda table: table.set_column(1, "income", pa.array(["much"] * len(table))),
            "column 'income' .* is string and no double",
        ),
        (
            lambda table: table.set_column(3, "defaulted", pa.array(["yes", "no"] * (len(table) // 2))),
            "target 'defaulted' .* is string and not numbers",
        ),
    ],
)
def test_unusable_data_is_explained(tmp_path: Path, spoil: object, message: str) -> None:
    assert callable(spoil)
    job = write_dataset(tmp_path, spoil(customers(10)))

    with pytest.raises(InputUnusable, match=message):
        use(job)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match=r"data set 'holdout': .*/nowhere\.parquet does not exist"):
        Dataset.open(
            {"name": "holdout", "path": str(tmp_path / "nowhere.parquet"), "target": "defaulted"}, INPUTS
        )


def test_a_file_that_is_no_parquet_is_explained(tmp_path: Path) -> None:
    (tmp_path / "holdout.parquet").write_text("no, not really")

    with pytest.raises(InputUnusable, match="cannot be read"):
        Dataset.open(
            {"name": "holdout", "path": str(tmp_path / "holdout.parquet"), "target": "defaulted"}, INPUTS
        )


def test_a_model_that_takes_the_target_is_refused(tmp_path: Path) -> None:
    inputs = schema(*INPUT, {"name": "defaulted", "type": "integer"})

    with pytest.raises(InputUnusable, match="scored on the answer"):
        Dataset.open(write_dataset(tmp_path, customers(10)), inputs).features(inputs)
