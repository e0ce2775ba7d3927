"""Reading what a folder says of its model, in each format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlock.exceptions import SnapshotError, SpecError
from airlock.snapshots.model_folder import find_files
from airlock.snapshots.plan import Plan, read_plan
from airlock.spec.schema import Field

SCHEMAS = "input: [{name: income, type: number}]\noutput: [{name: probability, type: number}]\n"


def plan(folder: Path, *services: str) -> Plan:
    return read_plan(folder, find_files(folder), services)


def write(folder: Path, **contents: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


# Python modules


def test_a_python_model(model_folder: Path) -> None:
    found = plan(model_folder)
    assert found.format == "python"
    assert found.entry_points == {"module": "model.py", "init": "load", "score": "score"}
    assert found.input_schema == (Field("income", "number", min=0), Field("years", "integer", nullable=True))
    assert found.golden == "golden.jsonl"
    assert found.python == ">=3.11,<3.14"
    assert found.services == ("loans",)


def test_the_module_may_have_another_name(model_folder: Path) -> None:
    (model_folder / "src").mkdir()
    (model_folder / "model.py").rename(model_folder / "src" / "scoring.py")
    with (model_folder / "model.yaml").open("a") as stream:
        stream.write("source: ./src/scoring.py\n")
    assert plan(model_folder).entry_points["module"] == "src/scoring.py"


def test_services_named_when_packing_are_added(model_folder: Path) -> None:
    assert plan(model_folder, "mortgages", "loans").services == ("loans", "mortgages")


def test_a_model_for_no_service_is_refused(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "m", model__yaml=f"model: m\nowner: me\n{SCHEMAS}", model__py="def score(x): ..."
    )
    with pytest.raises(SnapshotError, match=r"No service is named.*Add 'services"):
        plan(folder)
    assert plan(folder, "loans").services == ("loans",)
    with pytest.raises(SnapshotError, match="'Not A Name' cannot be the name of a service"):
        plan(folder, "Not A Name")


def test_a_python_model_must_list_its_fields(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "m", model__yaml="model: m\nowner: me\nservices: [s]", model__py="def score(x): ..."
    )
    with pytest.raises(SnapshotError, match=r"does not list the fields of its input.*Add 'input:'"):
        plan(folder)


@pytest.mark.parametrize(
    ("addition", "problem"),
    [
        ("source: absent.py", r"no absent\.py: model\.yaml names it as the source"),
        ("golden: absent.jsonl", r"no absent\.jsonl: model\.yaml names it as the golden records"),
        ("format: mlflow", "has no MLmodel"),
    ],
)
def test_a_file_that_is_named_must_be_there(model_folder: Path, addition: str, problem: str) -> None:
    with (model_folder / "model.yaml").open("a") as stream:
        stream.write(f"{addition}\n")
    with pytest.raises(SnapshotError, match=problem):
        plan(model_folder)


def test_a_file_that_is_named_but_ignored_is_said_to_be(model_folder: Path) -> None:
    (model_folder / ".airlockignore").write_text("model.py\n")
    with pytest.raises(SnapshotError, match=r"no model\.py"):
        plan(model_folder)
    with (model_folder / "model.yaml").open("a") as stream:
        stream.write("format: python\n")
    with pytest.raises(SnapshotError, match=r"no model\.py.* It is there, but ignored"):
        plan(model_folder)


def test_a_mistake_in_model_yaml_is_named_with_its_line(model_folder: Path) -> None:
    (model_folder / "model.yaml").write_text("model: m\nownr: me\n")
    with pytest.raises(SpecError, match=r"model\.yaml") as caught:
        plan(model_folder)
    assert "owner" in str(caught.value)


def test_golden_records_must_fit(model_folder: Path) -> None:
    (model_folder / "golden.jsonl").write_text('{"input": {"income": -1}, "output": {"probability": 0}}')
    with pytest.raises(SnapshotError, match=r"golden\.jsonl.*line 1: input 'income' is -1"):
        plan(model_folder)


def test_golden_records_are_not_required(model_folder: Path) -> None:
    (model_folder / "golden.jsonl").unlink()
    assert plan(model_folder).golden is None


def test_a_folder_without_a_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"has no model\.yaml.*'model' and 'owner'"):
        plan(write(tmp_path / "m", model__py="def score(x): ..."))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"holds no model.*MLmodel.*model\.py.*\.onnx"):
        plan(write(tmp_path / "m", model__yaml="model: m\nowner: me\n"))


# MLflow


def mlflow_folder(folder: Path, **signature: Any) -> Path:
    signature = signature or {
        "inputs": json.dumps([{"type": "double", "name": "income", "required": True}]),
        "outputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]),
    }
    flavors = {"python_function": {"loader_module": "mlflow.sklearn", "python_version": "3.12.4"}}
    mlmodel = yaml.safe_dump({"flavors": flavors, "signature": signature})
    return write(folder, MLmodel=mlmodel, requirements__txt="scikit-learn==1.6.0\n")


def test_an_mlflow_folder_needs_no_description(tmp_path: Path) -> None:
    found = plan(mlflow_folder(tmp_path / "credit-risk"), "loans")
    assert found.description.model == "credit-risk"
    assert found.format == "mlflow"
    assert found.entry_points == {"model": "MLmodel"}
    assert found.input_schema == (Field("income", "number"),)
    assert found.output_schema == (Field("prediction", "number"),)
    assert found.requirements == "requirements.txt"
    assert found.python == "==3.12.*"


def test_an_mlflow_folder_whose_name_is_no_name_needs_a_description(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"its own name cannot be the model's.*Write a model\.yaml"):
        plan(mlflow_folder(tmp_path / "Credit Risk"), "loans")


def test_a_description_beside_an_mlmodel_wins(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path / "m")
    description = "model: other\nowner: me\nservices: [loans]\npython: '>=3.12'\nrequirements: mine.txt\n"
    write(folder, model__yaml=description + SCHEMAS, mine__txt="")
    found = plan(folder)
    assert (found.description.model, found.python, found.requirements) == ("other", ">=3.12", "mine.txt")
    assert found.output_schema == (Field("probability", "number"),)


def test_the_requirements_of_a_python_env_are_used_where_there_are_no_others(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path / "m")
    write(folder, python_env__yaml="dependencies: [scikit-learn]\n")
    assert plan(folder, "loans").requirements == "requirements.txt"
    (folder / "requirements.txt").unlink()
    assert plan(folder, "loans").requirements == "python_env.yaml"


def test_an_mlflow_model_whose_signature_cannot_be_used_says_why(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path / "m", inputs="[]", outputs="[]")
    with pytest.raises(SnapshotError, match=r"MLmodel does not either: the inputs .* not a list of columns"):
        plan(folder, "loans")


# ONNX


def test_an_onnx_model(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model__yaml=f"model: m\nowner: me\n{SCHEMAS}", graph__onnx="")
    found = plan(folder, "loans")
    assert found.format == "onnx"
    assert found.entry_points == {"graph": "graph.onnx"}


def test_an_onnx_model_must_list_its_fields(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model__yaml="model: m\nowner: me\n", graph__onnx="")
    with pytest.raises(SnapshotError, match=r"model\.yaml of m does not list the fields of its input"):
        plan(folder, "loans")


def test_of_several_onnx_files_one_must_be_named(tmp_path: Path) -> None:
    description = f"model: m\nowner: me\n{SCHEMAS}"
    folder = write(tmp_path / "m", model__yaml=description, a__onnx="", b__onnx="")
    with pytest.raises(SnapshotError, match=r"2 files that end in \.onnx: a\.onnx, b\.onnx.*'source'"):
        plan(folder, "loans")
    write(folder, model__yaml=description + "source: b.onnx\n")
    assert plan(folder, "loans").entry_points == {"graph": "b.onnx"}
