"""Real Airflow with a real Docker engine: only the runtimes' YAML is another one than with ``local``."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord
from demo.stack import AirflowStack
from tests.docker_engine import DockerEngine
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import REPOSITORY, Project, write_model
from tests.e2e.test_kills import running_deployments
from tests.e2e.test_passage import approve
from tests.e2e.test_scoring import score
from tests.image_registry import ImageRegistry
from tests.postgres import postgres_server

pytestmark = [pytest.mark.docker, pytest.mark.timeout(2400)]

DAY = "2026-01-01"
ROWS = 2_000
SECONDS_FOR_IMAGES = 900
"""Images are made and pushed on the way, which a busy disk may make long."""

STAGES = ("DEV", "SIT", "UAT", "PROD")
EXAMPLES = {"cc-fraud": "credit-card-fraud", "heloc-credit-line": "heloc-credit-risk"}
SMALL = {
    "killed-online": "online",
    "killed-batch": "batch",
    "engine-restarted": "online",
    "cleaned-up": "online",
}

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "far", "cluster": {"server": "https://127.0.0.1:9"}}],
    "users": [{"name": "airlock", "user": {"token": "a-token"}}],
    "contexts": [{"name": "far", "context": {"cluster": "far", "user": "airlock"}}],
    "current-context": "far",
}

ASKS_FOR_A_CONNECTION = """
from airflow.sdk import DAG, BaseOperator
from connection_trigger import ConnectionTrigger


class Ask(BaseOperator):
    def execute(self, context):
        arguments = {"name": "far-cluster", "host": "https://127.0.0.1:9", "password": "a-token"}
        trigger = ConnectionTrigger("connection is known", arguments)
        self.defer(trigger=trigger, method_name="resume")

    def resume(self, context, event):
        return event


with DAG("asks-for-a-connection", schedule=None):
    Ask(task_id="ask")
"""

DockerRuntime = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def docker_runtime(docker_engine: DockerEngine, base_image: str) -> DockerRuntime:
    """A runtime's file: what ``local`` would say, and which engine."""

    def runtime(name: str, *stages: str, **images: str) -> dict[str, Any]:
        return {
            "runtime": name,
            "kind": "docker",
            "stages": list(stages),
            "capacity": 20,
            "options": {"engine": docker_engine.url, "images": {"base": base_image, **images}},
        }

    return runtime


@pytest.fixture(scope="module")
def docker_project(
    tmp_path_factory: pytest.TempPathFactory, docker_runtime: DockerRuntime, image_registry: ImageRegistry
) -> Project:
    """Both example services as they ship, and small ones."""
    project = Project(tmp_path_factory.mktemp("docker-project"))
    for path in (project.include / "runtimes").iterdir():
        path.unlink()
    for name in ("full", "full-batch"):  # they lack what the shipped policies ask for
        (project.include / f"lifecycles/{name}.yaml").unlink()
    (project.dags / "asks_for_a_connection.py").write_text(ASKS_FOR_A_CONNECTION)
    shipped = REPOSITORY / "include"
    for name in (
        "lifecycles/standard.yaml",
        "lifecycles/batch.yaml",
        "policies/UAT.yaml",
        "policies/PROD.yaml",
    ):
        shutil.copy(shipped / name, project.include / name)
    standard = project.include / "lifecycles/standard.yaml"  # how quick a busy machine is proves nothing here
    standard.write_text(standard.read_text().replace("p99_ms: 500", "p99_ms: 60000"))
    for service in EXAMPLES:
        shutil.copy(shipped / f"services/{service}.yaml", project.include / "services")
    for service, mode in SMALL.items():
        project.service(service, "open", mode=mode)
    project.lifecycle("here", stages=[{"name": "HERE", "checks": ["smoke", "contract"]}])
    project.service("moved", "here")
    project.write("runtimes/docker.yaml", docker_runtime("docker", "DEV", "SIT", "UAT"))
    project.write("runtimes/docker-prod.yaml", docker_runtime("docker-prod", "PROD"))
    registry = f"{image_registry.address}/airlock"  # for small images only: pushing takes its time
    project.write("runtimes/small.yaml", docker_runtime("small", "FIRST", "SECOND", registry=registry))
    far = {"runtime": "far", "kind": "kubernetes", "stages": ["FAR"], "connection": "far-cluster"}
    project.write("runtimes/far.yaml", far)
    local = {"runtime": "here-local", "kind": "local", "stages": ["HERE"], "capacity": 20}
    project.write("runtimes/here-local.yaml", local)
    return project


@pytest.fixture(scope="module")
def example_models(docker_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first versions of the example models, and their data in the project."""
    python = REPOSITORY / ".venv-models/bin/python"
    scripts, models = REPOSITORY / "include" / "models", tmp_path_factory.mktemp("models")
    for model in EXAMPLES.values():
        run(python, scripts / "build.py", "--out", models, "--model", model, "--version", "1")
    run(
        *(python, scripts / "make_data.py", "--out", docker_project.folder / "data"),
        *("--from", DAY, "--days", "1", "--rows", ROWS),
    )
    return models


@pytest.fixture(scope="module")
def on_docker(docker_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """A real Airflow on PostgreSQL that knows the project."""
    with postgres_server() as server:
        stack = AirflowStack(
            tmp_path_factory.mktemp("airflow-docker"),
            dags=docker_project.dags,
            include=docker_project.include,
            database_url=server.database("airflow"),
            registry_url=server.database("airlock"),
            options={
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).parent / "faults"),
                "AIRFLOW__AIRLOCK__GATE_INTERVAL_SECONDS": "60",
                "AIRFLOW__AIRLOCK__INLINE_WAIT_SECONDS": "3",
                "KILL_POINTS": str(tmp_path_factory.mktemp("kill-points")),
            },
        )
        stack.migrate()
        with stack:
            stack.start()
            running = Airflow(stack)
            wanted = len(list((docker_project.include / "services").iterdir())) + 2  # and two without a file
            stack.wait_until(
                lambda: running.as_user("ada").get("/api/v2/dags").json()["total_entries"] >= wanted,
                "Airflow did not find the services",
            )
            apply(running)
            yield running


@pytest.fixture(scope="module")
def registry(on_docker: Airflow) -> Registry:
    return Registry(on_docker.stack.registry_database_url)


def test_connections_are_known_in_the_triggerer_and_in_the_api_server(on_docker: Airflow) -> None:
    unknown = check(on_docker, "far")
    connection = {
        "connection_id": "far-cluster",
        "conn_type": "kubernetes",
        "host": "https://127.0.0.1:9",
        "password": "a-token",
        "extra": json.dumps({"kube_config": KUBECONFIG}),
    }
    answer = on_docker.as_user("ada").post("/api/v2/connections", json=connection)
    assert answer.status_code == 201, answer.text

    known = check(on_docker, "far")
    run_id = on_docker.trigger("asks-for-a-connection")

    assert not unknown["healthy"]
    assert "far-cluster" in unknown["health_message"]
    assert not known["healthy"]
    assert "127.0.0.1:9 cannot be reached" in known["health_message"]
    assert "cannot be reached" in known["unseen"]
    assert on_docker.run_end("asks-for-a-connection", run_id) == "success"


def run(*command: object) -> None:
    """Run a program to its end."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def apply(airflow: Airflow) -> None:
    """Register what the project's files say."""
    airflow.airlock("ada", "apply", str(airflow.stack.include), "--yes")


def check(airflow: Airflow, runtime: str) -> dict[str, Any]:
    """What ``airlock runtime check`` finds."""
    found: dict[str, Any] = json.loads(
        airflow.airlock("ada", "runtime", "check", runtime, "--json", check=False).stdout
    )
    return found


def containers(engine: DockerEngine, **labels: str) -> list[dict[str, Any]]:
    """The containers of Airlock's with these labels."""
    wanted = [f"airlock.{name}={value}" for name, value in labels.items()]
    return list(engine.client().containers(all=True, filters={"label": wanted}))


def images(deployments: Sequence[DeploymentRecord]) -> set[str]:
    """The images that these run in."""
    return {str((deployment.handle or {})["image"]) for deployment in deployments}


def completed(airflow: Airflow, service: str, run_id: str) -> dict[str, Any]:
    """Wait until a passage has completed."""
    passage = airflow.outcome(service, run_id, seconds=SECONDS_FOR_IMAGES)
    assert passage["outcome"] == "completed", passage
    return passage


def test_both_example_services_travel_from_dev_to_prod_and_score(
    on_docker: Airflow,
    docker_project: Project,
    docker_engine: DockerEngine,
    registry: Registry,
    example_models: Path,
) -> None:
    runs = {}
    for service, model in EXAMPLES.items():
        on_docker.snapshot(example_models / model / "1", service)
        runs[service] = on_docker.promote(f"{model}@1", service)
    for gate, users in {"SIT.gate": ["rita"], "UAT.gate": ["rita", "omar"]}.items():
        for service, run_id in runs.items():
            on_docker.task_state(
                service, run_id, gate, "awaiting_input", "skipped", seconds=SECONDS_FOR_IMAGES
            )
            passage = on_docker.passage(service, run_id)
            assert passage is not None
            assert passage["outcome"] is None, passage
            approve(on_docker, service, run_id, gate, *users)
    for service, run_id in runs.items():
        completed(on_docker, service, run_id)
        assert on_docker.run_end(service, run_id) == "success"

    [live] = [row for row in on_docker.where("cc-fraud") if row["stage"] == "PROD"]
    golden = (example_models / "credit-card-fraud/1/golden.jsonl").read_text().splitlines()[0]
    asked, told = json.loads(golden)["input"], json.loads(golden)["output"]
    answer = httpx.post(f"{live['endpoints'][0]['url']}/score", json=asked).json()
    assert answer["decision"] == told["decision"]
    assert live["endpoints"][0]["inside"] != live["endpoints"][0]["url"]
    servers = containers(docker_engine, service="cc-fraud")
    assert {server["Labels"]["airlock.stage"] for server in servers} == {"UAT", "PROD"}, "the others retired"
    assert [server["State"] for server in servers] == ["running"] * 2
    assert containers(docker_engine, service="heloc-credit-line") == [], "batch runtimes were given back"
    for service in EXAMPLES:
        deployments = registry.deployments.list(service)
        assert [deployment.stage for deployment in deployments] == list(STAGES)
        assert len(images(deployments)) == 1, "one image for all stages"
    scored_log = on_docker.log("heloc-credit-line", runs["heloc-credit-line"], "UAT.check.performance")
    assert "score | " in scored_log, "the task's log shows the job's"

    scoring = score(on_docker, "heloc-credit-line", DAY)

    assert on_docker.run_end("heloc-credit-line.score", scoring) == "success"
    scored = sorted((docker_project.folder / f"data/heloc-credit-line/scored/{DAY}").glob("*.parquet"))
    assert sum(pq.read_metadata(part).num_rows for part in scored) == ROWS
    assert containers(docker_engine, service="heloc-credit-line") == []
    for runtime in ("docker", "docker-prod"):
        found = check(on_docker, runtime)
        assert found["healthy"], found["health_message"]
        assert (found["orphans"], found["drift"], found["unseen"]) == ([], [], "")
    assert not any((on_docker.stack.workspace / "checks").iterdir()), "nothing is left of the checks"


@pytest.mark.parametrize(("service", "point"), [("killed-online", "deploy"), ("killed-batch", "check")])
def test_the_retried_task_finds_what_the_killed_one_did(
    on_docker: Airflow,
    docker_engine: DockerEngine,
    registry: Registry,
    tmp_path: Path,
    service: str,
    point: str,
) -> None:
    on_docker.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    armed = Path(on_docker.stack.environment["KILL_POINTS"]) / f"{service}.{point}"
    armed.touch()

    completed(on_docker, service, on_docker.promote(f"{service}@1", service))

    assert not armed.exists(), "the process was killed"
    deployments = registry.deployments.list(service)
    assert sorted(deployment.stage for deployment in deployments) == ["FIRST", "SECOND"], "one for each stage"
    [image] = images(deployments)
    assert image == registry.deployments.image_of(deployments[0].snapshot_digest)
    live = {deployment.id for deployment in registry.deployments.live(service)}
    found = [
        container["Labels"]["airlock.deployment"] for container in containers(docker_engine, service=service)
    ]
    assert sorted(found) == sorted(live), "one container for each, and no job is left"


def test_an_engine_that_is_killed_and_comes_back_ends_nothing(
    on_docker: Airflow, docker_engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    service = "engine-restarted"
    on_docker.snapshot(write_model(tmp_path / "model", model=service, factor=2, delay_seconds=8), service)
    run_id = on_docker.promote(f"{service}@1", service)
    on_docker.stack.wait_until(
        lambda: [each for each in containers(docker_engine, service=service) if each["State"] == "running"],
        "no container was started",
    )

    docker_engine.kill()
    docker_engine.start()
    completed(on_docker, service, run_id)
    docker_engine.stop()
    docker_engine.start()

    deployment = registry.deployments.live(service, "SECOND")[-1]
    url = deployment.endpoints[0]["url"]
    assert on_docker.stack.wait_until(lambda: answers(url), "the server did not come back") == {
        "product": 42.0
    }
    assert check(on_docker, "small")["drift"] == []


def answers(url: str) -> Any:
    """What the model says, ``None`` while it is not there, or not ready."""
    try:
        answer = httpx.post(f"{url}/score", json={"value": 21})
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


def test_what_nothing_needs_is_named_and_removed(
    on_docker: Airflow, docker_engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    service = "cleaned-up"
    on_docker.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    completed(on_docker, service, on_docker.promote(f"{service}@1", service))
    first, second = registry.deployments.live(service)
    registry.deployments.set_state(first.id, "retired", reason="forgotten")
    [container] = containers(docker_engine, deployment=second.id)
    docker_engine.client().remove_container(container["Id"], force=True)

    found = check(on_docker, "small")
    cleaned = on_docker.airlock("ada", "runtime", "clean", "small", "--yes")
    again = on_docker.airlock("ada", "runtime", "clean", "small", "--yes")

    assert [each["name"] for each in found["orphans"]] == [first.id]
    assert [each["deployment"] for each in found["drift"]] == [second.id]
    assert "Removed: 1 of 1." in cleaned.stdout
    assert "small is clean" in again.stdout
    assert containers(docker_engine, deployment=first.id) == []


def test_a_service_moves_from_local_to_docker_by_its_runtimes_files_alone(
    on_docker: Airflow,
    docker_project: Project,
    docker_runtime: DockerRuntime,
    registry: Registry,
    tmp_path: Path,
) -> None:
    service = "moved"
    file = docker_project.include / "services" / f"{service}.yaml"
    before = file.read_bytes()
    on_docker.snapshot(write_model(tmp_path / "model", model=service, factor=2), service)
    completed(on_docker, service, on_docker.promote(f"{service}@1", service))
    [on_local] = registry.deployments.live(service)
    assert on_local.runtime == "here-local"
    assert on_local.id in running_deployments(on_docker)

    (docker_project.include / "runtimes/here-local.yaml").unlink()
    docker_project.write("runtimes/here-docker.yaml", docker_runtime("here-docker", "HERE"))
    apply(on_docker)
    completed(on_docker, service, on_docker.promote(f"{service}@1", service))
    apply(on_docker)

    assert file.read_bytes() == before
    [on_engine] = registry.deployments.live(service)
    assert on_engine.runtime == "here-docker"
    assert answers(on_engine.endpoints[0]["url"]) == {"product": 42.0}
    assert on_local.id not in running_deployments(on_docker)
    assert "here-local" not in {runtime.name for runtime in registry.catalog.runtimes()}
