"""What docker-compose.yaml promises: no secret in it, every variable and every service looked after."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlock.orchestration.streams import client_properties
from airlock.spec import RuntimeSpec
from deploy.write_env import filled_in

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docker-compose.yaml").read_text()
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
EXAMPLE = (PROJECT / ".env.example").read_text()
USES = re.findall(r"\$\{([A-Z0-9_]+)(:\?|:-)?([^}]*)\}", TEXT)
SECRETS = {name for name, _, _ in USES if re.search(r"PASSWORD|SECRET|_KEY$|USERS", name)}
ONCE = {"prepare"}


def test_every_secret_is_required_and_has_no_default() -> None:
    assert SECRETS
    assert {(name, how) for name, how, _ in USES if name in SECRETS} == {(name, ":?") for name in SECRETS}


def test_the_example_holds_no_password() -> None:
    settings = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if re.match(r"[A-Z]", line))
    assert {name: settings[name] for name in SECRETS - {"FIRST_USERS"}} == dict.fromkeys(
        SECRETS - {"FIRST_USERS"}, ""
    )
    assert all(entry.count(":") == 1 for entry in settings["FIRST_USERS"].strip('"').split())


def test_every_variable_is_in_the_example_and_has_the_same_default_there() -> None:
    explained = dict(re.findall(r"^#?([A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    passed_on = {
        name
        for section in (
            DOCUMENT["x-airflow"]["environment"],
            DOCUMENT["services"]["prepare"]["build"]["args"],
        )
        for name, value in section.items()
        if value is None
    }
    assert {name for name, _, _ in USES} | passed_on <= explained.keys() | {"UV_OFFLINE"}
    defaults = {name: default for name, how, default in USES if how == ":-" and default}
    differing = {name for name, default in defaults.items() if explained[name] != default}
    assert differing == {"S3_ENDPOINT"}  # MinIO without it, an example of another one with it


def test_every_service_has_a_health_check_and_comes_back() -> None:
    services = DOCUMENT["services"]
    assert services.keys() >= ONCE
    for name, service in services.items():
        if name in ONCE:
            continue
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert service["deploy"]["resources"]["limits"]["memory"], name


def test_ports_are_published_on_loopback_unless_somebody_says_otherwise() -> None:
    ports = [port for service in DOCUMENT["services"].values() for port in service.get("ports", [])]
    assert ports
    for port in ports:
        assert port.startswith(("${BIND_ADDRESS:-127.0.0.1}:", "127.0.0.1:")), port


def test_only_what_drives_runtimes_has_the_engines_socket() -> None:
    having = {
        name
        for name, service in DOCUMENT["services"].items()
        if any("docker.sock" in volume for volume in service.get("volumes", []))
    }
    assert having == {"api-server", "triggerer", "worker"}


def test_models_are_in_another_network_than_the_databases() -> None:
    networks = {name: set(service["networks"]) for name, service in DOCUMENT["services"].items()}
    assert {name for name, found in networks.items() if "models" in found} == {"gateway", "kafka", "minio"}
    assert networks["postgres"] == networks["redis"] == networks["registry"] == {"airflow"}


def test_images_have_a_tag_that_is_not_latest() -> None:
    for name, service in DOCUMENT["services"].items():
        default = re.fullmatch(r"\$\{[A-Z0-9]+_IMAGE:-([^}]+)\}", service["image"])
        assert default, name
        assert re.search(r":(?!latest$)[\w.-]+$", default[1]), name


def test_the_runtimes_fit_the_stack() -> None:
    runtimes = [
        RuntimeSpec.model_validate(yaml.safe_load(path.read_text()))
        for path in sorted((PROJECT / "deploy" / "runtimes").glob("*.yaml"))
    ]
    assert [stage for runtime in runtimes for stage in runtime.stages] == ["DEV", "PROD", "SIT", "UAT"]
    folders = {
        volume.split(":")[0]: volume.split(":")[1]
        for volume in DOCUMENT["x-airflow"]["volumes"]
        if ":" in volume
    }
    for runtime in runtimes:
        options = runtime.options
        assert options.network == DOCUMENT["networks"]["models"]["name"]  # type: ignore[union-attr]
        [volume] = options.volumes  # type: ignore[union-attr]
        assert (volume.volume, volume.folder) == (DOCUMENT["volumes"]["data"]["name"], folders["data"])
        assert options.images.registry == "127.0.0.1:5000/airlock"  # type: ignore[union-attr]


def test_the_connection_kafka_names_the_stacks_own_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    written = DOCUMENT["x-airflow"]["environment"]["AIRFLOW_CONN_KAFKA"]
    monkeypatch.setenv("AIRFLOW_CONN_KAFKA", written)
    listeners = DOCUMENT["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]

    assert client_properties("kafka") == {"bootstrap.servers": "kafka:9092"}
    assert listeners == "INSIDE://kafka:9092"


@pytest.mark.docker
class TestDockerCompose:
    """Debian's docker-compose reads the file; it needs no engine for that."""

    @pytest.fixture
    def environment(self) -> dict[str, str]:
        assert shutil.which("docker-compose"), (
            "Run scripts/prepare-test-machine, which installs docker-compose."
        )
        return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}

    def config(
        self, settings: str, folder: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        (folder / "env").write_text(settings)
        return subprocess.run(
            ["docker-compose", "--env-file", str(folder / "env"), "config"],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_takes_it_with_what_write_env_writes(self, tmp_path: Path, environment: dict[str, str]) -> None:
        done = self.config(filled_in(EXAMPLE, {"DOCKER_GROUP_ID": "999"}), tmp_path, environment)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        assert yaml.safe_load(done.stdout)["services"].keys() == DOCUMENT["services"].keys()

    def test_says_what_is_missing(self, tmp_path: Path, environment: dict[str, str]) -> None:
        text = filled_in(EXAMPLE, {"DOCKER_GROUP_ID": "999", "POSTGRES_PASSWORD": ""})
        done = self.config(text, tmp_path, environment)
        assert done.returncode != 0
        assert "write it to .env, see .env.example" in done.stderr
