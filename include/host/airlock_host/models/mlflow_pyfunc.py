"""A model that is an MLflow folder, loaded as a pyfunc."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from airlock_host.columns import Columns
from airlock_host.exceptions import SnapshotUnusable
from airlock_host.models.forms import to_dataframe
from airlock_host.snapshot import Snapshot


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
    dtypes = _declared_dtypes(model)

    def score(rows: Columns) -> Any:
        frame = to_dataframe(rows)
        # MLflow refuses a float64 where the signature says float32; the values were checked already.
        narrower = {name: dtype for name, dtype in dtypes.items() if name in frame.columns}
        return model.predict(frame.astype(narrower) if narrower else frame)

    return score


def _declared_dtypes(model: Any) -> dict[str, Any]:
    """By column, the numpy dtype of those numbers that the signature wants narrower than 64 bits."""
    schema = model.metadata.get_input_schema()
    if schema is None or schema.is_tensor_spec():
        return {}
    return {
        column.name: column.type.to_numpy()
        for column in schema.inputs
        if getattr(column.type, "name", None) in ("float", "integer")
    }
