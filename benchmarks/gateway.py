"""REST through the gateway, against the same server asked directly.

::

    python benchmarks/gateway.py [--seconds 3] [--rounds 5] [--quick]

Prints one line of JSON, and a table on standard error. There is one server, ``airlock_host serve`` with a
logistic regression, and one ``airlock gateway`` with its Envoy, which a registry in SQLite tells to send all
requests there. The same client puts both addresses under load in turns, with 1 and with 32 connections:

- ``bare``: the server's own address.
- ``gateway``: ``/cc-fraud/PROD/score`` at the gateway's.

``added_ms`` is how much later answers come through the gateway, at p50 and at p99. ``processor_ms`` is the
processor time of the server for a request, ``gateway_processor_ms`` that of gateway and Envoy. Where they
share two processors with the client, each takes from the others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host_subjects as subjects
from benchmarks import rest_load

CONNECTIONS = (1, 32)
PATIENCE_SECONDS = 60
RECORD = json.dumps({name: float(number) for number, name in enumerate(subjects.FEATURES)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--snapshot", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 1.0, 1
    if options.snapshot:
        subjects.run_in_own_environment(__file__)
        subjects.write_snapshot(options.snapshot, subjects.learn("linear"))
    else:
        with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
            report = measure(Path(folder), options.seconds, options.rounds)
        print(json.dumps(report))
        print(table(report), file=sys.stderr)


def measure(folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Start server and gateway, and ask the one and the other in turns."""
    report: dict[str, Any] = {"benchmark": "gateway", "seconds": seconds, "rounds": rounds}
    report |= subjects.machine()
    snapshot = folder / "snapshot"
    subprocess.run([sys.executable, __file__, "--snapshot", str(snapshot)], check=True)
    bare = rest_load.Request(rest_load.free_port(), "/score", RECORD)
    through = rest_load.Request(rest_load.free_port(), "/cc-fraud/PROD/score", RECORD)
    host = [str(subjects.PYTHON), "-m", "airlock_host", "serve", "--model", str(snapshot)]
    host += ["--port", str(bare.port)]
    database = f"sqlite:///{folder}/registry.db"
    gateway = [str(Path(sys.executable).parent / "airlock"), "gateway", "--port", str(through.port)]
    gateway += ["--folder", str(folder / "gateway"), "--database-url", database]
    direct_all_requests(database, f"http://127.0.0.1:{bare.port}")
    with (
        rest_load.started(host, folder / "host.log", subjects.HOST) as server,
        rest_load.started(gateway, folder / "gateway.log", {}) as proxy,
    ):
        wait_for(lambda: rest_load.ask(through) == rest_load.ask(bare), folder)
        for connections in CONNECTIONS:
            runs: dict[str, list[dict[str, float]]] = {"bare": [], "gateway": []}
            for turn in range(rounds + 1):
                lasting = seconds if turn else min(1.0, seconds)
                for name, request in (("bare", bare), ("gateway", through)):
                    before = rest_load.processor_seconds(proxy.pid)
                    run = rest_load.load(request, connections, lasting, server.pid)
                    used = rest_load.processor_seconds(proxy.pid) - before
                    if name == "gateway":
                        run["gateway_processor_ms"] = used / run["requests"] * 1000
                    if turn:  # the first one warms up
                        runs[name].append(run)
            report[f"connections_{connections}"] = compared(runs["bare"], runs["gateway"])
        report["gateway_mib"] = round(rest_load.resident_mib(proxy.pid), 1)
    return report


def direct_all_requests(database: str, url: str) -> None:
    """A registry in which a server at an address is the version in use of cc-fraud in PROD."""
    from airlock.registry import Registry
    from tests.registry.building import add_snapshot, begin, deploy, include, runtime

    registry = Registry(database)
    registry.migrate()
    registry.catalog.apply(include(runtime("here")), by="benchmark")
    deployment = deploy(registry, begin(registry, add_snapshot(registry), "fraud@1"), stage="PROD")
    registry.deployments.set_state(deployment.id, "ready", endpoints=[{"kind": "rest", "url": url}])
    registry.traffic.direct("cc-fraud", "PROD", {deployment.id: 100}, actor="benchmark", reason="all of it")
    registry.close()


def wait_for(is_so: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if is_so():
                return
            reason = "the gateway answers something else than the server"
        except OSError as error:
            reason = str(error)
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
            raise SystemExit(f"No answers through the gateway: {reason}\n{logs}")
        time.sleep(0.1)


def compared(bare: list[dict[str, float]], gateway: list[dict[str, float]]) -> dict[str, Any]:
    """Both, and what the gateway makes of it turn by turn."""
    pairs = list(zip(bare, gateway, strict=True))

    def median(of: Callable[[dict[str, float], dict[str, float]], float]) -> float:
        return round(statistics.median(of(one, other) for one, other in pairs), 3)

    return {
        "bare": rest_load.medians(bare),
        "gateway": {
            **rest_load.medians(gateway),
            "of_bare": median(lambda one, other: other["requests_per_second"] / one["requests_per_second"]),
            "added_ms_p50": median(lambda one, other: other["p50_ms"] - one["p50_ms"]),
            "added_ms_p99": median(lambda one, other: other["p99_ms"] - one["p99_ms"]),
        },
    }


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['processors']} processors shared with the client, load {report['load_before']} before",
        f"{'connections':>12} {'asked':10}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}",
    ]
    for connections in CONNECTIONS:
        found = report[f"connections_{connections}"]
        for name in ("bare", "gateway"):
            run = found[name]
            lines.append(
                f"{connections:12} {name:10}{run['requests_per_second']:12.0f}{run['p50_ms']:9.2f}"
                f"{run['p99_ms']:9.2f}{run['processor_ms']:9.3f}"
            )
        through = found["gateway"]
        lines.append(
            f"{'':12} the gateway: {through['of_bare']:.2f} of the requests, "
            f"{through['added_ms_p50']:+.2f} ms at p50, {through['added_ms_p99']:+.2f} ms at p99, "
            f"{through['gateway_processor_ms']:.3f} ms CPU"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
