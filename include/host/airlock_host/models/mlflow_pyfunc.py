"""A model that is an MLflow folder, loaded as a pyfunc."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from airlock_host.columns import Columns
from airlock_host.exceptions import SnapshotUnusable
from airlock_host.models.forms import to_dataframe
from airlock_host.snapshot import Snapshot

# By type in an MLflow signature the dtype it wants, where that is not the one of a column here.
_OTHER_DTYPES = {
    "float": np.dtype(np.float32),
    "integer": np.dtype(np.int32),
    "datetime": np.dtype("datetime64[ns]"),
}
_SAME_DTYPES = {"double", "long", "boolean", "string"}

# The loader of models that are Python classes of their own, which may ask for what their signature promises.
_PYTHON_CLASS = "mlflow.pyfunc.model"


def load_score(snapshot: Snapshot) -> Callable[[Columns], Any]:
    """Load the folder and return its ``predict`` taking columns.

    :raises SnapshotUnusable: MLflow cannot load the folder.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow.pyfunc

    path = snapshot.folder / snapshot.entry_points.get("model", "MLmodel")
    try:
        model = mlflow.pyfunc.load_model(str(path.parent if path.name == "MLmodel" else path))
    except ImportError:
        raise
    except Exception as error:
        raise SnapshotUnusable(
            f"MLflow cannot load model {snapshot.model!r}: {type(error).__name__}: {error}"
        ) from error
    types = _column_types(model)
    dtypes = {name: _OTHER_DTYPES[kind] for name, kind in types.items() if kind in _OTHER_DTYPES}
    if set(types) == set(snapshot.inputs.names) and set(types.values()) <= _SAME_DTYPES | set(_OTHER_DTYPES):
        _check_once(model)

    def score(rows: Columns) -> Any:
        frame = to_dataframe(rows)
        return model.predict(frame.astype(dtypes) if dtypes else frame)

    return score


def _column_types(model: Any) -> dict[str, str]:
    """By column the type in the model's signature; empty without a signature of named columns."""
    schema = model.metadata.get_input_schema()
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return {column.name: getattr(column.type, "name", "") for column in schema.inputs}


def _check_once(model: Any) -> None:
    """Leave out MLflow's own check of the input, where the host has done the same.

    It takes as long as a small model. Models that are classes keep it: it may also convert their input.
    """
    if model.loader_module != _PYTHON_CLASS:
        model.metadata.signature = None
