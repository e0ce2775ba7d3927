"""Short ways to bring a snapshot to where a test begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi.testclient import TestClient

from airlock.gates import gather
from airlock.registry import Registry
from airlock.registry.records import GateRecord, PassageRecord
from airlock.spec import Include, Lifecycle, load_include
from tests.registry.building import deploy
from tests.web.manifests import SmallSnapshot, small_snapshot

API = "/airlock/api/v1"


@dataclass(frozen=True)
class Story:
    """Acts through the API, and in the registry and Airflow's database what tasks would do."""

    registry: Registry
    as_user: Callable[[str], TestClient]

    def apply(self, include: Include) -> None:
        """Register policies, roles and runtimes."""
        self.registry.catalog.apply(include, by="olga")

    def snapshot(self, by: str = "ada", **what: Any) -> dict[str, Any]:
        """Upload and register a small snapshot."""
        return self.register(small_snapshot(**what), by=by)

    def register(self, snapshot: SmallSnapshot, by: str = "ada") -> dict[str, Any]:
        """Upload and register this snapshot."""
        client = self.as_user(by)
        for sha256, content in snapshot.blobs.items():
            upload(client, sha256, content)
        answer = client.post(f"{API}/snapshots", json={"manifest": snapshot.document})
        assert answer.status_code in (200, 201), answer.text
        registered: dict[str, Any] = answer.json()
        return registered

    def promote(self, snapshot: str, by: str = "ada", service: str = "cc-fraud") -> dict[str, Any]:
        """Start the DAG run; no scheduler takes it up."""
        answer = self.as_user(by).post(f"{API}/services/{service}/promotions", json={"snapshot": snapshot})
        assert answer.status_code in (200, 201), answer.text
        run: dict[str, Any] = answer.json()
        return run

    def begin(self, run: dict[str, Any], by: str = "ada") -> PassageRecord:
        """What the run's first task does."""
        lifecycle = the_lifecycle()
        return self.registry.passages.begin(
            service=run["service"],
            snapshot_digest=self.registry.snapshots.get(run["snapshot_name"]).digest,
            lifecycle_digest=lifecycle.digest,
            lifecycle=lifecycle.model_dump(mode="json"),
            run_id=run["run_id"],
            by=by,
            on_newer="supersede",
        )

    def at_the_gate(self, by: str = "ada", parked_for: timedelta = timedelta(minutes=1)) -> GateRecord:
        """A passage whose checks at LAB have passed and whose gate asks two roles about LIVE."""
        self.apply(load_include(project_folder() / "include"))
        run = self.promote(self.snapshot()["name"], by=by)
        passage = self.begin(run, by=by)
        result = {"check": "smoke", "kind": "smoke", "status": "pass", "summary": "It runs.", "metrics": []}
        self.registry.evidence.record(passage.id, "dep-lab", "LAB", "smoke", result)
        facts = gather(self.registry, passage, "LIVE", snapshot_problems=None)
        gate = self.registry.gates_open.open(
            passage_id=passage.id,
            stage="LIVE",
            dag_id=passage.service,
            run_id=passage.run_id,
            task_id="LAB.gate",
            evidence_digest=facts.evidence_digest,
            policy_digest=facts.policy_digest,
            expires_at=None,
        )
        park(gate, parked_for)
        return gate

    def at_the_rollout(self, parked_for: timedelta = timedelta(minutes=1)) -> GateRecord:
        """A rollout in LIVE, of a passage that ada requested, whose guards leave it to a person to go on."""
        self.apply(load_include(project_folder() / "include"))
        old = self.begin(self.promote(self.snapshot(code="old = 1")["name"]))
        current = deploy(self.registry, old, "LIVE")
        self.registry.passages.finish(old.id, "completed", "")
        run = self.promote(self.snapshot(code="new = 1")["name"])
        passage = self.begin(run)
        stage = the_lifecycle().stage("LIVE")
        rollout = self.registry.rollouts.begin(
            passage_id=passage.id,
            service=passage.service,
            stage="LIVE",
            strategy=stage.moves_traffic_by.model_dump(mode="json"),
            deployment_id=deploy(self.registry, passage, "LIVE").id,
            current_deployment_id=current.id,
        )
        rollout = self.registry.rollouts.ask(rollout, ROLLOUT_EVIDENCE)
        gate = self.registry.gates_open.open(
            passage_id=passage.id,
            stage="LIVE.rollout",
            dag_id=passage.service,
            run_id=passage.run_id,
            task_id="LIVE.rollout",
            evidence_digest=str(rollout.asked),
            policy_digest=self.registry.catalog.policy("LIVE").digest,
            expires_at=None,
        )
        park(gate, parked_for, options=("Go on", "Roll back"))
        return gate


ROLLOUT_EVIDENCE: dict[str, Any] = {
    "step": "5 %",
    "planned": True,
    "reason": "the guards cannot tell",
    "interval": ["2026-03-31T12:00:00+00:00", "2026-03-31T12:10:00+00:00"],
    "new": {"deployment": "n", "snapshot": "new@1", "requests": 12, "errors": 1, "restarted": False},
    "current": {"deployment": "c", "snapshot": "old@1", "requests": 228, "errors": 2, "restarted": True},
    "guards": [
        {
            "guard": "error_rate",
            "kind": "error_rate",
            "status": "inconclusive",
            "findings": [
                {
                    "measure": "error rate",
                    "status": "inconclusive",
                    "new": 0.0833,
                    "current": 0.0088,
                    "unit": "share",
                    "limit": "at most 1 percentage point above the current version",
                    "sentence": "12 requests are <few>.",
                }
            ],
        }
    ],
}


def upload(client: TestClient, sha256: str, content: bytes) -> None:
    """Send one file."""
    answer = client.put(
        f"{API}/blobs/{sha256}", content=content, headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.status_code == 204, answer.text


def park(gate: GateRecord, parked_for: timedelta, options: Sequence[str] = ("Approve", "Reject")) -> None:
    """What the gate's operator does in Airflow: ask for input, and leave the worker."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        instance = session.scalars(select(TaskInstance).where(*_is_of(gate))).one()
        instance.state = "awaiting_input"
        instance.next_method = "execute_complete"
        instance.next_kwargs = {}
        instance.updated_at = datetime.now(UTC) - parked_for
        session.add(
            HITLDetail(
                ti_id=instance.id,
                options=list(options),
                subject="May it go on?",
                body="",
                multiple=False,
            )
        )


def answer_of(gate: GateRecord) -> dict[str, Any] | None:
    """What Airflow holds as the answer to its request: who, and what."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        detail = session.scalars(
            select(HITLDetail).join(TaskInstance, TaskInstance.id == HITLDetail.ti_id).where(*_is_of(gate))
        ).one()
        if detail.responded_by is None:
            return None
        return {"by": detail.responded_by["name"], "chosen": detail.chosen_options}


def state_of(gate: GateRecord) -> str | None:
    """The state of the gate's task."""
    from airlock.web.airflow_private import task_state

    found = task_state(gate.dag_id, gate.run_id, gate.task_id)
    return found.state if found else None


def project_folder() -> Any:
    """The project that the application serves."""
    from airlock.orchestration.configuration import load_settings

    return load_settings().include_folder.parent


def the_lifecycle() -> Lifecycle:
    """LAB, then LIVE."""
    return load_include(project_folder() / "include").lifecycles["guarded"]


def _is_of(gate: GateRecord) -> tuple[Any, ...]:
    from airflow.models.taskinstance import TaskInstance

    return (
        TaskInstance.dag_id == gate.dag_id,
        TaskInstance.run_id == gate.run_id,
        TaskInstance.task_id == gate.task_id,
    )
