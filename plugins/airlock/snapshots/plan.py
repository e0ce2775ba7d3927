"""Reading what a model folder says it is: in ``model.yaml``, by its files, in MLflow's ``MLmodel``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pydantic

from airlock.exceptions import SnapshotError, SpecError
from airlock.snapshots.entry_points import find_functions
from airlock.snapshots.golden import GOLDEN_PATH, check_golden
from airlock.snapshots.manifest import Format
from airlock.snapshots.mlflow_model import MLMODEL_PATH, MlflowModel, minor_version, read_mlmodel
from airlock.spec.load import load_model
from airlock.spec.model import ModelDescription
from airlock.spec.names import Name
from airlock.spec.schema import Field

DESCRIPTION_PATH = "model.yaml"


@dataclass(frozen=True)
class Plan:
    """What a folder says of its model, with the gaps filled.

    :param requirements: the file that lists the packages the model needs.
    """

    description: ModelDescription
    format: Format
    entry_points: dict[str, str]
    python: str
    requirements: str
    input_schema: tuple[Field, ...]
    output_schema: tuple[Field, ...]
    golden: str | None
    services: tuple[str, ...]


def read_plan(folder: Path, files: Collection[str], services: Sequence[str]) -> Plan:
    """Find out what kind of model a folder holds, and check that all it names is there and fits.

    :param files: the paths that belong to the snapshot.
    :param services: what the snapshot is for, beside the services that ``model.yaml`` names.
    :raises SnapshotError: something is missing or does not fit.
    :raises SpecError: ``model.yaml`` is not as it must be.
    """
    description = _description(folder, files)
    model_format = description.format or _guess_format(folder, files, description)
    mlflow = None
    if model_format == "mlflow":
        _must_have(folder, files, MLMODEL_PATH, "a model of format mlflow needs it")
        mlflow = read_mlmodel(folder)
    input_schema, output_schema = _schemas(description, mlflow)
    return Plan(
        description=description,
        format=model_format,
        entry_points=_entry_points(folder, files, description, model_format),
        python=_python(description, mlflow),
        requirements=_requirements(files, description, mlflow),
        input_schema=input_schema,
        output_schema=output_schema,
        golden=_golden(folder, files, description, input_schema, output_schema),
        services=_services(description, services),
    )


def _description(folder: Path, files: Collection[str]) -> ModelDescription:
    if DESCRIPTION_PATH in files:
        return load_model(folder / DESCRIPTION_PATH)
    mend = f"Write a {DESCRIPTION_PATH} with at least 'model' and 'owner'."
    if MLMODEL_PATH not in files:
        raise SnapshotError(f"{folder} has no {DESCRIPTION_PATH}.", mend=mend)
    try:
        return ModelDescription(model=folder.absolute().name, owner="unknown")
    except SpecError as error:
        raise SnapshotError(
            f"{folder} has no {DESCRIPTION_PATH}, and its own name cannot be the model's: {error.message}",
            mend=mend,
        ) from error


def _guess_format(folder: Path, files: Collection[str], description: ModelDescription) -> Format:
    if "source" in description.model_fields_set:
        return "onnx" if description.source.endswith(".onnx") else "python"
    if MLMODEL_PATH in files:
        return "mlflow"
    if description.source in files:
        return "python"
    if any(path.endswith(".onnx") for path in files):
        return "onnx"
    raise SnapshotError(
        f"{folder} holds no model: there is no {MLMODEL_PATH} (MLflow), no {description.source} (Python) "
        "and no file that ends in .onnx.",
        mend=f"Name the Python module with 'source' in {DESCRIPTION_PATH}.",
    )


def _entry_points(
    folder: Path, files: Collection[str], description: ModelDescription, model_format: Format
) -> dict[str, str]:
    match model_format:
        case "python":
            source = _plain(description.source)
            _must_have(folder, files, source, f"{DESCRIPTION_PATH} names it as the source")
            return {"module": source} | find_functions(folder / source, shown_as=source)
        case "mlflow":
            return {"model": MLMODEL_PATH}
        case "onnx":
            return {"graph": _graph(folder, files, description)}


def _graph(folder: Path, files: Collection[str], description: ModelDescription) -> str:
    if "source" in description.model_fields_set:
        source = _plain(description.source)
        _must_have(folder, files, source, f"{DESCRIPTION_PATH} names it as the source")
        return source
    graphs = sorted(path for path in files if path.endswith(".onnx"))
    if len(graphs) != 1:
        raise SnapshotError(
            f"{folder} has {len(graphs)} files that end in .onnx: {', '.join(graphs) or 'none'}.",
            mend=f"Name the one to run with 'source' in {DESCRIPTION_PATH}.",
        )
    return graphs[0]


def _python(description: ModelDescription, mlflow: MlflowModel | None) -> str:
    if mlflow is None or mlflow.python is None or "python" in description.model_fields_set:
        return description.python
    return minor_version(mlflow.python) or description.python


def _requirements(files: Collection[str], description: ModelDescription, mlflow: MlflowModel | None) -> str:
    chosen = "requirements" in description.model_fields_set
    if (
        mlflow is not None
        and not chosen
        and description.requirements not in files
        and "python_env.yaml" in files
    ):
        return "python_env.yaml"
    return _plain(description.requirements)


def _schemas(
    description: ModelDescription, mlflow: MlflowModel | None
) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """The fields of input and output: as ``model.yaml`` says, else as MLflow's signature says."""
    found = []
    for side, written, signed in (
        ("input", description.input, mlflow.input if mlflow else None),
        ("output", description.output, mlflow.output if mlflow else None),
    ):
        fields = tuple(written) or signed
        if not fields:
            why = f", and {MLMODEL_PATH} does not either: {mlflow.signature_problem}" if mlflow else ""
            raise SnapshotError(
                f"{DESCRIPTION_PATH} of {description.model} does not list the fields of its {side}{why}.",
                mend=f"Add '{side}:' with lines like '- {{name: age, type: integer, min: 0}}'.",
            )
        found.append(fields)
    return found[0], found[1]


def _golden(
    folder: Path,
    files: Collection[str],
    description: ModelDescription,
    input_schema: Sequence[Field],
    output_schema: Sequence[Field],
) -> str | None:
    path = _plain(description.golden) if description.golden else None
    if path is None and GOLDEN_PATH in files:
        path = GOLDEN_PATH
    if path is not None:
        _must_have(folder, files, path, f"{DESCRIPTION_PATH} names it as the golden records")
        check_golden(folder / path, shown_as=path, input_schema=input_schema, output_schema=output_schema)
    return path


def _services(description: ModelDescription, services: Sequence[str]) -> tuple[str, ...]:
    named = tuple(sorted({*description.services, *services}))
    if not named:
        raise SnapshotError(
            f"No service is named that {description.model} is for.",
            mend=f"Add 'services: [...]' to {DESCRIPTION_PATH}, or name one when making the snapshot.",
        )
    for service in named:
        try:
            pydantic.TypeAdapter(Name).validate_python(service)
        except pydantic.ValidationError as error:
            raise SnapshotError(f"{service!r} cannot be the name of a service.") from error
    return named


def _plain(path: str) -> str:
    """A path as it is among the files: ``./model.py`` is ``model.py``."""
    return PurePosixPath(path).as_posix()


def _must_have(folder: Path, files: Collection[str], path: str, why: str) -> None:
    if path not in files:
        ignored = " It is there, but ignored." if (folder / path).exists() else ""
        raise SnapshotError(f"{folder} has no {path}: {why}.{ignored}")
