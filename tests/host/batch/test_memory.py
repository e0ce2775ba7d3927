"""Memory stays bounded, whatever the size of the input."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from host.building import MEAN, NUMBERS, build_snapshot

# A logistic regression of scikit-learn: what such a model loads counts as well.
LOGISTIC = """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression()
    model.classes_ = np.array([0, 1])
    model.coef_ = np.linspace(-1, 1, 20)[None, :]
    model.intercept_ = np.array([0.5])

    def score(rows: np.ndarray) -> np.ndarray:
        return model.predict_proba(rows)[:, 1]
"""
MILLION = 1_000_000
GIB = 2**30


def write_in_pieces(path: Path, rows: int, row_group: int) -> None:
    """A Parquet file of the twenty numbers that is never in memory as a whole."""
    generator = np.random.default_rng(1)
    schema = pa.schema([pa.field(entry["name"], pa.float64()) for entry in NUMBERS])
    piece = pa.table({name: generator.normal(size=100_000).round(2) for name in schema.names})
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(rows // row_group):
            writer.write_table(pa.concat_tables([piece] * (row_group // 100_000)), row_group_size=row_group)


def peak_memory(process: subprocess.Popen[bytes]) -> int:
    """The greatest resident memory of a process and its children together until it ends, in bytes."""
    ended = threading.Event()
    peak = 0

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.05):
            peak = max(peak, resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    assert code == 0
    return peak


def resident(pid: int) -> int:
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        return sum(process.memory_info().rss for process in family)
    except psutil.NoSuchProcess:
        return 0


@pytest.mark.slow
@pytest.mark.parametrize("row_group", [MILLION, 10 * MILLION], ids=["ten row groups", "one row group"])
def test_ten_million_rows_take_less_than_a_gibibyte(tmp_path: Path, row_group: int) -> None:
    write_in_pieces(tmp_path / "in.parquet", 10 * MILLION, row_group)
    job: dict[str, Any] = {
        "model": str(build_snapshot(tmp_path / "model", LOGISTIC, inputs=NUMBERS, outputs=MEAN)),
        "input": str(tmp_path / "in.parquet"),
        "output": str(tmp_path / "out"),
        "result": str(tmp_path / "result.json"),
        "processes": 2,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    process = subprocess.Popen(
        [sys.executable, "-m", "airlock_host", "batch", "--job", str(tmp_path / "job.json")]
    )
    assert peak_memory(process) < GIB
    assert json.loads((tmp_path / "result.json").read_text())["rows_out"] == 10 * MILLION
