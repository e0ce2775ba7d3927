"""Building the DAGs of 1,000 services, against the same DAGs by hand; and a worker's parse for one task.

::

    python benchmarks/dag_building.py [--services 1000] [--rounds 5]

Prints one line of JSON; times are seconds, medians of rounds in which the contestants take turns.

- ``airlock``: ``lifecycle_dags`` as a DAG file calls it: YAML read, checked, joined, built.
- ``by_hand``: the same operators in the same task groups, in Python without any YAML: the limit.
- ``worker_parse``: what a worker does for one task, with all services present and with one.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airlock-bench-"))
logging.disable(logging.WARNING)

import yaml
from airflow.sdk import DAG, Asset, Param, TaskGroup

from airlock.orchestration import dag_files
from airlock.orchestration.activate import Activate
from airlock.orchestration.asking import COMMENT
from airlock.orchestration.begin_passage import BeginPassage
from airlock.orchestration.deployments import Deploy, PickRuntime
from airlock.orchestration.failures import RETRYING
from airlock.orchestration.gate import ApprovalSensor
from airlock.orchestration.passage_task import Pathway, passage_failed
from airlock.orchestration.run_check import RunCheck
from airlock.spec import load_lifecycle, load_service

STAGES: list[dict[str, Any]] = [
    {"name": "DEV", "checks": ["smoke", "contract"]},
    {"name": "SIT", "checks": ["smoke", "contract", {"latency": {"p99_ms": 200}}]},
    {"name": "UAT", "checks": ["contract"]},
    {"name": "PROD", "checks": ["smoke"]},
]


def write_include(folder: Path, services: int) -> Path:
    """An include folder of so many services."""
    for kind in ("lifecycles", "services"):
        (folder / kind).mkdir(parents=True)
    lifecycle = {"lifecycle": "standard", "stages": STAGES}
    (folder / "lifecycles" / "standard.yaml").write_text(yaml.safe_dump(lifecycle))
    for number in range(services):
        name = f"service-{number:04}"
        service = {"service": name, "lifecycle": "standard", "owner": f"team-{number % 20}", "risk": "high"}
        (folder / "services" / f"{name}.yaml").write_text(yaml.safe_dump(service))
    return folder


def by_hand(pathway: Pathway) -> DAG:
    """The DAG of one service as an engineer would write it without a builder."""
    name, owner = pathway.service.service, pathway.service.owner
    with DAG(
        dag_id=name,
        schedule=None,
        tags=["lifecycle:standard", f"owner:{owner}", "risk:high", "DEV", "SIT", "UAT", "PROD"],
        params={"snapshot": Param("", type=["null", "string"], title="Snapshot")},
        default_args={**RETRYING, "owner": owner},
        on_failure_callback=passage_failed,
        doc_md=f"### {name}",
        auto_register=False,
    ) as dag:
        last: Any = BeginPassage(task_id="begin_passage", pathway=pathway)
        stages = pathway.lifecycle.stages
        for stage, following in zip(stages, [*stages[1:], None], strict=True):
            with TaskGroup(stage.name):
                pick = PickRuntime(task_id="pick_runtime", pathway=pathway, stage=stage)
                deploy = Deploy(task_id="deploy", pathway=pathway, stage=stage)
                checked = [
                    RunCheck(task_id=f"check.{check.name}", pathway=pathway, stage=stage, check=check)
                    for check in stage.checks
                ]
                if following is None:
                    asset = Asset(name=f"{name}/{stage.name}", uri=f"airlock://{name}/{stage.name}")
                    end: Any = Activate(task_id="activate", pathway=pathway, stage=stage, outlets=[asset])
                else:
                    end = ApprovalSensor(
                        task_id="gate",
                        pathway=pathway,
                        stage=stage,
                        following=following,
                        params={"comment": COMMENT},
                    )
                last >> pick >> deploy >> checked >> end
                last = end
    return dag


def seconds(act: Callable[[], object]) -> float:
    gc.collect()
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def worker_parse(include: Path) -> float:
    """Median seconds of a worker's parse for one task, in a process that has built nothing else."""
    done = subprocess.run(
        [sys.executable, __file__, "--worker", str(include)], check=True, capture_output=True, text=True
    )
    return float(done.stdout.splitlines()[-1])


def parse_as_a_worker(include: Path) -> float:
    """What Airflow does in the process of a task: only that task's DAG is wanted."""
    wanted = SimpleNamespace(dag_id="service-0000", task_id="begin_passage")
    dag_files.get_parsing_context = lambda: wanted  # type: ignore[assignment,return-value]
    return statistics.median(seconds(lambda: dag_files.lifecycle_dags(include)) for _ in range(100))


def measure(folder: Path, services: int, rounds: int) -> dict[str, Any]:
    """Let the contestants take turns."""
    many, one = write_include(folder / "many", services), write_include(folder / "one", 1)
    lifecycle = load_lifecycle(many, "standard")
    pathways = [Pathway(lifecycle, load_service(path)) for path in sorted((many / "services").glob("*.yaml"))]
    times: dict[str, list[float]] = {"airlock": [], "by_hand": [], "worker_many": [], "worker_one": []}
    for _ in range(rounds):
        times["by_hand"].append(seconds(lambda: [by_hand(pathway) for pathway in pathways]))
        times["airlock"].append(seconds(lambda: dag_files.lifecycle_dags(many)))
        times["worker_many"].append(worker_parse(many))
        times["worker_one"].append(worker_parse(one))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "benchmark": "dag_building",
        "services": services,
        "tasks_of_each": 1 + sum(3 + len(stage["checks"]) for stage in STAGES),
        **{name: round(value, 5) for name, value in medians.items()},
        "airlock_of_by_hand": round(medians["airlock"] / medians["by_hand"], 3),
        "worker_many_of_one": round(medians["worker_many"] / medians["worker_one"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(parse_as_a_worker(options.worker))
        return
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        print(json.dumps(measure(Path(folder), options.services, options.rounds)))


if __name__ == "__main__":
    main()
