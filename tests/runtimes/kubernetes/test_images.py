"""Which image runs: what is known is taken, and what is missing to make one is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.base import RuntimeSettings
from airlock.runtimes.kubernetes.cluster import Cluster
from airlock.runtimes.kubernetes.images import Images
from airlock.snapshots.store import ArtifactStore
from airlock.spec import Images as ImageOptions
from airlock.spec import KubernetesOptions

from .made import IMAGE, plan, runtime


def images(folder: Path, connection: str | None = None, **options: Any) -> Images:
    spec = runtime(**options)
    assert isinstance(spec.options, KubernetesOptions)
    settings = RuntimeSettings(ArtifactStore(str(folder / "store")), folder, folder)
    return Images(Cluster(connection, None), spec, spec.options, settings)


def test_a_known_image_needs_no_engine_and_no_registry(tmp_path: Path) -> None:
    assert images(tmp_path).of(replace(plan(), image=IMAGE)) == IMAGE


@pytest.mark.parametrize("known", [None, f"sha256:{'b' * 64}"])
def test_without_a_registry_none_can_be_made(known: str | None, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"k8s_prod has no image registry.*options\.images\.registry"):
        images(tmp_path).of(replace(plan(), image=known))
    with pytest.raises(AdapterError, match="has no image registry"):
        images(tmp_path).for_checks()


def test_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    engine = f"unix://{tmp_path}/none.sock"
    options = ImageOptions(registry="registry.example:5000/airlock", engine=engine)

    with pytest.raises(AdapterError, match=r"none\.sock"):
        images(tmp_path, images=options).for_checks()


def test_half_a_login_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"registry": {"username": "airlock"}}
    connection = {"conn_type": "kubernetes", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_HALF", json.dumps(connection))

    with pytest.raises(AdapterError, match="without username and password"):
        images(tmp_path, "half")._login()
