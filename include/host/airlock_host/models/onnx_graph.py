"""A model that is an ONNX graph, run by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from airlock_host.columns import Columns
from airlock_host.exceptions import SnapshotUnusable
from airlock_host.models.forms import fits_array
from airlock_host.snapshot import Snapshot

_DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def load_score(snapshot: Snapshot) -> Callable[[Columns], Any]:
    """Load the graph and return a function that runs it on columns.

    A graph with one input of two dimensions gets all fields as one matrix in the schema's order; any other
    must have one input a field, by name, of shape (rows,) or (rows, 1).

    The graph's outputs answer the output fields of the same names, or, where no name agrees, in order. An
    output of shape (rows, 2) for one field is a classifier's probabilities: the second column, that of the
    positive class, is the answer.

    :raises SnapshotUnusable: onnxruntime cannot load it, or inputs or outputs do not fit the schemas.
    """
    import onnxruntime

    path = snapshot.folder / snapshot.entry_points["graph"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise SnapshotUnusable(f"onnxruntime cannot load {path.name}: {error}") from error
    feed = _feed(session.get_inputs(), snapshot, path)
    outputs = _outputs(session.get_outputs(), snapshot, path)

    def score(rows: Columns) -> Any:
        answers = session.run(list(outputs.values()), feed(rows))
        return {name: _one_column(answer) for name, answer in zip(outputs, answers, strict=True)}

    return score


def _feed(inputs: Any, snapshot: Snapshot, path: Path) -> Callable[[Columns], dict[str, Any]]:
    unknown = [entry.type for entry in inputs if entry.type not in _DTYPES]
    if unknown:
        raise SnapshotUnusable(f"{path.name} takes {unknown[0]}, which the host cannot feed")
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and fits_array(snapshot.inputs):
        name, dtype = inputs[0].name, _DTYPES[inputs[0].type]
        return lambda rows: {name: rows.matrix().astype(dtype, copy=False)}
    wanted, known = {entry.name for entry in inputs}, set(snapshot.inputs.names)
    if wanted != known:
        raise SnapshotUnusable(
            f"{path.name} takes the inputs {sorted(wanted)}, the input schema lists {sorted(known)}"
        )
    optional = {field.name for field in snapshot.inputs if field.nullable and field.type != "number"}
    for entry in inputs:
        if entry.name in optional:
            raise SnapshotUnusable(
                f"{path.name}: {entry.name!r} may be null, which an input of {entry.type} cannot be; "
                "make it a number, or not nullable"
            )

    def feed(rows: Columns) -> dict[str, Any]:
        arrays = {}
        for entry in inputs:
            array = rows[entry.name].astype(_DTYPES[entry.type], copy=False)
            arrays[entry.name] = array.reshape(-1, 1) if len(entry.shape) == 2 else array
        return arrays

    return feed


def _outputs(outputs: Any, snapshot: Snapshot, path: Path) -> dict[str, str]:
    """For each output field the name of the graph's output that answers it."""
    offered, wanted = [entry.name for entry in outputs], snapshot.outputs.names
    if set(wanted) <= set(offered):
        return {name: name for name in wanted}
    if len(offered) == len(wanted) and not set(wanted) & set(offered):
        return dict(zip(wanted, offered, strict=True))
    raise SnapshotUnusable(
        f"{path.name} answers the outputs {offered}, the output schema lists {list(wanted)}; "
        "name them alike in model.yaml"
    )


def _one_column(answer: Any) -> Any:
    if isinstance(answer, list):
        raise TypeError("an output is a list of maps; convert the classifier without ZipMap (zipmap=False)")
    if answer.ndim == 2 and answer.shape[1] == 1:
        return answer[:, 0]
    if answer.ndim == 2 and answer.shape[1] == 2:
        return answer[:, 1]
    return answer
