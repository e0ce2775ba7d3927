"""What the benchmarks of the host share: their environment, models to run, and the data they are for."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FEATURES = [f"feature_{number:02}" for number in range(20)]

ENVIRONMENT = ROOT / ".venv-bench"
_LOCK = "benchmarks/host-requirements.lock"

PYTHON = ENVIRONMENT / "bin" / "python"
HOST = {
    "PYTHONPATH": str(ROOT / "include" / "host"),
    # The host lets OpenMP's threads sleep while they wait; on a busy machine the others need that as well.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""What the host needs of the process environment to run from there."""

# Takes the rows as an array, as a bare handler does; twenty features that are all there.
_SOURCE = """
import pickle
from pathlib import Path

import numpy as np

model = None


def init(folder: Path) -> None:
    global model
    model = pickle.loads((folder / "model.pkl").read_bytes())


def score(rows: np.ndarray) -> np.ndarray:
    return model.predict_proba(rows)[:, 1]
"""


def run_in_own_environment(script: str) -> None:
    """Go on with this script in the benchmarks' environment, which is made once; return if this is it."""
    if Path(sys.prefix) == ENVIRONMENT:
        return
    subprocess.run([ROOT / "scripts" / "prepare", ENVIRONMENT.name, _LOCK], check=True)
    environment = {**os.environ, **HOST}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    os.execve(PYTHON, [str(PYTHON), script, *sys.argv[1:]], environment)


def learn(kind: str) -> Any:
    """A classifier of 20 features, trained on 20,000 seeded rows: ``linear`` or ``trees``."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = features(20_000, seed=1)
    weights = np.random.default_rng(2).normal(size=len(FEATURES)) / rows.std(axis=0)
    noise = np.random.default_rng(3).logistic(size=len(rows))
    centred = rows - rows.mean(axis=0)
    target = (centred @ weights + noise > 0).astype(int)
    if kind == "linear":
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, target)
    return HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0).fit(
        rows, target
    )


def features(rows: int, *, seed: int) -> Any:
    """Rows as credit bureaus have them: counts and ratios of few distinct values. Shape (rows, 20)."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return np.column_stack(
        [generator.integers(0, 20 * (number + 1), rows).astype(np.float64) for number in range(len(FEATURES))]
    )


def write_snapshot(folder: Path, model: Any) -> Path:
    """A materialised snapshot of a classifier, as a Python module."""
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(_SOURCE, encoding="utf-8")
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    return write_manifest(
        folder, "python", {"module": "model.py", "init": "init", "score": "score"}, output="score"
    )


def write_manifest(folder: Path, model_format: str, entry_points: dict[str, str], *, output: str) -> Path:
    """Make a folder a materialised snapshot of a model that takes the 20 features."""
    manifest = {
        "schema_version": 1,
        "model": "benchmark",
        "format": model_format,
        "entry_points": entry_points,
        "input_schema": [{"name": name, "type": "number"} for name in FEATURES],
        "output_schema": [{"name": output, "type": "number", "min": 0, "max": 1}],
    }
    (folder / ".airlock").mkdir()
    (folder / ".airlock" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def machine() -> dict[str, Any]:
    """What it was measured on, and how busy that was with other things."""
    return {
        "processors": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
    }
