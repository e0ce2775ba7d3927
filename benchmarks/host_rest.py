"""One record a request over REST: the host against a bare FastAPI handler and ``mlflow models serve``.

::

    python benchmarks/host_rest.py [--seconds 3] [--rounds 5] [--quick]

Prints one line of JSON, and a table on standard error. All servers run at the same time, one process each
with one thread for BLAS, and are put under load in turns by a client in a process of its own, with 1 and with
32 connections. All call the same logistic regression:

- ``fastapi``: a handler that parses a record with pydantic and calls the model, on the event loop: the limit
  that people would write themselves. It checks types only, measures nothing, and stalls on a slow model.
- ``host_score``: ``airlock_host serve``, the same record to ``/score``.
- ``mlflow``: ``mlflow models serve`` of the model as an MLflow folder, the record to ``/invocations``.
- ``host_mlflow``: ``airlock_host serve`` of that same folder, the same request.

``processor_ms`` is the processor time of the server for a request, which other work on the machine changes
less than the number of requests a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import host_subjects as subjects
import rest_load

CONNECTIONS = (1, 32)
PATIENCE_SECONDS = 180
RECORD = {name: float(number) for number, name in enumerate(subjects.FEATURES)}
SPLIT = {"dataframe_split": {"columns": subjects.FEATURES, "data": [list(RECORD.values())]}}


@dataclass
class Server:
    """A server under test."""

    name: str
    command: list[str]
    path: str
    body: Any
    ready: str
    port: int = 0
    process_id: int = 0

    @property
    def request(self) -> rest_load.Request:
        return rest_load.Request(self.port, self.path, json.dumps(self.body))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--fastapi", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 1.0, 1
    subjects.run_in_own_environment(__file__)
    if options.fastapi:
        serve_bare(options.fastapi, options.port)
    else:
        with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
            report = measure(Path(folder), options.seconds, options.rounds)
        print(json.dumps(report))
        print(table(report), file=sys.stderr)


def measure(folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Start all servers and let them take turns."""
    report: dict[str, Any] = {"benchmark": "host_rest", "seconds": seconds, "rounds": rounds}
    report |= subjects.machine()
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running(server, folder)) for server in contestants(folder)]
        for server in servers:
            answer = rest_load.ask(server.request)
            print(f"{server.name} answers {answer.decode().strip()}", file=sys.stderr, flush=True)
        for connections in CONNECTIONS:
            for turn in range(rounds + 1):
                for server in servers:
                    lasting = seconds if turn else min(1.0, seconds)
                    result = rest_load.load(server.request, connections, lasting, server.process_id)
                    if turn:  # the first one warms up
                        runs.setdefault((server.name, connections), []).append(result)
    for connections in CONNECTIONS:
        results = {
            name: rest_load.medians(found) for (name, count), found in runs.items() if count == connections
        }
        for ours, theirs, key in (
            ("host_score", "fastapi", "of_fastapi"),
            ("host_mlflow", "mlflow", "times_mlflow"),
            ("host_score", "mlflow", "times_mlflow"),
        ):
            pairs = zip(runs[ours, connections], runs[theirs, connections], strict=True)
            ratios = [one["requests_per_second"] / other["requests_per_second"] for one, other in pairs]
            results[ours][key] = statistics.median(ratios)
        report[f"connections_{connections}"] = {
            name: {key: round(value, 3) for key, value in result.items()} for name, result in results.items()
        }
    return report


def contestants(folder: Path) -> list[Server]:
    """All servers, not yet started."""
    import mlflow.sklearn
    import numpy as np
    from mlflow.models import infer_signature

    model = subjects.learn("linear")
    snapshot = subjects.write_snapshot(folder / "snapshot", model)
    saved = folder / "mlflow"
    example = subjects.features(5, seed=1)
    import pandas as pd

    frame = pd.DataFrame(example, columns=subjects.FEATURES)
    mlflow.sklearn.save_model(
        model,
        saved,
        signature=infer_signature(frame, np.zeros(5)),
        pyfunc_predict_fn="predict",
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    subjects.write_manifest(saved, "mlflow", {"model": "MLmodel"}, output="label")
    python = sys.executable
    host = [python, "-m", "airlock_host", "serve", "--port", "{port}", "--model"]
    return [
        Server(
            "fastapi",
            [python, __file__, "--port", "{port}", "--fastapi", str(snapshot)],
            "/score",
            RECORD,
            "/",
        ),
        Server("host_score", [*host, str(snapshot)], "/score", RECORD, "/ping"),
        Server(
            "mlflow",
            [
                *(python, "-m", "mlflow", "models", "serve", "--model-uri", str(saved)),
                *("--env-manager", "local", "--host", "127.0.0.1", "--port", "{port}"),
            ],
            "/invocations",
            SPLIT,
            "/ping",
        ),
        Server("host_mlflow", [*host, str(saved)], "/invocations", SPLIT, "/ping"),
    ]


@contextlib.contextmanager
def running(server: Server, folder: Path) -> Iterator[Server]:
    """Start a server, wait until it answers, and end it."""
    server.port = rest_load.free_port()
    command = [part.replace("{port}", str(server.port)) for part in server.command]
    log = folder / f"{server.name}.log"
    with rest_load.started(command, log, {"MLFLOW_DISABLE_TELEMETRY": "true"}) as process:
        server.process_id = process.pid
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(server):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{server.name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
        yield server


def answers(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{server.ready}", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 404  # the bare handler has nothing but its one path
    except OSError:
        return False


def serve_bare(folder: Path, port: int) -> None:
    """What people write themselves."""
    import numpy as np
    import uvicorn
    from fastapi import FastAPI
    from pydantic import create_model

    sys.path.insert(0, str(folder))
    import model as snapshot

    snapshot.init(folder)
    fields: dict[str, Any] = dict.fromkeys(subjects.FEATURES, (float, ...))
    record_type: Any = create_model("Record", **fields)
    app = FastAPI()

    async def score(record: record_type) -> dict[str, float]:
        row = np.array([[getattr(record, name) for name in subjects.FEATURES]])
        return {"score": float(snapshot.score(row)[0])}

    score.__annotations__["record"] = record_type
    app.post("/score")(score)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['processors']} processors shared with the client, load {report['load_before']} before",
        f"{'connections':>12} {'server':12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}  ratio",
    ]
    for connections in CONNECTIONS:
        for name, result in report[f"connections_{connections}"].items():
            ratios = [
                f"{result[key]:.2f} {words}"
                for key, words in (("of_fastapi", "of fastapi"), ("times_mlflow", "x mlflow"))
                if key in result
            ]
            lines.append(
                f"{connections:12} {name:12}{result['requests_per_second']:12.0f}{result['p50_ms']:9.2f}"
                f"{result['p99_ms']:9.2f}{result['processor_ms']:9.3f}  {', '.join(ratios)}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
