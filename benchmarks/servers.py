"""Servers for models: the host against kserve, mlserver, mlflow, litserve and bentoml, all with one model.

::

    python benchmarks/servers.py [--seconds 3] [--rounds 3] [--only NAME ...] [--quick]

Prints one line of JSON, and a table on standard error. Each server has an environment of its own from its
lock in ``benchmarks/servers/``, the same version of scikit-learn, one process for its requests with one
thread for BLAS, and else what it does by itself. All answer with the probabilities of the same logistic
regression for the same rows, asked with JSON in their own protocols:

- ``airlock``: ``airlock_host serve``, records to ``/score``; checked against the snapshot's fields.
- ``airlock_v2``: the same, one tensor to the Open Inference Protocol V2.
- ``kserve``: a model in kserve's ``ModelServer``, written as kserve's own server for scikit-learn is; V2.
- ``mlserver``: mlserver with its runtime for scikit-learn, without parallel workers and debugging; V2.
- ``mlflow``: ``mlflow models serve``, the columns and rows of a table to ``/invocations``.
- ``litserve``: a ``LitAPI``, rows to ``/predict``. It scores in a second process, by its construction.
- ``bentoml``: a service with one worker, rows as an array to ``/score``.

A round starts them one after the other, puts them under load in turns, 1 row and 100 rows a request with 1
and with 32 connections, and ends them. Before the load each has to answer what the model itself says.

- ``cold_start_s``: from the start of the process until the first such answer.
- ``memory_mib``: what all of a server's processes hold in memory after the load; shared pages count twice.
- ``processor_ms``: processor time of all of them for a request.

A server that cannot be installed or started, or answers wrongly, is listed with the reason and no numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host_subjects as subjects
from benchmarks import rest_load

LOCKS = Path(__file__).parent / "servers"
CASES = [(rows, connections) for rows in (1, 100) for connections in (1, 32)]
PATIENCE_SECONDS = 120

Rows = list[list[float]]


class NotMeasured(Exception):
    """A server cannot be installed or started, or answers wrongly."""


@dataclass(frozen=True)
class Server:
    """A server, and how it is asked.

    :ivar package: what is installed for it, which has a lock; none for the host.
    :ivar command: after the Python of its environment or with a program of it, given the port.
    :ivar body: what to post for some rows.
    :ivar probabilities: what an answer says, a probability for each row.
    """

    name: str
    package: str
    command: Callable[[Path, int], list[str]]
    path: str
    body: Callable[[Rows], Any]
    probabilities: Callable[[Any], list[float]]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass
class Measured:
    """What the rounds found of one server."""

    version: str = ""
    cold_starts: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    processes: int = 0
    runs: dict[tuple[int, int], list[dict[str, float]]] = field(default_factory=dict)
    not_measured: str = ""

    def report(self) -> dict[str, Any]:
        if self.not_measured:
            return {"version": self.version, "not_measured": self.not_measured}
        return {
            "version": self.version,
            "cold_start_s": round(statistics.median(self.cold_starts), 2),
            "memory_mib": round(statistics.median(self.memory)),
            "processes": self.processes,
            **{case_name(*case): rest_load.medians(runs) for case, runs in self.runs.items()},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--only", nargs="+", help="names of servers")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 1.0, 1
    subjects.run_in_own_environment(__file__)
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        report = measure(Path(folder), options.seconds, options.rounds, options.only)
    print(json.dumps(report))
    print(table(report), file=sys.stderr)


def measure(folder: Path, seconds: float, rounds: int, only: list[str] | None) -> dict[str, Any]:
    """Prepare all environments, then let the servers take turns."""
    report: dict[str, Any] = {"benchmark": "servers", "seconds": seconds, "rounds": rounds}
    model = subjects.learn("linear")
    rows = {count: subjects.features(count, seed=7) for count in {count for count, _ in CASES}}
    right = {count: model.predict_proba(some)[:, 1].tolist() for count, some in rows.items()}
    asked = {count: some.tolist() for count, some in rows.items()}
    servers = [server for server in contestants(folder, model) if not only or server.name in only]
    found = {server.name: Measured(version_of(server.package)) for server in servers}
    for server in servers:
        with noting(found[server.name]):
            prepare(server.package)
    report |= subjects.machine()
    for _ in range(rounds):
        with contextlib.ExitStack() as stack:
            running = []
            for server in servers:
                if found[server.name].not_measured:
                    continue
                print(server.name, file=sys.stderr, flush=True)
                with noting(found[server.name]):
                    one = stack.enter_context(Running.of(server, folder))
                    found[server.name].cold_starts.append(one.first_answer(asked[1], right[1]))
                    for count, some in asked.items():
                        one.check(some, right[count])
                    running.append(one)
            take_turns(running, found, asked, seconds)
    report["servers"] = {name: measured.report() for name, measured in found.items()}
    return report


def take_turns(
    running: list[Running], found: Mapping[str, Measured], asked: Mapping[int, Rows], seconds: float
) -> None:
    """Put all that run under load: in all cases, each first for a short time that does not count."""
    for rows, connections in CASES:
        for lasting in (min(0.5, seconds), seconds):
            for one in running:
                measured = found[one.server.name]
                if measured.not_measured:
                    continue
                with noting(measured):
                    run = one.load(asked[rows], connections, lasting)
                    if lasting == seconds:
                        measured.runs.setdefault((rows, connections), []).append(run)
    for one in running:
        measured = found[one.server.name]
        if measured.not_measured:
            continue
        measured.memory.append(rest_load.resident_mib(one.process.pid))
        measured.processes = rest_load.processes(one.process.pid)


@contextlib.contextmanager
def noting(measured: Measured) -> Iterator[None]:
    """Note why a server is not measured, and go on with the others."""
    try:
        yield
    except NotMeasured as reason:
        print(reason, file=sys.stderr, flush=True)
        # A cell of a table in Markdown.
        measured.not_measured = str(reason).splitlines()[0][:200].replace("|", "/")


class Running:
    """A server that was started.

    :ivar started: when, by the performance counter.
    """

    def __init__(
        self, server: Server, port: int, process: subprocess.Popen[bytes], started: float, log: Path
    ) -> None:
        self.server = server
        self.process = process
        self._port = port
        self._started = started
        self._log = log

    @classmethod
    @contextlib.contextmanager
    def of(cls, server: Server, folder: Path) -> Iterator[Running]:
        """Start a server in its environment."""
        port = rest_load.free_port()
        programs = (environment_of(server.package) if server.package else subjects.ENVIRONMENT) / "bin"
        log = folder / f"{server.name}.log"
        # The host is not for the environments of the others.
        path = {"PYTHONPATH": ""} if server.package else {}
        environment = {**path, **server.environment}
        command = server.command(programs, port)
        started = time.perf_counter()
        with rest_load.started(command, log, environment, server.folder) as process:
            yield cls(server, port, process, started, log)

    def request(self, rows: Rows) -> rest_load.Request:
        return rest_load.Request(self._port, self.server.path, json.dumps(self.server.body(rows)))

    def first_answer(self, rows: Rows, right: list[float]) -> float:
        """Seconds from the start until rows are answered rightly.

        :raises NotMeasured: they are not.
        """
        while True:
            with contextlib.suppress(OSError, NotMeasured):
                self.check(rows, right)
                return time.perf_counter() - self._started
            ended, waited = self.process.poll() is not None, time.perf_counter() - self._started
            if ended or waited > PATIENCE_SECONDS:
                said = self._log.read_text(errors="replace").strip()
                last = said.rpartition("\n")[2]
                how = "ended" if ended else f"gave no right answer within {PATIENCE_SECONDS} s"
                raise NotMeasured(f"{how} at its start: {last}\n{said}")
            time.sleep(0.02)

    def load(self, rows: Rows, connections: int, seconds: float) -> dict[str, float]:
        """Put it under load.

        :raises NotMeasured: not every request was answered.
        """
        try:
            return rest_load.load(self.request(rows), connections, seconds, self.process.pid)
        except subprocess.CalledProcessError as error:
            raise NotMeasured(
                f"did not answer all requests of {len(rows)} rows over {connections} connections with 200"
            ) from error

    def check(self, rows: Rows, right: list[float]) -> None:
        """See that rows get the probabilities of the model itself.

        :raises NotMeasured: they get others.
        """
        answer = rest_load.ask(self.request(rows))
        try:
            probabilities = self.server.probabilities(json.loads(answer))
        except (ValueError, LookupError, TypeError) as error:
            raise NotMeasured(f"answers {answer[:200]!r}: {error!r}") from error
        if len(probabilities) != len(right) or not all(
            math.isclose(one, other, rel_tol=1e-9) for one, other in zip(probabilities, right, strict=True)
        ):
            raise NotMeasured(f"answers {probabilities[:3]} where the model says {right[:3]}")


def environment_of(package: str) -> Path:
    return subjects.ROOT / f".venv-bench-{package}"


def prepare(package: str) -> None:
    """Make the environment of a server, once.

    :raises NotMeasured: it cannot be installed here.
    """
    if not package:
        return
    lock = (LOCKS / f"{package}.lock").relative_to(subjects.ROOT)
    done = subprocess.run(
        [subjects.ROOT / "scripts" / "prepare", environment_of(package).name, lock],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        # uv begins with what is wrong, and goes on with what it comes from.
        _, error, reason = done.stderr.partition("error: ")
        reason = " ".join((reason if error else done.stderr).split())
        raise NotMeasured(f"cannot be installed: {reason}\n{done.stderr}")


def version_of(package: str) -> str:
    """The version of a server: of the host, or from the lock of a package."""
    if not package:
        from airlock_host import __version__

        return __version__
    return locked_version(package, (LOCKS / f"{package}.lock").read_text())


def locked_version(package: str, lock: str) -> str:
    """The version of a package in a hashed requirements file."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", lock, re.MULTILINE)
    assert found is not None, f"the lock has no {package}"
    return found[1]


def contestants(folder: Path, model: Any) -> list[Server]:
    """All servers, with the files they need."""
    import joblib

    snapshot = subjects.write_snapshot(folder / "snapshot", model)
    stored = folder / "model.joblib"
    joblib.dump(model, stored)
    write_mlflow(folder / "mlflow", model)
    scripts = LOCKS

    def of_both_classes(answer: Any) -> list[float]:
        return [float(probability) for _, probability in answer]

    def records(rows: Rows) -> Any:
        found = [dict(zip(subjects.FEATURES, row, strict=True)) for row in rows]
        return found[0] if len(found) == 1 else found

    def of_records(answer: Any) -> list[float]:
        return [record["score"] for record in (answer if isinstance(answer, list) else [answer])]

    def host(programs: Path, port: int) -> list[str]:
        serve = ["-m", "airlock_host", "serve", "--model", str(snapshot), "--port", str(port)]
        return [str(programs / "python"), *serve]

    def script(name: str) -> Callable[[Path, int], list[str]]:
        return lambda programs, port: [
            *(str(programs / "python"), str(scripts / name), str(stored), str(port)),
        ]

    def mlserver(programs: Path, port: int) -> list[str]:
        write_mlserver(folder / "mlserver", stored, port)
        return [str(programs / "mlserver"), "start", str(folder / "mlserver")]

    def mlflow(programs: Path, port: int) -> list[str]:
        serve = ["models", "serve", "--model-uri", str(folder / "mlflow"), "--env-manager", "local"]
        return [str(programs / "mlflow"), *serve, "--host", "127.0.0.1", "--port", str(port)]

    def bentoml(programs: Path, port: int) -> list[str]:
        serve = ["serve", "bentoml_server:Scores", "--host", "127.0.0.1", "--port", str(port)]
        return [str(programs / "bentoml"), *serve]

    v2 = "/v2/models/benchmark/infer"
    return [
        Server("airlock", "", host, "/score", records, of_records),
        Server("airlock_v2", "", host, v2, tensor, of_tensor),
        Server("kserve", "kserve", script("kserve_server.py"), v2, tensor, of_tensor),
        Server("mlserver", "mlserver", mlserver, v2, tensor, of_tensor),
        Server(
            "mlflow",
            "mlflow",
            mlflow,
            "/invocations",
            lambda rows: {"dataframe_split": {"columns": subjects.FEATURES, "data": rows}},
            lambda answer: of_both_classes(answer["predictions"]),
            {"MLFLOW_DISABLE_TELEMETRY": "true"},
        ),
        Server(
            "litserve",
            "litserve",
            script("litserve_server.py"),
            "/predict",
            lambda rows: {"rows": rows},
            lambda answer: of_both_classes(answer["probabilities"]),
        ),
        Server(
            "bentoml",
            "bentoml",
            bentoml,
            "/score",
            lambda rows: {"rows": rows},
            of_both_classes,
            {
                "BENTOML_DO_NOT_TRACK": "true",
                "BENTOML_HOME": str(folder / "bentoml"),
                "MODEL": str(stored),
            },
            scripts,
        ),
    ]


def tensor(rows: Rows) -> dict[str, Any]:
    """Rows in the Open Inference Protocol V2."""
    values = [value for row in rows for value in row]
    shape = [len(rows), len(subjects.FEATURES)]
    return {"inputs": [{"name": "rows", "shape": shape, "datatype": "FP64", "data": values}]}


def of_tensor(answer: Any) -> list[float]:
    """The probabilities in an answer of V2, of the second class where it has both."""
    [output] = answer["outputs"]
    return list(output["data"][1::2]) if len(output["shape"]) == 2 else list(output["data"])


def write_mlflow(folder: Path, model: Any) -> None:
    """The model as a folder of MLflow that answers with probabilities."""
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature

    frame = pd.DataFrame(subjects.features(5, seed=1), columns=subjects.FEATURES)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(frame, model.predict_proba(frame.to_numpy())),
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )


def write_mlserver(folder: Path, stored: Path, port: int, **settings: Any) -> None:
    """A folder that mlserver starts from.

    :param settings: beside those that keep it to one process of this machine.
    """
    folder.mkdir(exist_ok=True)
    own = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": rest_load.free_port(),
        "metrics_port": rest_load.free_port(),
        "metrics_dir": str(folder),
        "parallel_workers": 0,
        "debug": False,
        **settings,
    }
    (folder / "settings.json").write_text(json.dumps(own))
    model = {
        "name": "benchmark",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(stored), "extra": {"predict_fn": "predict_proba"}},
    }
    (folder / "model-settings.json").write_text(json.dumps(model))


def case_name(rows: int, connections: int) -> str:
    return f"rows_{rows}_connections_{connections}"


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['processors']} processors shared with the client, load {report['load_before']} before",
        f"{'server':12}{'rows':>6}{'connections':>13}{'requests/s':>12}"
        f"{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}",
    ]
    for name, found in report["servers"].items():
        if "not_measured" in found:
            lines.append(f"{name:12} not measured: {found['not_measured']}")
            continue
        for rows, connections in CASES:
            run = found[case_name(rows, connections)]
            lines.append(
                f"{name:12}{rows:6}{connections:13}{run['requests_per_second']:12.0f}{run['p50_ms']:9.2f}"
                f"{run['p99_ms']:9.2f}{run['processor_ms']:9.3f}"
            )
        lines.append(
            f"{'':12} {found['version']}: cold start {found['cold_start_s']:.2f} s, "
            f"{found['memory_mib']} MiB in {found['processes']} process{'es' * (found['processes'] > 1)}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
