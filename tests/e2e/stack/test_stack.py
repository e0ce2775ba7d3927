"""The demo's story, told on the stack of docker-compose.yaml: Celery, PostgreSQL, models in containers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from demo.stack import PROJECT, StackError
from demo.story import MODELS, Story
from tests.docker_engine import DockerEngine
from tests.e2e.stack.compose_stack import ComposeStack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]

MODELS_PYTHON = Path(os.environ.get("DEMO_MODELS_PYTHON", PROJECT / ".venv-models" / "bin" / "python"))


@dataclass
class Told:
    """A stack on which the story was told.

    :param answers: which snapshots answered in PROD through the gateway, after each version of it.
    :param gateway_since: since when the gateway ran, each time.
    """

    stack: ComposeStack
    answers: list[set[str]]
    gateway_since: list[str]


class AskingStory(Story):
    """The story, and a listener who asks the gateway after each version."""

    def __init__(self, stack: ComposeStack, console: Console) -> None:
        super().__init__(stack, console, MODELS_PYTHON, patience=1800)
        self.told = Told(stack, [], [])

    def promote(self, *, version: int, expected: str) -> None:
        super().promote(version=version, expected=expected)
        stack = self.told.stack
        in_use = f"credit-card-fraud@{version if expected == 'completed' else version - 1}"
        stack.wait_until(
            lambda: score_a_payment(stack).headers.get("X-Airlock-Snapshot") == in_use,
            f"The gateway does not reach {in_use}",
            seconds=60,
        )
        answers = [score_a_payment(stack) for _ in range(20)]
        self.told.answers.append(
            {answer.headers.get("X-Airlock-Snapshot", answer.text) for answer in answers}
        )
        self.told.gateway_since.append(stack.container("gateway")["State"]["StartedAt"])


def score_a_payment(stack: ComposeStack) -> httpx.Response:
    """Ask the stable address of the service in PROD."""
    golden = (MODELS / "credit-card-fraud" / "2" / "golden.jsonl").read_text().splitlines()[0]
    return httpx.post(f"{stack.gateway}/cc-fraud/PROD/score", json=json.loads(golden)["input"], timeout=30)


@pytest.fixture(scope="module")
def told(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    stack = ComposeStack(docker_engine, tmp_path_factory.mktemp("stack"))
    try:
        stack.build()
        story = AskingStory(stack, Console(width=120))
        try:
            story.tell()
        except StackError:
            print(stack.logs(), file=sys.stderr)
            raise
        yield story.told
    finally:
        stack.stop()


def test_the_gateway_follows_a_replaced_deployment_without_a_restart(told: Told) -> None:
    assert told.answers == [{"credit-card-fraud@1"}, {"credit-card-fraud@2"}, {"credit-card-fraud@2"}]
    assert len(set(told.gateway_since)) == 1


def test_the_gateway_says_what_it_does_not_know(told: Told) -> None:
    unknown = httpx.get(f"{told.stack.gateway}/no-such-service/PROD/score", timeout=30)
    assert unknown.status_code == 404
    assert unknown.json()["message"].startswith("Nothing is online at /no-such-service/PROD/score.")
    nonsense = httpx.get(f"{told.stack.gateway}/somewhere", timeout=30)
    assert nonsense.status_code == 404
    assert "/<service>/<STAGE>/" in nonsense.json()["message"]


def test_the_gateway_passes_on_what_a_model_refuses(told: Told) -> None:
    answer = httpx.post(f"{told.stack.gateway}/cc-fraud/PROD/score", json={"amount": "much"}, timeout=30)
    assert answer.status_code == 422
    assert answer.headers["X-Airlock-Snapshot"] == "credit-card-fraud@2"


def test_models_reach_neither_databases_nor_the_engine(told: Told) -> None:
    engine = told.stack.client_of_engine
    [model] = engine.containers(filters={"label": ["airlock.service=cc-fraud", "airlock.stage=PROD"]})
    program = (
        "import os, socket\n"
        "for name in ('postgres', 'redis', 'api-server'):\n"
        "    try:\n"
        "        socket.getaddrinfo(name, 80)\n"
        "    except OSError:\n"
        "        continue\n"
        "    raise SystemExit(name)\n"
        "raise SystemExit(os.path.exists('/var/run/docker.sock'))\n"
    )
    begun = engine.exec_create(model["Id"], ["python", "-c", program])["Id"]
    said = engine.exec_start(begun)
    assert engine.exec_inspect(begun)["ExitCode"] == 0, said


def test_images_of_snapshots_are_in_the_registry(told: Told) -> None:
    port = told.stack.settings["REGISTRY_PORT"]
    kept = httpx.get(f"http://127.0.0.1:{port}/v2/_catalog", timeout=30).json()["repositories"]
    assert {"airlock/credit-card-fraud", "airlock/breast-cancer", "airlock/heloc-credit-risk"} <= set(kept)


def test_the_image_of_airflow_has_no_secret_and_no_root(told: Told) -> None:
    engine = told.stack.client_of_engine
    image = engine.inspect_image("airlock:local")
    assert image["Config"]["User"] == "50000:0"
    history = json.dumps([engine.history("airlock:local"), image["Config"]])
    assert not [password for password in told.stack.passwords.values() if password in history]
    assert "PASSWORD" not in history
    assert "INDEX" not in history


def test_preparing_again_changes_nothing(told: Told) -> None:
    told.stack.compose("up", "--no-build", "--no-deps", "prepare")
    said = told.stack.compose("logs", "--no-color", "prepare")
    assert "User ada: there." in said
    assert told.stack.container("prepare")["State"]["ExitCode"] == 0
    told.stack.client("rita")  # the password is still the first one
