"""The scheduled batch scoring DAG of a service: ``<service>.score``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from airlock.orchestration.failures import RETRYING
from airlock.orchestration.scoring_tasks import (
    ClearScoring,
    CommitScoring,
    DeployForScoring,
    ListPartitions,
    PickScoringRuntime,
    ScorePartition,
)
from airlock.spec import Lifecycle, Service

SCORING_SUFFIX = ".score"


def build_scoring_dag(service: Service, lifecycle: Lifecycle) -> DAG:
    """``pick_runtime >> deploy >> list_partitions >> score (mapped) >> commit >> clear``.

    :param service: has a ``schedule``, an ``input`` and an ``output``.
    :param lifecycle: its last stage is where the scoring runs.
    """
    stage = lifecycle.stages[-1].name
    common: dict[str, Any] = {"service": service, "stage": stage}
    with DAG(
        dag_id=service.service + SCORING_SUFFIX,
        description=f"Scores each interval's records with the active version of {service.service}.",
        doc_md=f"Reads `{service.input}`, writes `{service.output}`. Service digest `{service.digest}`.\n",
        schedule=CronDataIntervalTimetable(service.schedule or "", timezone="UTC"),
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=2,
        tags=[f"owner:{service.owner}", f"risk:{service.risk}", stage, "batch scoring"],
        default_args={**RETRYING, "owner": service.owner},
        auto_register=False,  # see build_dag
    ) as dag:
        pick_runtime = PickScoringRuntime(task_id="pick_runtime", **common)
        deploy = DeployForScoring(task_id="deploy", **common)
        partitions = ListPartitions(task_id="list_partitions", **common)
        score = ScorePartition.partial(
            task_id="score", map_index_template="{{ task.part['partition'] }}", **common
        ).expand(part=partitions.output)
        commit = CommitScoring(task_id="commit", **common)
        clear = ClearScoring(task_id="clear", **common).as_teardown(
            setups=[pick_runtime, deploy], on_failure_fail_dagrun=True
        )
        pick_runtime >> deploy >> partitions
        score >> commit >> clear
    return dag
