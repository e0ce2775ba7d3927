"""Checks from the plan to the verdict, with the real host scoring and measuring in processes of its own."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airlock.checks import Champion, CheckContext, CheckResult, StageReport, html
from airlock.spec import Check, Contract, Dataset, Latency, Mode, Performance, Smoke
from checks.building import metric
from checks.runtime import PYTHON, run_check, serving

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs .venv-host, which make test prepares")

GOOD = """
def score(records):
    return {"payment": records["payment"], "risk": 1 / (1 + 9 / (records["amount"] + 0.001))}
"""
WORSE = """
import numpy as np

def score(records):
    risk = 1 / (1 + 9 / (records["amount"] + 0.001))
    return {"payment": records["payment"], "risk": (risk + records["amount"] * 997 % 1) / 2}
"""
BROKEN = """
def score(records):
    raise ValueError("the weights are missing")
"""
SHUFFLED = """
def score(records):
    return {"payment": records["payment"][::-1], "risk": 1 / (1 + 9 / (records["amount"][::-1] + 0.001))}
"""

INPUT = [
    {"name": "payment", "type": "string", "nullable": False},
    {"name": "amount", "type": "number", "nullable": False, "min": 0},
]
OUTPUT = [
    {"name": "payment", "type": "string", "nullable": False},
    {"name": "risk", "type": "number", "nullable": False, "min": 0, "max": 1},
]
AMOUNTS = [0.0, 3.5, 90.0]
GOLDEN = [
    {
        "input": {"payment": f"g-{number}", "amount": amount},
        "output": {"payment": f"g-{number}", "risk": 1 / (1 + 9 / (amount + 0.001))},
    }
    for number, amount in enumerate(AMOUNTS)
]
AUC = Performance(
    dataset="holdout", metrics={"roc_auc": {"min": 0.7}}, vs_champion={"roc_auc": {"min_delta": -0.01}}
)


@pytest.fixture(scope="module")
def holdout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Payments, of which large ones are fraud more often."""
    chance = random.Random(0)
    amounts = [chance.expovariate(0.1) for _ in range(600)]
    rows = {
        "payment": [f"p-{number}" for number in range(600)],
        "amount": amounts,
        "fraud": [int(chance.random() < amount / (amount + 9)) for amount in amounts],
    }
    path = tmp_path_factory.mktemp("data") / "holdout.parquet"
    pq.write_table(pa.table(rows), path)
    return path


def snapshot(folder: Path, code: str, name: str) -> tuple[Path, dict[str, Any]]:
    """A materialised snapshot of a Python model."""
    manifest = {
        "model": "fraud",
        "format": "python",
        "entry_points": {"module": "model.py", "score": "score"},
        "input_schema": INPUT,
        "output_schema": OUTPUT,
        "golden": None,
    }
    path = folder / name
    (path / ".airlock").mkdir(parents=True)
    (path / ".airlock" / "manifest.json").write_text(json.dumps(manifest))
    (path / "model.py").write_text(code)
    return path, manifest


def check_in(
    mode: Mode, folder: Path, holdout: Path, check: Check, code: str, champion_code: str | None = None
) -> CheckResult:
    """Run a check of the model ``code`` in a mode."""
    candidate, manifest = snapshot(folder, code, "candidate")
    snapshots = {"candidate": candidate}
    context = CheckContext(
        snapshot="fraud@2",
        digest="sha256:candidate",
        manifest=manifest,
        mode=mode,
        scratch=folder / "scratch",
        datasets={"holdout": Dataset(path=str(holdout), target="fraud")},
        golden=GOLDEN,
    )
    if champion_code is not None:
        snapshots["champion"], champion_manifest = snapshot(folder, champion_code, "champion")
        context = replace(context, champion=Champion("fraud@1", "sha256:champion", champion_manifest))
    if mode == "batch":
        return run_check(check, context, snapshots)
    with serving(context, candidate, folder) as url:
        return run_check(check, replace(context, endpoint=url), snapshots)


@pytest.mark.parametrize("mode", ["batch", "online"])
@pytest.mark.parametrize("check", [Smoke(), Contract()], ids=lambda check: check.kind)
def test_a_good_model_passes(mode: Mode, check: Check, tmp_path: Path, holdout: Path) -> None:
    result = check_in(mode, tmp_path, holdout, check, GOOD)

    assert result.status == "pass", result.summary


def test_a_better_model_passes_with_the_same_evidence_in_every_mode_and_every_time(
    tmp_path: Path, holdout: Path
) -> None:
    batch, again, online = (
        check_in(mode, tmp_path / name, holdout, AUC, GOOD, WORSE)
        for name, mode in {"batch": "batch", "again": "batch", "online": "online"}.items()
    )

    assert batch.status == "pass", batch.summary
    assert metric(batch, "roc_auc_vs_champion").delta_ci[0] > 0
    assert any("'payment' came back as it was sent" in note for note in batch.notes)
    assert batch == again
    assert batch.to_evidence() == online.to_evidence()
    page = html(StageReport("s", "fraud@2", "d", "UAT", "PROD", "dana", [batch], "e", champion="fraud@1"))
    assert page.count("<figure>") == 4


def test_a_worse_model_fails_against_its_champion(tmp_path: Path, holdout: Path) -> None:
    result = check_in("batch", tmp_path, holdout, AUC, WORSE, GOOD)

    assert result.status == "fail"
    assert metric(result, "roc_auc_vs_champion").status == "fail"


@pytest.mark.parametrize(
    ("mode", "check"),
    [("batch", Smoke()), ("online", Contract()), ("batch", AUC)],
    ids=["smoke", "contract", "auc"],
)
def test_a_model_that_breaks_fails_with_its_own_words(
    mode: Mode, check: Check, tmp_path: Path, holdout: Path
) -> None:
    result = check_in(mode, tmp_path, holdout, check, BROKEN)

    assert result.status == "fail"
    assert "the weights are missing" in result.summary
    assert str(tmp_path) not in result.summary


@pytest.mark.parametrize(("mode", "check"), [("batch", Contract()), ("online", AUC)], ids=["contract", "auc"])
def test_a_model_that_answers_in_another_order_fails(
    mode: Mode, check: Check, tmp_path: Path, holdout: Path
) -> None:
    assert check_in(mode, tmp_path, holdout, check, SHUFFLED).status == "fail"


def test_a_champion_that_breaks_leaves_the_comparison_open(tmp_path: Path, holdout: Path) -> None:
    result = check_in("batch", tmp_path, holdout, AUC, GOOD, BROKEN)

    assert result.status == "inconclusive"
    assert "the weights are missing" in result.summary
    assert metric(result, "roc_auc").status == "pass"


def test_a_data_set_without_its_target_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "holdout.parquet"
    pq.write_table(pa.table({"payment": ["a"], "amount": [1.0]}), path)

    result = check_in("batch", tmp_path, path, AUC, GOOD)

    assert result.status == "error"
    assert "no target column 'fraud'; it has payment, amount" in result.summary


def test_latency_of_a_served_model(tmp_path: Path, holdout: Path) -> None:
    check = Latency(p99_ms=10_000, p50_ms=10_000, requests=200, concurrency=2)

    result = check_in("online", tmp_path, holdout, check, GOOD)

    assert result.status == "pass", result.summary
    assert result.records["answered"] == 200
    assert len(result.figures) == 1
