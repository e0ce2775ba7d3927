"""A life cycle joined with a service becomes one DAG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, Param, TaskGroup

from airlock.exceptions import SpecError
from airlock.orchestration.activate import Activate
from airlock.orchestration.asking import COMMENT
from airlock.orchestration.begin_passage import BeginPassage
from airlock.orchestration.deployments import Clear, Deploy, PickRuntime
from airlock.orchestration.failures import RETRYING
from airlock.orchestration.gate import ApprovalSensor
from airlock.orchestration.notifying import Notifiers
from airlock.orchestration.passage_task import Pathway, passage_failed
from airlock.orchestration.retire import Retire
from airlock.orchestration.rollout import MoveTraffic
from airlock.orchestration.run_check import RunCheck
from airlock.spec import Lifecycle, Service, Stage, load_lifecycle, load_service, misfits


def build_dag(
    service: Service | str,
    lifecycle: Lifecycle | None = None,
    *,
    on_rollback: Notifiers = (),
    **dag_arguments: Any,
) -> DAG:
    """The DAG of one service: a task group for each stage of its life cycle.

    :param service: a service, or the name of one in the project's ``include/services``.
    :param lifecycle: by default the one that the service names, from ``include/lifecycles``.
    :param on_rollback: called whenever a rollout has gone back; see :mod:`airlock.orchestration.notifying`.
    :param dag_arguments: passed on to :class:`airflow.sdk.DAG` (tags are added to Airlock's own).
    :raises SpecError: a file is not as it must be, with every mistake and its line.
    """
    if isinstance(service, str):
        service = load_service(_include_folder() / "services" / f"{service}.yaml")
    if lifecycle is None:
        lifecycle = load_lifecycle(_include_folder(), service.lifecycle)
    if mistakes := misfits(service, lifecycle):
        raise SpecError(f"{service.service}: " + "; ".join(str(mistake) for mistake in mistakes))
    pathway = Pathway(lifecycle, service)
    tags = {f"lifecycle:{lifecycle.lifecycle}", f"owner:{service.owner}", f"risk:{service.risk}"}
    tags |= {stage.name for stage in lifecycle.stages} | set(dag_arguments.pop("tags", ()))
    dag = DAG(
        dag_id=service.service,
        description=service.description or lifecycle.description,
        doc_md=_documentation(pathway),
        schedule=None,
        tags=tags,
        params={"snapshot": _snapshot_parameter(service)},
        default_args={**RETRYING, "owner": service.owner} | dag_arguments.pop("default_args", {}),
        on_failure_callback=passage_failed,
        # Airflow would otherwise give the DAG to every file that builds it, mistakes.py among them.
        auto_register=False,
        **{"max_active_runs": 16, "is_paused_upon_creation": False, **dag_arguments},
    )
    with dag:
        previous: Any = BeginPassage(task_id="begin_passage", pathway=pathway)
        for stage in lifecycle.stages:
            previous = _stage(pathway, stage, previous, on_rollback)
    return dag


def _stage(pathway: Pathway, stage: Stage, previous: Any, on_rollback: Notifiers) -> Any:
    """``pick_runtime >> deploy >> checks >> clear (batch) or rollout >> gate``; returns the last task."""
    common: dict[str, Any] = {"pathway": pathway, "stage": stage}
    with TaskGroup(stage.name, tooltip=_stage_tooltip(pathway, stage)):
        pick_runtime = PickRuntime(task_id="pick_runtime", **common)
        deploy = Deploy(task_id="deploy", **common)
        previous >> pick_runtime >> deploy
        checked: list[Any] = [
            RunCheck(task_id=f"check.{check.name}", check=check, **common) for check in stage.checks
        ] or [deploy]
        if stage.checks:
            deploy >> checked
        end = _end_of_stage(pathway, stage)
        if _moves_by_steps(pathway, stage):
            rollout = MoveTraffic(
                task_id="rollout", on_rollback=on_rollback, params={"comment": COMMENT}, **common
            )
            checked >> rollout >> [end, Retire(task_id="retire", **common)]
            return end
        if pathway.service.stage_mode(stage) == "batch":
            clear = Clear(task_id="clear", **common).as_teardown(
                setups=[pick_runtime, deploy], on_failure_fail_dagrun=True
            )
            checked >> clear >> end
        checked >> end
    return end


def _moves_by_steps(pathway: Pathway, stage: Stage) -> bool:
    """Whether a stage has a rollout that takes more than one moment."""
    online = pathway.service.stage_mode(stage) == "online"
    return online and stage.moves_traffic_by.kind != "direct"


def _end_of_stage(pathway: Pathway, stage: Stage) -> Activate | ApprovalSensor:
    following = pathway.lifecycle.after(stage.name)
    if following is None:
        return Activate(
            task_id="activate", pathway=pathway, stage=stage, outlets=[active_version(pathway.service, stage)]
        )
    return ApprovalSensor(
        task_id="gate", pathway=pathway, stage=stage, following=following, params={"comment": COMMENT}
    )


def active_version(service: Service, stage: Stage) -> Asset:
    """The asset that changes whenever another version becomes active; DAGs may be scheduled on it."""
    return Asset(name=f"{service.service}/{stage.name}", uri=f"airlock://{service.service}/{stage.name}")


def _snapshot_parameter(service: Service) -> Param:
    return Param(
        default="",
        type=["null", "string"],
        title="Snapshot",
        description=f"`model@version` or `sha256:…`. Empty: the newest that serves {service.service}.",
    )


def _stage_tooltip(pathway: Pathway, stage: Stage) -> str:
    return f"{stage.name}, {pathway.service.stage_mode(stage)}. Checks: {_checks(stage)}."


def _checks(stage: Stage) -> str:
    return ", ".join(check.name for check in stage.checks) or "none"


def _documentation(pathway: Pathway) -> str:
    """Shown on the DAG's page. The digest makes every edit a new DAG version, also one that moves no task."""
    service, lifecycle = pathway.service, pathway.lifecycle
    rows = "\n".join(
        f"| {stage.name} | {service.stage_mode(stage)} | {_checks(stage)} | {stage.moves_traffic_by.kind} |"
        for stage in lifecycle.stages
    )
    return (
        f"### {service.service}\n\n{service.description}\n\n"
        f"Life cycle `{lifecycle.lifecycle}`: {lifecycle.description}\n\n"
        f"| stage | mode | checks | rollout |\n| --- | --- | --- | --- |\n{rows}\n\n"
        f"Owner {service.owner}, risk {service.risk}. Digest `{pathway.digest}`.\n"
    )


def _include_folder() -> Path:
    from airlock.orchestration.configuration import load_settings

    return load_settings().include_folder
