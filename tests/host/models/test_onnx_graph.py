"""Models that are ONNX graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from airlock_host.exceptions import SnapshotUnusable
from airlock_host.json_rows import read_records, write_records
from airlock_host.models import load
from airlock_host.snapshot import Snapshot
from host.building import Entries, write_manifest

A_AND_B: Entries = ({"name": "a", "type": "number"}, {"name": "b", "type": "number"})
SCORE: Entries = ({"name": "score", "type": "number"},)


def graph_snapshot(folder: Path, graph: onnx.GraphProto, inputs: Entries, outputs: Entries) -> Snapshot:
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "graph.onnx")
    manifest = {
        "format": "onnx",
        "entry_points": {"graph": "graph.onnx"},
        "input_schema": inputs,
        "output_schema": outputs,
    }
    return Snapshot.open(write_manifest(folder, manifest))


def sum_of_matrix(outputs: int = 1) -> onnx.GraphProto:
    """The rows of one matrix times a column of ones, or (a classifier's two columns) of halves and ones."""
    weights = np.array([[1.0], [1.0]] if outputs == 1 else [[0.5, 1.0], [0.5, 1.0]], dtype=np.float32)
    return helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["answer"])],
        "sum",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None, outputs])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )


def sum_of_columns() -> onnx.GraphProto:
    """Two inputs by name, one whole and one not."""
    return helper.make_graph(
        [
            helper.make_node("Cast", ["b"], ["wide"], to=TensorProto.DOUBLE),
            helper.make_node("Add", ["a", "wide"], ["score"]),
        ],
        "sum",
        [
            helper.make_tensor_value_info("a", TensorProto.DOUBLE, [None, 1]),
            helper.make_tensor_value_info("b", TensorProto.INT64, [None, 1]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.DOUBLE, [None, 1])],
    )


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_matrix_of_all_fields(tmp_path: Path, outputs: int) -> None:
    model = load(graph_snapshot(tmp_path / "s", sum_of_matrix(outputs), A_AND_B, SCORE))
    rows = read_records([{"a": 1.0, "b": 2.0}, {"b": 5.0, "a": 3.0}], model.snapshot.inputs)
    assert write_records(model.score(rows)) == [{"score": 3.0}, {"score": 8.0}]


def test_an_input_a_field(tmp_path: Path) -> None:
    inputs = ({"name": "b", "type": "integer"}, {"name": "a", "type": "number"})
    model = load(graph_snapshot(tmp_path / "s", sum_of_columns(), inputs, SCORE))
    rows = read_records([{"a": 1.5, "b": 2}], model.snapshot.inputs)
    assert write_records(model.score(rows)) == [{"score": 3.5}]


def test_other_inputs_than_fields_are_named(tmp_path: Path) -> None:
    inputs = ({"name": "b", "type": "integer"}, {"name": "c", "type": "string"})
    with pytest.raises(SnapshotUnusable, match=r"takes the inputs \['a', 'b'\].* lists \['b', 'c'\]"):
        load(graph_snapshot(tmp_path / "s", sum_of_columns(), inputs, SCORE))


def test_an_integer_that_may_be_null_fits_no_input(tmp_path: Path) -> None:
    inputs = ({"name": "b", "type": "integer", "nullable": True}, {"name": "a", "type": "number"})
    with pytest.raises(SnapshotUnusable, match="'b' may be null"):
        load(graph_snapshot(tmp_path / "s", sum_of_columns(), inputs, SCORE))


def test_other_outputs_than_fields_are_named(tmp_path: Path) -> None:
    outputs = (*SCORE, {"name": "reason", "type": "string"})
    with pytest.raises(SnapshotUnusable, match=r"answers the outputs \['score'\]"):
        load(graph_snapshot(tmp_path / "s", sum_of_columns(), A_AND_B, outputs))


def test_a_broken_graph_says_so(tmp_path: Path) -> None:
    snapshot = graph_snapshot(tmp_path / "s", sum_of_matrix(), A_AND_B, SCORE)
    (snapshot.folder / "graph.onnx").write_bytes(b"no graph")
    with pytest.raises(SnapshotUnusable, match=r"onnxruntime cannot load graph\.onnx"):
        load(snapshot)
