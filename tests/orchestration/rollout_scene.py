"""A rollout without Airflow's scheduler: real tasks and registry, and versions that count what they are told.

Time is what the test says; each try of the task ends as Airflow would see it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput, TaskDeferred

from airlock import build_dag
from airlock.orchestration.notifying import Notifiers
from airlock.orchestration.passage_task import Pathway
from airlock.orchestration.polling import QUESTIONS
from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord, JsonObject, PassageRecord, RolloutRecord
from airlock.spec import Approval, BlueGreen, Canary, Lifecycle, Policy, Roles, Service, Shadow, Stage
from tests.listed_runtime import ListedRuntime
from tests.registry.building import add_snapshot, deploy, include, runtime
from tests.rollouts.building import NOW, metrics

SERVICE = Service(service="cc-fraud", lifecycle="careful", owner="payments")
POLICY = Policy("PROD", approvals=[Approval("model-risk")])
ROLES = Roles({"model-risk": ["mia", "rob"]})


class Version:
    """A deployed version that shows what it has counted; ``is_up`` says whether it answers at all.

    :ivar recorded: the scores it answered with their requests' ids; ``None`` where it keeps none.
    """

    def __init__(self) -> None:
        self.counted: dict[str, Any] = {"requests": 0, "errors": 0}
        self.recorded: list[tuple[str, float]] | None = None
        self.is_up = True
        version = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                shown: str | None = version.shown
                if path == "/airlock/answers":
                    shown = version.page(**{key: int(value) for key, value in parse_qsl(query)})
                self.send_response(503 if not version.is_up else 404 if shown is None else 200)
                self.end_headers()
                self.wfile.write((shown or "").encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def endpoints(self) -> list[JsonObject]:
        return [{"kind": "rest", "url": self.url}]

    @property
    def shown(self) -> str:
        """Its ``/metrics``."""
        return metrics(**self.counted)

    def page(self, after: int, limit: int) -> str | None:
        """Recorded answers as the host shows them."""
        if self.recorded is None:
            return None
        answers = [
            {"sequence": number, "id": request, "status": 200, "rows": 1, "columns": {"score": [score]}}
            for number, (request, score) in enumerate(self.recorded, start=1)
        ][after : after + limit]
        reached = answers[-1]["sequence"] if answers else len(self.recorded)
        return json.dumps({"started": 1.5, "answers": answers, "next": reached, "lost": 0})

    def answer(self, requests: int, errors: int = 0, milliseconds: float = 3.0) -> None:
        """Count so many more requests."""
        self.counted["requests"] += requests
        self.counted["errors"] += errors
        times = self.counted.setdefault("milliseconds", [])
        times += [milliseconds] * requests


@dataclass
class Clock:
    """The time of the registry and of the tasks."""

    time: datetime = NOW

    def now(self, zone: object = UTC) -> datetime:
        return self.time

    def fromisoformat(self, text: str) -> datetime:
        return datetime.fromisoformat(text)


class OutletEvents:
    """Where tasks leave what their assets are told."""

    def __getitem__(self, asset: object) -> Any:
        return SimpleNamespace()


@dataclass
class Scene:
    """Version 1 is in use in PROD; version 2 has been deployed beside it, and its checks have passed.

    :param requests_shown: the texts of the requests that people were shown.
    :param tries_left: how often Airflow would try the task again.
    """

    registry: Registry
    dag: DAG
    passage: PassageRecord
    new: Version
    current: Version
    new_deployment: DeploymentRecord
    current_deployment: DeploymentRecord
    on_runtime: ListedRuntime
    clock: Clock
    requests_shown: list[str] = field(default_factory=list)
    tries_left: int = 0
    trigger: object = None

    def try_task(self, name: str = "rollout") -> Any:
        """One try of a task: ``deferred``, ``parked``, ``skipped``, or what it returned."""
        try:
            task: Any = self.dag.get_task(f"PROD.{name}")
            return task.execute(self.context)
        except TaskDeferred as deferred:
            self.trigger = deferred.trigger
            return "deferred"
        except TaskAwaitingInput:
            return "parked"
        except AirflowSkipException:
            return "skipped"

    def wakes(self) -> bool:
        """Whether the triggerer would wake the task now."""
        trigger: Any = self.trigger
        return QUESTIONS[trigger.question](**trigger.arguments)()

    def pass_time(self, **duration: float) -> None:
        self.clock.time += timedelta(**duration)

    def bake(self, requests: int = 1000, errors: int = 0, **duration: float) -> None:
        """Ten minutes of traffic, of which the new version answers so much."""
        self.new.answer(requests, errors)
        self.current.answer(5 * requests)
        self.pass_time(**(duration or {"minutes": 10}))

    @property
    def rollout(self) -> RolloutRecord:
        [rollout] = self.registry.rollouts.list(self.passage.id, "PROD")
        return rollout

    @property
    def moves(self) -> list[str]:
        return [step.move for step in self.registry.rollouts.steps(self.rollout.id)]

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the traffic, by version."""
        traffic = self.registry.traffic.current("cc-fraud", "PROD")
        assert traffic is not None
        names = {self.new_deployment.id: "new", self.current_deployment.id: "current"}
        return {names[name]: percent for name, percent in traffic.shares.items()}

    def state(self, deployment: DeploymentRecord) -> str:
        return self.registry.deployments.get(deployment.id).state

    @property
    def context(self) -> Any:
        instance = SimpleNamespace(
            id="ti",
            dag_id="cc-fraud",
            run_id=self.passage.run_id,
            task_id="PROD.rollout",
            try_number=1,
            max_tries=self.tries_left,
            xcom_push=lambda **_: None,
        )
        run = SimpleNamespace(run_id=self.passage.run_id, dag_id="cc-fraud")
        return {"ti": instance, "dag_run": run, "outlet_events": OutletEvents()}


@contextmanager
def scene(
    rollout: BlueGreen | Canary | Shadow,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    policy: Policy = POLICY,
    is_first: bool = False,
    service: Service = SERVICE,
    version: Callable[[], Version] = Version,
    on_runtime: ListedRuntime | None = None,
    on_rollback: Notifiers = (),
) -> Iterator[Scene]:
    """Set it up.

    :param is_first: no version is in use yet.
    :param version: makes a version that can be asked what it has counted.
    """
    clock = Clock()
    registry = Registry(f"sqlite:///{folder}/registry.db", clock=clock.now)
    registry.migrate()
    lifecycle = Lifecycle("careful", stages=[Stage("PROD", rollout=rollout)])
    registry.catalog.apply(include(runtime("r", capacity=9), lifecycle, service, policy, ROLES), by="ops")
    versions = [version(), version()]
    deployments = []
    for number, deployed in enumerate(versions, start=1):
        snapshot = add_snapshot(registry, content=number)
        passage = registry.passages.begin(
            service="cc-fraud",
            snapshot_digest=snapshot.digest,
            lifecycle_digest=Pathway(lifecycle, service).digest,
            lifecycle=lifecycle.model_dump(mode="json"),
            run_id=f"run-{number}",
            by="rob",
        )
        deployment = deploy(registry, passage, "PROD")
        deployments.append(
            registry.deployments.set_state(deployment.id, "ready", endpoints=deployed.endpoints)
        )
        if number == 1:
            if not is_first:
                _take_into_use(registry, passage, deployment)
            registry.passages.finish(passage.id, "completed", "")
    on_runtime = on_runtime or ListedRuntime()
    on_runtime.deployments += [deployment.id for deployment in deployments]
    monkeypatch.setattr("airlock.runtimes.adapter_for", lambda spec, settings: on_runtime)
    found = Scene(
        registry=registry,
        dag=build_dag(service, lifecycle, on_rollback=on_rollback),
        passage=passage,
        new=versions[1],
        current=versions[0],
        new_deployment=deployments[1],
        current_deployment=deployments[0],
        on_runtime=on_runtime,
        clock=clock,
    )
    for module in ("passage_task", "configuration"):
        monkeypatch.setattr(f"airlock.orchestration.{module}.open_registry", lambda: registry)
    for module in ("rollout", "rollout_look", "retire", "polling"):
        monkeypatch.setattr(f"airlock.orchestration.{module}.datetime", clock)
    monkeypatch.setattr(
        "airlock.orchestration.asking.upsert_hitl_detail",
        lambda **request: found.requests_shown.append(request["body"]),
    )
    try:
        yield found
    finally:
        for deployed in versions:
            deployed.server.shutdown()
            deployed.server.server_close()
        registry.close()


def _take_into_use(registry: Registry, passage: PassageRecord, deployment: DeploymentRecord) -> None:
    registry.history.make_current(
        passage_id=passage.id,
        deployment_id=deployment.id,
        service="cc-fraud",
        stage="PROD",
        mode="online",
        snapshot_digest=passage.snapshot_digest,
    )
    registry.traffic.direct("cc-fraud", "PROD", {deployment.id: 100}, actor="airlock", reason="first")
