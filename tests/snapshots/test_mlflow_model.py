"""Reading MLflow's MLmodel as data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlock.exceptions import SnapshotError
from airlock.snapshots.mlflow_model import MlflowModel, minor_version, read_mlmodel
from airlock.spec.schema import Field

INPUTS = [
    {"type": "double", "name": "income", "required": True},
    {"type": "long", "name": "years", "required": False},
    {"type": "string", "name": "purpose", "required": True},
    {"type": "boolean", "name": "married", "required": True},
    {"type": "datetime", "name": "applied", "required": True},
    {"type": "float", "name": "rate", "required": True},
    {"type": "integer", "name": "children", "required": True},
]
TENSOR = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}


def read(folder: Path, *, inputs: Any = INPUTS, outputs: Any = (TENSOR,), **more: Any) -> MlflowModel:
    document: dict[str, Any] = {
        "flavors": {"python_function": {"loader_module": "mlflow.sklearn", "python_version": "3.12.4"}},
        "model_uuid": "0d2e",
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None},
    }
    (folder / "MLmodel").write_text(yaml.safe_dump(document | more))
    return read_mlmodel(folder)


def test_the_signature_becomes_fields(tmp_path: Path) -> None:
    model = read(tmp_path, outputs=[{"type": "double", "name": "probability", "required": True}])
    assert model.input == (
        Field("income", "number"),
        Field("years", "integer", nullable=True),
        Field("purpose", "string"),
        Field("married", "boolean"),
        Field("applied", "timestamp"),
        Field("rate", "number"),
        Field("children", "integer"),
    )
    assert model.output == (Field("probability", "number"),)
    assert model.python == "3.12.4"


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ({"type": "long", "required": True}, "integer"),
        (TENSOR, "number"),
        ({"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 1]}}, "integer"),
        ({"type": "tensor", "tensor-spec": {"dtype": "bool", "shape": [-1]}}, "boolean"),
        ({"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}, "string"),
    ],
)
def test_a_single_answer_without_a_name_is_called_prediction(
    tmp_path: Path, column: dict[str, Any], kind: Any
) -> None:
    assert read(tmp_path, outputs=[column]).output == (Field("prediction", kind),)


@pytest.mark.parametrize(
    ("signature", "problem"),
    [
        ({"inputs": [TENSOR]}, r"inputs\[0\] of its signature has no name"),
        ({"inputs": [{"type": "double"}, {"type": "double"}]}, "has no name"),
        (
            {"inputs": [{"type": "array", "name": "pixels"}]},
            "'pixels', has the type 'array'",
        ),
        ({"inputs": [{"type": "double", "name": "a"}] * 2}, "name a column twice"),
        ({"inputs": "text"}, "not a list of columns"),
        ({"inputs": []}, "not a list of columns"),
        (
            {"outputs": [{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [-1, 28]}}]},
            "has the type 'tensor'",
        ),
        ({"signature": None}, "no signature"),
        ({"signature": {"inputs": "[{]", "outputs": "[]"}}, "not valid JSON"),
        ({"signature": {"inputs": None, "outputs": "[]"}}, "has no inputs"),
    ],
)
def test_a_signature_that_fields_cannot_express_says_why(
    tmp_path: Path, signature: dict[str, Any], problem: str
) -> None:
    model = read(tmp_path, **signature)
    assert model.input is None
    assert model.output is None
    assert re.search(problem, model.signature_problem)


def test_a_model_without_the_python_flavor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"no flavor 'python_function'.*mlflow.sklearn"):
        read(tmp_path, flavors={"onnx": {}})


@pytest.mark.parametrize("text", ["flavors: [", "", "just text", "- a list", "flavors: text"])
def test_a_file_that_is_not_an_mlmodel_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(SnapshotError, match="MLmodel"):
        read_mlmodel(tmp_path)


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(f"flavors: !!python/object/apply:os.mkdir ['{tmp_path}/made']")
    with pytest.raises(SnapshotError, match="cannot be read"):
        read_mlmodel(tmp_path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("python", "versions"), [("3.12.4", "==3.12.*"), ("3.11", "==3.11.*"), ("three", None)]
)
def test_a_saved_model_fits_its_minor_version_of_python(python: str, versions: str | None) -> None:
    assert minor_version(python) == versions
