"""The wall time of a whole four-stage passage, against a bare DAG with as many no-op tasks, on one Airflow.

::

    python benchmarks/passage.py [--rounds 3]

Prints one line of JSON; seconds from a run's start to its end, medians of rounds that take turns.

- ``bare``: as many tasks in the same shape that do nothing: what Airflow itself needs.
- ``batch``, ``online``: passages of a small model whose environment is built already, with automatic gates.
  Each of the four stages starts real processes: the host in the model's environment, and one for each check.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.stack import AirflowStack
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import Project, write_model

STAGES = ["ONE", "TWO", "THREE", "FOUR"]

BARE = '''"""Airflow DAGs that do nothing, in the shape of a passage."""
from airflow.sdk import DAG, BaseOperator, TaskGroup


class Nothing(BaseOperator):
    def execute(self, context):
        return None


def build(dag_id, batch):
    with DAG(dag_id, schedule=None, is_paused_upon_creation=False) as dag:
        last = Nothing(task_id="begin")
        for stage in ("ONE", "TWO", "THREE", "FOUR"):
            with TaskGroup(stage):
                tasks = [Nothing(task_id=name) for name in ("pick_runtime", "deploy", "check", "end")]
                if batch:
                    tasks.insert(3, Nothing(task_id="clear"))
                for task in tasks:
                    last >> task
                    last = task
    return dag


bare_batch = build("bare-batch", True)
bare_online = build("bare-online", False)
'''


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Start Airflow and let the contestants take turns."""
    project = Project(folder / "project")
    project.lifecycle("four", stages=[{"name": name, "checks": ["smoke"]} for name in STAGES])
    project.write(
        "runtimes/four.yaml", {"runtime": "four", "kind": "local", "stages": STAGES, "capacity": 100}
    )
    for mode in ("batch", "online"):
        project.service(mode, "four", mode=mode)
    (project.dags / "bare.py").write_text(BARE)
    stack = AirflowStack(folder / "airflow", dags=project.dags, include=project.include)
    stack.migrate()
    contestants = ("bare-batch", "batch", "bare-online", "online")
    times: dict[str, list[float]] = {name: [] for name in contestants}
    with stack:
        stack.start()
        airflow = Airflow(stack)
        stack.wait_until(
            lambda: all(
                airflow.as_user("ada").get(f"/api/v2/dags/{name}").status_code == 200 for name in contestants
            ),
            "the DAGs did not appear",
        )
        airflow.airlock("ada", "apply", str(project.include), "--yes")
        for number in range(rounds + 1):  # the first round builds the environments and is not counted
            for name in contestants:
                if name.startswith("bare"):
                    run_id = airflow.trigger(name)
                else:
                    model = write_model(folder / f"{name}-{number}", model=f"model-{name}", factor=number + 1)
                    airflow.snapshot(model, name)
                    run_id = airflow.promote(f"model-{name}@{number + 1}", name)
                assert airflow.run_end(name, run_id) == "success"
                if number:
                    times[name].append(wall_seconds(airflow, name, run_id))
                print(f"round {number}: {name}", file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "benchmark": "passage",
        "rounds": rounds,
        "tasks": {"online": 17, "batch": 21},
        **{name: round(value, 2) for name, value in medians.items()},
        "batch_of_bare": round(medians["batch"] / medians["bare-batch"], 2),
        "online_of_bare": round(medians["online"] / medians["bare-online"], 2),
    }


def wall_seconds(airflow: Airflow, dag_id: str, run_id: str) -> float:
    """How long a run took, by Airflow's own clock."""
    run = airflow.as_user("ada").get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json()
    start, end = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    return (end - start).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        print(json.dumps(measure(Path(folder), options.rounds)))


if __name__ == "__main__":
    sys.exit(main())
