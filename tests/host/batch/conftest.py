"""Batch jobs in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlock_host.batch.run import run
from host.building import MEAN, MEANS, NUMBERS, build_snapshot

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    """The snapshot of the model of loans."""
    return build_snapshot(tmp_path / "loans")


@pytest.fixture
def means(tmp_path: Path) -> Path:
    """The snapshot of the model that answers the mean of twenty numbers."""
    return build_snapshot(tmp_path / "means", MEANS, inputs=NUMBERS, outputs=MEAN)


@pytest.fixture
def score(tmp_path: Path) -> Run:
    """Runs a job from ``in`` to ``out`` in the test's folder, where the job does not say otherwise."""

    def score_with(model: Path, **job: Any) -> dict[str, Any]:
        places = {"input": str(tmp_path / "in"), "output": str(tmp_path / "out"), "result": "unused"}
        return run({"kind": "score", "model": str(model), **places, **job})

    return score_with
