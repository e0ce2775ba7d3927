"""A shadow as it is: requests through a real gateway, copied to a real server, and both answers compared."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from airlock.gateway.gateway import Gateway
from airlock.gateway.proxy import Proxy
from airlock.orchestration.rollout_look import View, first_readings, look
from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord, Mirror, RolloutRecord
from airlock.rollouts import Compared
from airlock.runtimes.base import Status, recording
from airlock.spec import AnswersGuard, ErrorRateGuard, Shadow
from tests.registry.building import add_snapshot, begin, deploy, include, runtime

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv-host" / "bin" / "python"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(PROJECT / "include" / "host"),
}
HTTP = httpx.Client()

CURRENT = """
    import numpy as np

    def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        score = 1 / (1 + np.exp(-rows["amount"] / 100))
        return {"score": score, "decision": np.where(score > 0.9, "refuse", "pay")}
"""
# Every tenth amount is scored otherwise, and of those the greater ones are decided otherwise.
OTHER = """
    import numpy as np

    def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        score = 1 / (1 + np.exp(-rows["amount"] / 100))
        score = np.where(rows["amount"] % 10 == 0, score - 0.05, score)
        return {"score": score, "decision": np.where(score > 0.9, "refuse", "pay")}
"""
GUARDS = [ErrorRateGuard(), AnswersGuard(examples=2)]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(f"sqlite:///{tmp_path}/registry.db")
    opened.migrate()
    opened.catalog.apply(include(runtime("r", capacity=8)), by="ops")
    yield opened
    opened.close()


def snapshot(folder: Path, source: str) -> Path:
    manifest = {
        "schema_version": 1,
        "model": "payments",
        "format": "python",
        "entry_points": {"module": "model.py", "score": "score"},
        "input_schema": [{"name": "amount", "type": "number"}],
        "output_schema": [{"name": "score", "type": "number"}, {"name": "decision", "type": "string"}],
    }
    (folder / ".airlock").mkdir(parents=True)
    (folder / ".airlock" / "manifest.json").write_text(json.dumps(manifest))
    (folder / "model.py").write_text(dedent(source))
    return folder


@contextmanager
def serving(model: Path, answers: int) -> Iterator[str]:
    """A server of the host that keeps so many answers; its address."""
    port_file = model.with_suffix(".port")
    options = ["--port", "0", "--port-file", str(port_file), *recording(answers)]
    with model.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-m", "airlock_host", "serve", "--model", model, *options],
            env=ENVIRONMENT,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(port_file.exists)
        url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        wait_for(lambda: HTTP.get(f"{url}/v2/health/ready").is_success)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


Start = Callable[[str, int], DeploymentRecord]


@pytest.fixture
def start(registry: Registry, tmp_path: Path) -> Iterator[Start]:
    """Deploys a model as the next version; its server keeps so many answers."""
    with ExitStack() as stack:

        def begun(source: str, answers: int) -> DeploymentRecord:
            number = len(registry.snapshots.list()) + 1
            url = stack.enter_context(serving(snapshot(tmp_path / f"v{number}", source), answers))
            passage = begin(registry, add_snapshot(registry, content=number), f"fraud@{number}")
            deployment = deploy(registry, passage, stage="PROD")
            return registry.deployments.set_state(
                deployment.id, "ready", endpoints=[{"kind": "rest", "url": url}]
            )

        yield begun


def shadowed(
    registry: Registry, proxy: Proxy, current: DeploymentRecord, new: DeploymentRecord
) -> RolloutRecord:
    """The new version gets copies of all requests, and both are measured."""
    strategy = Shadow(duration=timedelta(seconds=1), guard=GUARDS, least_requests=50)
    begun = registry.rollouts.begin(
        passage_id=str(new.passage_id),
        service="cc-fraud",
        stage="PROD",
        strategy=strategy.model_dump(mode="json"),
        deployment_id=new.id,
        current_deployment_id=current.id,
    )
    registry.traffic.direct(
        "cc-fraud", "PROD", {current.id: 100}, mirror=Mirror(new.id, 100), actor="airlock", reason="shadow"
    )
    Gateway(registry, proxy, "gateway-1").step()
    begun = registry.rollouts.measure_from(begun.id, 0, first_readings(registry, begun))
    view(registry, begun)
    return begun


def pay(port: int, amount: float, **headers: str) -> None:
    url = f"http://127.0.0.1:{port}/cc-fraud/PROD/score"
    HTTP.post(url, json={"amount": amount}, headers=headers).raise_for_status()


def view(registry: Registry, rollout: RolloutRecord) -> View:
    return look(registry, registry.rollouts.get(rollout.id), lambda _: Status("ready"))


def found(registry: Registry, rollout: RolloutRecord, n: int) -> Compared:
    """What was found of the answers, once so many are compared."""

    def compared() -> Compared:
        return Compared.from_json(view(registry, rollout).evidence["answers"])

    wait_for(lambda: compared().n >= n)
    return compared()


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airlock.rollouts.comparison.INTERVAL", timedelta(0))


def test_each_answer_is_compared_with_the_one_to_the_same_request(
    registry: Registry, proxy: Proxy, port: int, start: Start
) -> None:
    current, new = start(CURRENT, 1000), start(OTHER, 1000)
    rollout = shadowed(registry, proxy, current, new)
    for amount in range(300):
        pay(port, amount)
    compared = found(registry, rollout, 300)

    assert (compared.n, compared.differ) == (300, 30)
    score, decision = compared.numbers["score"], compared.labels["decision"]
    assert (score.compared, score.differ, score.greatest) == (300, 30, pytest.approx(0.05))
    assert score.mean_shift == pytest.approx(-0.005)
    assert decision.confusion == {("pay", "pay"): 220, ("refuse", "refuse"): 72, ("refuse", "pay"): 8}
    first, _ = compared.examples
    assert first.current["outputs"]["score"] == pytest.approx(first.new["outputs"]["score"] + 0.05)

    last = view(registry, rollout)
    assert (last.evidence["new"]["errors"], last.move.kind) == (0, "roll_back")
    assert "30 of 300 requests were answered differently (at most 1 %)." in last.reason


def test_versions_that_answer_alike_pass(registry: Registry, proxy: Proxy, port: int, start: Start) -> None:
    current, new = start(CURRENT, 1000), start(CURRENT, 1000)
    rollout = shadowed(registry, proxy, current, new)
    for number in range(300):
        pay(port, number, **{"X-Request-Id": f"mine-{number}"})

    assert found(registry, rollout, 300).differ == 0
    wait_for(lambda: view(registry, rollout).move.kind != "wait")  # on a quick machine its second is not over
    assert view(registry, rollout).move.kind == "advance"


def test_a_busy_service_is_sampled(registry: Registry, proxy: Proxy, port: int, start: Start) -> None:
    """The rings are small here; what they have lost is left out, and nothing is mixed up."""
    current, new = start(CURRENT, 20), start(OTHER, 20)
    rollout = shadowed(registry, proxy, current, new)
    for number in range(120):
        pay(port, 10 * number + 1, **{"X-Request-Id": f"{number % 40}"})
        if number % 40 == 39:
            view(registry, rollout)
    compared = found(registry, rollout, 50)

    assert compared.n <= 60
    assert compared.differ == 0


def test_a_current_version_that_keeps_no_answers_is_said(
    registry: Registry, proxy: Proxy, port: int, start: Start
) -> None:
    current, new = start(CURRENT, 0), start(CURRENT, 1000)
    rollout = shadowed(registry, proxy, current, new)
    for amount in range(100):
        pay(port, amount)
    wait_for(lambda: view(registry, rollout).evidence["new"]["requests"] == 100)
    last = view(registry, rollout)

    assert [result.status for result in last.results] == ["inconclusive", "inconclusive"]
    assert "fraud@1 keeps no answers to compare" in last.results[1].summary
    assert last.evidence["current"]["errors"] == 0, "being asked for answers is no failed request"
