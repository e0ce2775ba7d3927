"""Traffic moves to a new version, or goes back, on real Airflow with real versions and requests meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import LIVE, Project, write_model

UNLUCKY = 13.0
"""The bad version breaks on this value."""


class Requests:
    """Applications that ask without a pause; dealt to versions as a gateway deals them."""

    def __init__(self, registry: Registry, service: str, stage: str) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self._registry = registry
        self._service = service
        self._stage = stage
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _ask(self) -> None:
        dice = random.Random(1)
        with httpx.Client(timeout=5) as client:
            while not self._is_over.is_set():
                time.sleep(0.02)
                for route in self._registry.traffic.routes().routes:
                    if (route.service, route.stage) != (self._service, self._stage) or not route.backends:
                        continue
                    [backend] = dice.choices(route.backends, [each.percent for each in route.backends])
                    answer = client.post(f"{backend.url}/score", json={"value": UNLUCKY})
                    self.answers[backend.snapshot_name, answer.status_code] += 1


@contextmanager
def requests(registry: Registry, service: str, stage: str) -> Iterator[Requests]:
    """Requests all the while."""
    asking = Requests(registry, service, stage)
    asking.start()
    try:
        yield asking
    finally:
        asking.stop()


def snapshot(airflow: Airflow, folder: Path, service: str, *, breaks: bool = False) -> None:
    """Another version of a model; one that ``breaks`` does so on the unlucky value only."""
    number = len(list(folder.iterdir())) + 1 if folder.exists() else 1
    model = write_model(folder / str(number), model=f"{service}-model", factor=float(number))
    if breaks:
        code = (model / "model.py").read_text()
        refuses = (
            f'    if (records["value"] == {UNLUCKY}).any():\n        raise ValueError("unlucky")\n    return'
        )
        (model / "model.py").write_text(code.replace("    return", refuses))
    airflow.snapshot(model, service)


def shares(registry: Registry, service: str, stage: str) -> dict[str, int]:
    """Percent of the traffic, by version."""
    routes = [
        each for each in registry.traffic.routes().routes if (each.service, each.stage) == (service, stage)
    ]
    return {backend.snapshot_name: backend.percent for route in routes for backend in route.backends}


def moves(registry: Registry, passage: dict[str, Any], stage: str) -> list[str]:
    [rollout] = registry.rollouts.list(passage["id"], stage)
    return [step.move for step in registry.rollouts.steps(rollout.id)]


def test_a_good_version_takes_over_by_steps_and_a_bad_one_goes_back(
    airflow: Airflow, registry: Registry, project: Project, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    for breaks in (False, False, True):
        snapshot(airflow, models, "canary", breaks=breaks)
    assert airflow.outcome("canary", airflow.promote("canary-model@1", "canary"))["outcome"] == "completed"
    assert shares(registry, "canary", "FIRST") == {"canary-model@1": 100}

    with requests(registry, "canary", "FIRST") as asking:
        good = airflow.promote("canary-model@2", "canary")
        passage = airflow.outcome("canary", good)
        assert passage["outcome"] == "completed"
        assert moves(registry, passage, "FIRST") == ["advance", "advance", "complete"]
        assert shares(registry, "canary", "FIRST") == {"canary-model@2": 100}
        assert airflow.run_end("canary", good) == "success"
        assert [row["snapshot_name"] for row in airflow.where("canary")] == ["canary-model@2"]
        assert {status for _, status in asking.answers} == {200}, "nobody has noticed"
        assert project.told("canary") == []

        bad = airflow.promote("canary-model@3", "canary")
        passage = airflow.outcome("canary", bad)
        assert passage["outcome"] == "rolled_back"
        assert "requests failed" in passage["reason"]
        [(words, failed_guards, report)] = project.told("canary")
        assert words == "canary FIRST canary-model@3"
        assert any("requests failed" in guard for guard in failed_guards)
        assert airflow.as_user("rita").get(report.removeprefix(airflow.stack.url)).status_code == 200
        assert moves(registry, passage, "FIRST") == ["roll_back"]
        assert shares(registry, "canary", "FIRST") == {"canary-model@2": 100}
        assert airflow.run_end("canary", bad) == "success", "an outcome, not a crash"
        tasks = airflow.tasks("canary", bad)
        assert (tasks["FIRST.rollout"], tasks["FIRST.activate"]) == ("skipped", "skipped")
        assert [row["snapshot_name"] for row in airflow.where("canary")] == ["canary-model@2"]
        before = asking.answers["canary-model@2", 200]
        airflow.stack.wait_until(
            lambda: asking.answers["canary-model@2", 200] > before + 20, "the requests stopped"
        )
    assert {name for name, status in asking.answers if status != 200} == {"canary-model@3"}
    assert registry.ledger.verify() == []


def test_where_guards_cannot_tell_a_person_decides(
    airflow: Airflow, registry: Registry, tmp_path: Path
) -> None:
    service, models = "hesitant", tmp_path / "models"
    for _ in range(2):
        snapshot(airflow, models, service)

    def promote(version: int) -> str:
        run_id = airflow.promote(f"{service}-model@{version}", service)
        for user in ("rita", "omar"):
            airflow.task_state(service, run_id, "LAB.gate", "awaiting_input")
            assert airflow.answer_request(user, service, run_id, "LAB.gate", "Approve").status_code == 200
        return run_id

    assert airflow.outcome(service, promote(1))["outcome"] == "completed"
    with requests(registry, service, LIVE):
        run_id = promote(2)
        airflow.task_state(service, run_id, "LIVE.rollout", "awaiting_input")
        assert shares(registry, service, LIVE) == {f"{service}-model@1": 80, f"{service}-model@2": 20}
        passage = airflow.passage(service, run_id)
        assert passage is not None
        page = airflow.as_user("rita").get(f"/airlock/api/v1/reports/{passage['id']}/LIVE/rollout")
        assert "and people are asked" in page.text
        refused = airflow.answer_request("dana", service, run_id, "LIVE.rollout", "Go on")
        assert refused.status_code == 409, "dana requested the passage"
        answer = airflow.answer_request("rita", service, run_id, "LIVE.rollout", "Go on", "I looked.")
        assert answer.status_code == 200, answer.text
        assert airflow.outcome(service, run_id)["outcome"] == "completed"
    assert moves(registry, passage, LIVE) == ["ask", "advance", "complete"]
    assert shares(registry, service, LIVE) == {f"{service}-model@2": 100}
