"""Batch scoring, Parquet to Parquet: the host against the model's own speed, and against pandas.

::

    python benchmarks/host_batch.py [--rows 4000000] [--rounds 3] [--quick]

Prints one line of JSON, and a table on standard error. The contestants take turns, each in a process of its
own, and all may use every processor:

- ``in_memory``: the model alone, on rows that are in memory already: the limit. Loading is not counted.
- ``host_all``, ``host_outputs``: ``airlock_host batch``, which writes all columns of the input and the score,
  or the score alone. ``rows_per_second`` is that of the whole job, ``scoring_rows_per_second`` leaves out the
  time until the model is loaded, as ``in_memory`` does.
- ``pandas``: the whole file into a DataFrame, scored, and written: all columns. Imports are not counted.

Processor seconds are those of the same span, except for the host, where they hold start and loading as well.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import host_subjects as subjects

MIB = 2**20
MODELS = ("linear", "trees")
CONTESTANTS = ("in_memory", "host_all", "host_outputs", "pandas")
ROW_GROUP = 500_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 400,000 rows")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rows, options.rounds = 400_000, 1
    subjects.run_in_own_environment(__file__)
    if options.contestant:
        print(json.dumps(compete(*options.contestant.split(":"), options.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        report = measure(Path(folder), options.rows, options.rounds)
    print(json.dumps(report))
    print(table(report), file=sys.stderr)


def measure(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Let all contestants take turns."""
    report: dict[str, Any] = {"benchmark": "host_batch", "rows": rows, "rounds": rounds, **subjects.machine()}
    write_input(folder / "in.parquet", rows)
    for kind in MODELS:
        subjects.write_snapshot(folder / kind, subjects.learn(kind))
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for kind in MODELS:
            for contestant in CONTESTANTS:
                print(f"{kind}: {contestant}", file=sys.stderr, flush=True)
                runs.setdefault((kind, contestant), []).append(turn(kind, contestant, folder))
    for kind in MODELS:
        results = {contestant: median(runs[kind, contestant], rows) for contestant in CONTESTANTS}
        limit = results["in_memory"]["rows_per_second"]
        for name in ("host_all", "host_outputs"):
            results[name]["of_in_memory"] = round(results[name]["scoring_rows_per_second"] / limit, 3)
        results["host_all"]["times_pandas"] = round(
            results["host_all"]["rows_per_second"] / results["pandas"]["rows_per_second"], 2
        )
        report[kind] = results
    return report


def turn(kind: str, contestant: str, folder: Path) -> dict[str, Any]:
    """One run of one contestant."""
    if contestant.startswith("host"):
        return run_host(kind, contestant.removeprefix("host_"), folder)
    command = [sys.executable, __file__, "--contestant", f"{contestant}:{kind}", "--folder", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = Peak(process.pid)
    answer, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{contestant} failed")
    return {**json.loads(answer), "peak_mib": peak.stop()}


def run_host(kind: str, columns: str, folder: Path) -> dict[str, Any]:
    job = {
        "model": str(folder / kind),
        "input": str(folder / "in.parquet"),
        "output": str(folder / "out"),
        "columns": columns,
        "result": str(folder / "result.json"),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "airlock_host", "batch", "--job", str(folder / "job.json")],
        stderr=subprocess.DEVNULL,
    )
    peak = Peak(process.pid)
    if process.wait() != 0:
        raise SystemExit((folder / "result.json").read_text(encoding="utf-8"))
    seconds = time.perf_counter() - started
    peak_mib = peak.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {
        "seconds": seconds,
        "scoring_seconds": result["seconds"] - result["seconds_loading"],
        "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mib": peak_mib,
    }


def compete(contestant: str, kind: str, folder: Path) -> dict[str, Any]:
    """What a contestant that is not the host does in its own process."""
    import pandas as pd

    model = pickle.loads((folder / kind / "model.pkl").read_bytes())
    if contestant == "in_memory":
        import numpy as np

        rows = np.ascontiguousarray(pd.read_parquet(folder / "in.parquet").to_numpy())
        begin = start()
        model.predict_proba(rows)
        return stop(begin)
    begin = start()
    frame = pd.read_parquet(folder / "in.parquet")
    frame["score"] = model.predict_proba(frame[subjects.FEATURES].to_numpy())[:, 1]
    frame.to_parquet(folder / "out.pandas.parquet")
    return stop(begin)


def start() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def stop(begin: tuple[float, float]) -> dict[str, float]:
    seconds = time.perf_counter() - begin[0]
    return {
        "seconds": seconds,
        "scoring_seconds": seconds,
        "processor_seconds": time.process_time() - begin[1],
    }


class Peak:
    """Watches the resident memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        """The greatest seen, in MiB."""
        self._ended.set()
        self._thread.join()
        return self._peak // MIB

    def _watch(self) -> None:
        import psutil

        while not self._ended.wait(0.1):
            try:
                parent = psutil.Process(self._pid)
                family = [parent, *parent.children(recursive=True)]
                self._peak = max(self._peak, sum(one.memory_info().rss for one in family))
            except psutil.NoSuchProcess:
                continue


def write_input(path: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.float64()) for name in subjects.FEATURES])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for number, first in enumerate(range(0, rows, ROW_GROUP)):
            block = subjects.features(min(ROW_GROUP, rows - first), seed=10 + number)
            writer.write_table(pa.table(list(block.T), schema=schema), row_group_size=ROW_GROUP)


def median(runs: list[dict[str, Any]], rows: int) -> dict[str, Any]:
    """The middle of several runs, as rates."""
    seconds = statistics.median(run["seconds"] for run in runs)
    scoring = statistics.median(run["scoring_seconds"] for run in runs)
    processor = statistics.median(run["processor_seconds"] for run in runs)
    return {
        "rows_per_second": round(rows / seconds),
        "scoring_rows_per_second": round(rows / scoring),
        "processor_seconds_per_million": round(processor / rows * 1e6, 3),
        "peak_mib": max(run["peak_mib"] for run in runs),
    }


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['rows']:,} rows of 20 columns, {report['processors']} processors, "
        f"load {report['load_before']} before",
        f"{'model':8}{'contestant':14}{'M rows/s':>10}{'scoring':>10}{'CPU s/M':>10}{'MiB':>7}  ratio",
    ]
    for kind in MODELS:
        for contestant in CONTESTANTS:
            result = report[kind][contestant]
            ratios = [
                f"{result[key]} {words}"
                for key, words in (("of_in_memory", "of in_memory"), ("times_pandas", "x pandas"))
                if key in result
            ]
            lines.append(
                f"{kind:8}{contestant:14}{result['rows_per_second'] / 1e6:10.3f}"
                f"{result['scoring_rows_per_second'] / 1e6:10.3f}"
                f"{result['processor_seconds_per_million']:10.3f}{result['peak_mib']:7}  {', '.join(ratios)}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
