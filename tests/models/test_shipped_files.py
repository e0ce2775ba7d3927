"""What lies in include/ is valid as it is shipped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("airlock", reason="needs Airlock's own environment")

from airlock.snapshots.environment import LOCK_PATH, lock
from airlock.spec.load import Include, load_include, load_model

INCLUDE = Path(__file__).parents[2] / "include"
KINDS = {
    "lifecycles": "lifecycle",
    "services": "service",
    "runtimes": "runtime",
    "policies": "policy",
}
YAML_FILES = sorted(path for folder in KINDS for path in (INCLUDE / folder).glob("*.yaml"))


@pytest.fixture(scope="module")
def include() -> Include:
    return load_include(INCLUDE)


def test_everything_is_valid_and_nothing_needs_a_warning(include: Include) -> None:
    assert include.warnings == []


def test_the_three_example_services_have_a_runtime_for_each_stage_in_its_mode(include: Include) -> None:
    assert sorted(include.services) == ["cc-fraud", "heloc-credit-line", "tumour-triage"]
    for service in include.services.values():
        for stage in include.lifecycles[service.lifecycle].stages:
            assert any(
                stage.name in runtime.stages and service.stage_mode(stage) in runtime.modes
                for runtime in include.runtimes.values()
            ), f"{service.service} at {stage.name}"


def test_two_different_people_open_production(include: Include) -> None:
    policy = include.policies["PROD"]
    assert [approval.role for approval in policy.approvals] == ["model-risk", "it-operations"]
    assert policy.separation_of_duties
    people = [include.roles.people(approval.role) for approval in policy.approvals]
    assert people == [["rita"], ["omar"]]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_editors_find_the_schema_in_the_first_line(path: Path) -> None:
    kind = "roles" if path.stem == "roles" else KINDS[path.parent.name]
    first_line = path.read_text(encoding="utf-8").splitlines()[0]
    assert first_line == f"# yaml-language-server: $schema=../schemas/{kind}.json"
    assert (path.parent / first_line.partition("=")[2]).is_file()


@pytest.mark.parametrize("model", ["breast_cancer", "credit_card_fraud", "heloc_credit_risk"])
def test_model_descriptions_are_valid_and_serve_a_service_there_is(include: Include, model: str) -> None:
    description = load_model(INCLUDE / "models" / model / "source" / "model.yaml")
    for name in description.services:
        service = include.services[name]
        stages = include.lifecycles[service.lifecycle].stages
        assert {service.stage_mode(stage) for stage in stages} <= set(description.modes)


def test_the_lock_of_the_models_is_that_of_their_and_the_hosts_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the requirements have changed: ``lock`` then asks the package index, which it may not here.

    The models' README says how to renew it.
    """
    monkeypatch.setenv("UV_OFFLINE", "1")
    shutil.copytree(INCLUDE / "models" / "environment", tmp_path / "environment")
    host = (INCLUDE / "host" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    locked = lock(tmp_path / "environment", host)
    assert locked.read_bytes() == (INCLUDE / "models" / "environment" / LOCK_PATH).read_bytes()
