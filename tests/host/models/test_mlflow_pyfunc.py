"""Models that are MLflow folders."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from airlock_host.exceptions import SnapshotUnusable
from airlock_host.json_rows import read_records, write_records
from airlock_host.models import load
from airlock_host.snapshot import Snapshot
from host.building import GOOD, INPUTS, OUTPUTS, write_manifest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow.pyfunc
import mlflow.sklearn
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from sklearn.linear_model import LinearRegression

SOURCE = """
import mlflow
import pandas as pd

class Loans(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        assert model_input.dtypes["income"] == "float32", model_input.dtypes
        return pd.DataFrame({
            "score": model_input["age"] / 120,
            "decision": ["yes" if owner else "no" for owner in model_input["owner"]],
        })

mlflow.models.set_model(Loans())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder saved by MLflow, whose signature wants a float where Airlock's schema has a number."""
    source = tmp_path / "loans.py"
    source.write_text(SOURCE, encoding="utf-8")
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(DataType.float, "income"),
                ColSpec(DataType.long, "age"),
                ColSpec(DataType.string, "purpose"),
                ColSpec(DataType.boolean, "owner"),
                ColSpec(DataType.double, "debt", required=False),
                ColSpec(DataType.datetime, "applied", required=False),
            ]
        )
    )
    saved = tmp_path / "saved"
    mlflow.pyfunc.save_model(
        saved, python_model=str(source), signature=signature, pip_requirements=["mlflow-skinny", "pandas"]
    )
    manifest = {
        "format": "mlflow",
        "entry_points": {"model": "MLmodel"},
        "input_schema": INPUTS,
        "output_schema": OUTPUTS,
    }
    return write_manifest(saved, manifest)


def test_a_folder_is_loaded_and_scored(folder: Path) -> None:
    model = load(Snapshot.open(folder))
    records = [GOOD, {**GOOD, "age": 60, "owner": False, "debt": 1.0, "applied": None}]
    answer = write_records(model.score(read_records(records, model.snapshot.inputs)))
    assert answer == [{"score": 40 / 120, "decision": "yes"}, {"score": 0.5, "decision": "no"}]


def test_the_same_as_mlflow_itself(folder: Path) -> None:
    frame = pd.DataFrame(
        {**GOOD, "debt": float("nan"), "applied": pd.Timestamp("2026-03-31T12:00")}, index=[0]
    )
    direct = mlflow.pyfunc.load_model(str(folder)).predict(frame.astype({"income": "float32"}))
    model = load(Snapshot.open(folder))
    ours = write_records(model.score(read_records([GOOD], model.snapshot.inputs)))
    assert ours == direct.to_dict(orient="records")


def test_the_flavour_of_a_library_answers_as_with_mlflow_itself(tmp_path: Path) -> None:
    """Where the host checks alone, with the dtypes that the signature wants."""
    frame = pd.DataFrame({"income": [1.0, 2.0, 3.0], "age": [20, 50, 80]})
    learned = LinearRegression().fit(frame, [0.1, 0.5, 0.9])
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.float, "income"), ColSpec(DataType.integer, "age")])
    )
    mlflow.sklearn.save_model(
        learned,
        tmp_path / "saved",
        signature=signature,
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    direct = mlflow.pyfunc.load_model(str(tmp_path / "saved")).predict(
        frame.astype({"income": "float32", "age": "int32"})
    )
    inputs = [{"name": "income", "type": "number"}, {"name": "age", "type": "integer"}]
    manifest = {
        "format": "mlflow",
        "entry_points": {"model": "MLmodel"},
        "input_schema": inputs,
        "output_schema": [{"name": "score", "type": "number"}],
    }
    model = load(Snapshot.open(write_manifest(tmp_path / "saved", manifest)))
    rows = read_records(frame.to_dict(orient="records"), model.snapshot.inputs)
    assert [record["score"] for record in write_records(model.score(rows))] == direct.tolist()


def test_a_broken_folder_says_so(folder: Path) -> None:
    (folder / "MLmodel").write_text("flavors: {}", encoding="utf-8")
    with pytest.raises(SnapshotUnusable, match="MLflow cannot load model 'loans'"):
        load(Snapshot.open(folder))
