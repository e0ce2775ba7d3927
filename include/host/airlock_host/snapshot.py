"""A materialised snapshot: its folder, and what the manifest in it says about the model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from airlock_host.exceptions import SnapshotUnusable
from airlock_host.schema import Schema

MANIFEST_PATH = ".airlock/manifest.json"

Format = Literal["python", "mlflow", "onnx"]


@dataclass(frozen=True)
class Snapshot:
    """What the host needs to know of a snapshot.

    :param folder: absolute path of the materialised files.
    :param entry_points: for Python modules ``module`` (a path in the folder) and the functions' names.
    :param golden: path in the folder of the golden records, where the model has some.
    """

    folder: Path
    model: str
    format: Format
    entry_points: Mapping[str, str]
    inputs: Schema
    outputs: Schema
    golden: str | None = None

    @classmethod
    def open(cls, folder: Path) -> Snapshot:
        """Read the manifest in ``folder``.

        :raises SnapshotUnusable: the manifest is missing, is not JSON, or lacks what the host needs.
        """
        folder = folder.absolute()
        path = folder / MANIFEST_PATH
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SnapshotUnusable(
                f"{folder} is not a materialised snapshot: {MANIFEST_PATH} is not there"
            ) from None
        except ValueError as error:
            raise SnapshotUnusable(f"{path} is not JSON: {error}") from None
        try:
            snapshot = cls(
                folder=folder,
                model=str(manifest["model"]),
                format=manifest["format"],
                entry_points=dict(manifest.get("entry_points") or {}),
                inputs=Schema.read(manifest["input_schema"]),
                outputs=Schema.read(manifest["output_schema"]),
                golden=manifest.get("golden"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise SnapshotUnusable(f"{path} is not a manifest the host can read: {error!r}") from None
        if snapshot.format not in get_args(Format):
            known = ", ".join(get_args(Format))
            raise SnapshotUnusable(f"{path}: format {snapshot.format!r} is not one of {known}")
        for name, fields in (("input_schema", snapshot.inputs), ("output_schema", snapshot.outputs)):
            if not fields.fields:
                raise SnapshotUnusable(f"{path}: {name} is empty, so nothing can be checked against it")
        return snapshot


@dataclass(frozen=True)
class Deployment:
    """Which deployment this process is part of, as its runtime tells through the environment."""

    deployment: str = ""
    snapshot: str = ""
    digest: str = ""
    stage: str = ""
    service: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Deployment:
        """Read ``AIRLOCK_DEPLOYMENT``, ``_SNAPSHOT``, ``_DIGEST``, ``_STAGE`` and ``_SERVICE``."""
        names = ("deployment", "snapshot", "digest", "stage", "service")
        return cls(**{name: environment.get(f"AIRLOCK_{name.upper()}", "") for name in names})
