"""What each sub-command loads: start-up counts, and the host stands alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

REST = ("starlette", "uvicorn", "prometheus_client")
MODELS = ("pandas", "sklearn", "mlflow", "onnxruntime")


def loaded_by(statement: str) -> set[str]:
    """The top-level modules a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("airlock_host.cli", ("numpy", "pyarrow", "orjson", *REST, *MODELS)),
        ("airlock_host.batch.run", (*REST, *MODELS)),
        ("airlock_host.batch.worker", (*REST, *MODELS)),
        ("airlock_host.serving.server", ("pyarrow", *MODELS)),
        ("airlock_host.stream.run", ("pyarrow", "msgspec", *MODELS)),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(module: str, unwanted: tuple[str, ...]) -> None:
    assert loaded_by(f"import {module}").isdisjoint(unwanted)


def test_neither_airflow_nor_airlock_is_ever_loaded() -> None:
    everything = "import pkgutil, airlock_host, importlib\nfor module in pkgutil.walk_packages("
    everything += "airlock_host.__path__, 'airlock_host.'):\n"
    everything += "    if not module.name.endswith(('__main__', 'worker', 'scoring_process')):\n"
    everything += "        importlib.import_module(module.name)"
    assert loaded_by(everything).isdisjoint({"airflow", "airlock"})
