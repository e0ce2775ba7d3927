"""Reading a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airlock_host.exceptions import SnapshotUnusable
from airlock_host.snapshot import Deployment, Snapshot
from host.building import build_snapshot


def test_a_manifest_is_read(tmp_path: Path) -> None:
    snapshot = Snapshot.open(build_snapshot(tmp_path / "s"))
    assert (snapshot.model, snapshot.format, snapshot.folder) == ("loans", "python", tmp_path / "s")
    assert snapshot.inputs.names == ("income", "age", "purpose", "owner", "debt", "applied")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "pmml"}, "format 'pmml' is not one of python, mlflow, onnx"),
        ({"input_schema": []}, "input_schema is empty"),
        ({"output_schema": []}, "output_schema is empty"),
        ({"input_schema": None}, "is not a manifest the host can read"),
        ({"input_schema": [{"name": "a", "type": "money"}]}, "type 'money'"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    folder = build_snapshot(tmp_path / "s")
    path = folder / ".airlock" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SnapshotUnusable, match=reason):
        Snapshot.open(folder)


def test_a_manifest_that_is_not_json_says_so(tmp_path: Path) -> None:
    folder = build_snapshot(tmp_path / "s")
    (folder / ".airlock" / "manifest.json").write_text("{")
    with pytest.raises(SnapshotUnusable, match="is not JSON"):
        Snapshot.open(folder)


def test_the_deployment_is_told_by_the_environment() -> None:
    environment = {"AIRLOCK_SNAPSHOT": "loans@3", "AIRLOCK_STAGE": "SIT", "HOME": "/"}
    assert Deployment.from_environment(environment) == Deployment(snapshot="loans@3", stage="SIT")
