"""What a life cycle and a service become."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airlock import build_dag
from airlock.spec import Lifecycle, Service, Stage


def tasks(dag: DAG) -> set[str]:
    return set(dag.task_ids)


def test_each_stage_is_a_task_group(service: Service, lifecycle: Lifecycle) -> None:
    dag = build_dag(service, lifecycle)

    assert dag.dag_id == "cc-fraud"
    assert tasks(dag) == {
        "begin_passage",
        "DEV.pick_runtime",
        "DEV.deploy",
        "DEV.check.smoke",
        "DEV.check.contract",
        "DEV.gate",
        "PROD.pick_runtime",
        "PROD.deploy",
        "PROD.activate",
    }
    assert dag.get_task("DEV.deploy").downstream_task_ids == {"DEV.check.smoke", "DEV.check.contract"}
    assert dag.get_task("DEV.gate").upstream_task_ids == {"DEV.check.smoke", "DEV.check.contract"}
    assert dag.get_task("PROD.pick_runtime").upstream_task_ids == {"DEV.gate"}


def test_a_batch_stage_gives_its_runtime_back_in_a_teardown(service: Service, lifecycle: Lifecycle) -> None:
    dag = build_dag(service.model_copy(update={"mode": "batch"}), lifecycle)

    clear = dag.get_task("DEV.clear")
    assert clear.is_teardown
    assert {"DEV.pick_runtime", "DEV.deploy"} <= clear.upstream_task_ids
    assert "DEV.gate" in clear.downstream_task_ids


def test_the_mode_may_change_from_stage_to_stage(service: Service, lifecycle: Lifecycle) -> None:
    dag = build_dag(service.model_copy(update={"mode": {"DEV": "batch", "PROD": "online"}}), lifecycle)

    assert "DEV.clear" in tasks(dag)
    assert "PROD.clear" not in tasks(dag)


def test_every_edit_shows_in_the_documentation_and_so_makes_a_dag_version(
    service: Service, lifecycle: Lifecycle
) -> None:
    before = build_dag(service, lifecycle)
    edited = build_dag(service.model_copy(update={"owner": "fraud-desk"}), lifecycle)
    again = build_dag(service, lifecycle)

    assert before.doc_md == again.doc_md
    assert before.doc_md != edited.doc_md


def test_tags_tell_life_cycle_owner_risk_and_stages(service: Service, lifecycle: Lifecycle) -> None:
    dag = build_dag(service, lifecycle, tags=["quarterly"])

    assert dag.tags == {"lifecycle:two-stages", "owner:payments", "risk:medium", "DEV", "PROD", "quarterly"}


def test_the_last_stage_updates_the_asset_of_the_active_version(
    service: Service, lifecycle: Lifecycle
) -> None:
    dag = build_dag(service, lifecycle)

    [asset] = dag.get_task("PROD.activate").outlets
    assert asset.uri == "airlock://cc-fraud/PROD"


def test_a_dag_is_the_same_each_time_it_is_built_and_serialised(
    service: Service, lifecycle: Lifecycle
) -> None:
    first, second = (DagSerialization.to_dict(build_dag(service, lifecycle)) for _ in range(2))

    assert first == second


def test_a_life_cycle_of_one_stage_has_no_gate(service: Service) -> None:
    dag = build_dag(service, Lifecycle("short", stages=[Stage("PROD")]))

    assert tasks(dag) == {"begin_passage", "PROD.pick_runtime", "PROD.deploy", "PROD.activate"}
