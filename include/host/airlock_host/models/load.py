"""A loaded model: rows in, rows out, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airlock_host.columns import Columns, problems
from airlock_host.exceptions import ModelFailed, SnapshotUnusable
from airlock_host.models.answers import read_answer
from airlock_host.snapshot import Snapshot

Score = Callable[[Columns], Any]
"""Scores rows and returns what the model returned, as it is."""


class Model:
    """A model that has been loaded and initialised.

    It is not safe to call from two threads at once unless the model's own code is.
    """

    def __init__(self, snapshot: Snapshot, score: Score) -> None:
        self.snapshot = snapshot
        self._score = score

    def answer(self, rows: Columns) -> Columns:
        """Score rows; the answer has as many rows, with the columns of the output schema, not yet checked.

        Without rows there is nothing to ask: many models raise on an empty batch.

        :raises ModelFailed: the model raised, or what it returned has not the shape of its output schema.
        """
        if rows.count == 0:
            return Columns(self.snapshot.outputs, 0, lambda field: [])
        try:
            returned = self._score(rows)
        except ModelFailed:
            raise
        except (Exception, SystemExit) as error:
            raise ModelFailed(f"the model raised {type(error).__name__}: {error}") from error
        return read_answer(returned, self.snapshot.outputs, rows.count)

    def score(self, rows: Columns) -> Columns:
        """Score rows, and hold the answer against the output schema.

        :raises ModelFailed: as :meth:`answer`, or a value breaks the output schema.
        """
        answer = self.answer(rows)
        broken = problems(answer)
        if broken:
            more = f" ({len(broken)} such values)" if len(broken) > 1 else ""
            raise ModelFailed(f"the model's answer breaks its output schema: {broken[0]}{more}")
        return answer


def load(snapshot: Snapshot) -> Model:
    """Load and initialise the snapshot's model.

    :raises SnapshotUnusable: a file or function is missing, a library is not installed, or ``init`` raised.
    """
    match snapshot.format:
        case "python":
            from airlock_host.models.python_module import load_score
        case "mlflow":
            from airlock_host.models.mlflow_pyfunc import load_score
        case "onnx":
            from airlock_host.models.onnx_graph import load_score
    try:
        return Model(snapshot, load_score(snapshot))
    except ImportError as error:
        raise SnapshotUnusable(
            f"model {snapshot.model!r} needs {error.name or error}, which cannot be imported here: {error}. "
            "Add it to the model's requirements.txt and take a new snapshot."
        ) from error
