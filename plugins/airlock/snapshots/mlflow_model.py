"""Reading an MLflow model folder as data: its ``MLmodel`` file names flavors and signature."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import yaml

from airlock.exceptions import SnapshotError, SpecError
from airlock.spec.schema import Field, FieldType

MLMODEL_PATH = "MLmodel"

_TYPES: dict[str, FieldType] = {
    "boolean": "boolean",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "string": "string",
    "datetime": "timestamp",
}
_TENSOR_TYPES: tuple[tuple[str, FieldType], ...] = (
    (r"bool", "boolean"),
    (r"u?int\d*", "integer"),
    (r"float\d*", "number"),
    (r"str|<U\d+", "string"),
)


@dataclass(frozen=True)
class MlflowModel:
    """What an ``MLmodel`` file says.

    :param input: the fields of the signature; ``None`` if there is none, or none that fields can express
        (``signature_problem`` says why).
    :param python: the version of Python it was saved with, where it is known.
    """

    input: tuple[Field, ...] | None
    output: tuple[Field, ...] | None
    signature_problem: str
    python: str | None


def read_mlmodel(folder: Path) -> MlflowModel:
    """Read ``MLmodel`` without loading the model.

    :raises SnapshotError: it is not valid, or the model has no ``python_function`` flavor.
    """
    try:
        document = yaml.safe_load((folder / MLMODEL_PATH).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SnapshotError(f"{folder / MLMODEL_PATH} cannot be read: {error}.") from error
    flavors = document.get("flavors") if isinstance(document, dict) else None
    if not isinstance(flavors, dict) or not isinstance(flavors.get("python_function"), dict):
        raise SnapshotError(
            f"{MLMODEL_PATH} of {folder} has no flavor 'python_function', which is the one Airlock can run.",
            mend="Save the model with a flavor that includes it, as mlflow.sklearn and mlflow.pyfunc do.",
        )
    python = flavors["python_function"].get("python_version")
    signature = document.get("signature")
    if not isinstance(signature, dict):
        return MlflowModel(None, None, "it has no signature", _text(python))
    try:
        inputs = _fields(signature, "inputs")
        outputs = _fields(signature, "outputs")
    except _InexpressibleError as error:
        return MlflowModel(None, None, str(error), _text(python))
    return MlflowModel(inputs, outputs, "", _text(python))


def minor_version(python: str) -> str | None:
    """The range of Python versions that a saved model fits: pickles are only safe within a minor version."""
    found = re.match(r"(\d+\.\d+)(\.|$)", python)
    return f"=={found[1]}.*" if found else None


class _InexpressibleError(Exception):
    """A signature says something that a list of fields cannot say."""


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _fields(signature: dict[str, Any], side: str) -> tuple[Field, ...]:
    written = signature.get(side)
    if written is None:
        raise _InexpressibleError(f"its signature has no {side}")
    try:
        columns = json.loads(written) if isinstance(written, str) else written
    except ValueError as error:
        raise _InexpressibleError(f"the {side} of its signature are not valid JSON") from error
    if (
        not isinstance(columns, list)
        or not columns
        or not all(isinstance(column, dict) for column in columns)
    ):
        raise _InexpressibleError(f"the {side} of its signature are not a list of columns")
    fields = [_field(column, f"{side}[{index}]", len(columns), side) for index, column in enumerate(columns)]
    if len({field.name for field in fields}) < len(fields):
        raise _InexpressibleError(f"the {side} of its signature name a column twice")
    return tuple(fields)


def _field(column: dict[str, Any], place: str, count: int, side: str) -> Field:
    name = column.get("name")
    if name is None:
        # A model that answers an array has one column without a name; records need one.
        if side == "inputs" or count > 1:
            raise _InexpressibleError(f"{place} of its signature has no name")
        name = "prediction"
    kind = column.get("type")
    found = _tensor_type(column) if kind == "tensor" else _TYPES.get(str(kind))
    if found is None:
        raise _InexpressibleError(
            f"{place} of its signature, {name!r}, has the type {kind!r}, which no field has"
        )
    # Outputs are what the model answers: there, MLflow's 'required' says nothing that is checked.
    nullable = side == "inputs" and column.get("required") is False
    try:
        return Field(name=name, type=found, nullable=nullable)
    except (SpecError, pydantic.ValidationError) as error:
        raise _InexpressibleError(f"{place} of its signature cannot be a field: {error}") from error


def _tensor_type(column: dict[str, Any]) -> FieldType | None:
    """The type of a tensor that is one value a record, of shape ``(-1,)`` or ``(-1, 1)``."""
    tensor = column.get("tensor-spec")
    if not isinstance(tensor, dict) or tensor.get("shape") not in ([-1], [-1, 1]):
        return None
    dtype = str(tensor.get("dtype"))
    return next((kind for pattern, kind in _TENSOR_TYPES if re.fullmatch(pattern, dtype)), None)
