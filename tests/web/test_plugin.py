"""What Airflow loads: cheap in every process, and found once."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import airlock_plugin
from airlock.provider_info import get_provider_info


def test_loading_the_plugin_imports_nothing_of_the_web_room() -> None:
    """Each task's process loads plugins; FastAPI and the registry would cost it a second."""
    program = (
        "import sys, airlock_plugin; plugin = airlock_plugin.AirlockPlugin(); "
        "print([name for name in sys.modules if name.startswith(('fastapi.', 'airlock.'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "['airlock.provider_info']"


@pytest.mark.parametrize("command", ["scheduler", "worker", "dag-processor"])
def test_what_forks_need_is_there_before_the_fork(command: str) -> None:
    program = (
        f"import sys; sys.argv = ['airflow', '{command}']; import airlock_plugin; "
        "airlock_plugin.AirlockPlugin.on_load(); "
        "from airlock.orchestration.dag_files import build_first_dag; "
        "print(build_first_dag.cache_info().currsize, 'airlock.registry' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "1 True"


def test_airflow_finds_the_plugin_once(airflow_app: FastAPI) -> None:
    from airflow.plugins_manager import get_import_errors

    assert [getattr(route, "path", "") for route in airflow_app.routes].count("/airlock") == 1
    assert get_import_errors() == {}


def test_outside_a_project_folder_the_entry_point_is_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry_point,) = [each for each in entry_points(group="airflow.plugins") if each.name == "airlock"]
    assert entry_point.value == "airlock_plugin:InstalledPlugin"
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", "/somewhere/else")

    assert not airlock_plugin._found_by_folder()


def test_the_registry_is_migrated_when_the_api_server_starts(
    airflow_app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airlock.registry import Registry

    url = f"sqlite:///{tmp_path}/fresh.db"
    monkeypatch.setenv("AIRFLOW__AIRLOCK__DATABASE_URL", url)

    with TestClient(airflow_app):
        registry = Registry(url)
        assert registry.ledger.verify() == []
        registry.close()


def test_airflow_starts_without_the_registry(airflow_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIRLOCK__DATABASE_URL", "sqlite:////proc/no-such-folder/registry.db")

    with TestClient(airflow_app) as client:
        assert client.get("/api/v2/version").status_code == 200


def test_every_option_that_is_read_is_documented() -> None:
    from airflow.configuration import conf

    options = get_provider_info()["config"]["airlock"]["options"]
    source = "".join(
        path.read_text()
        for room in ("orchestration/configuration.py", "web/blobs.py")
        for path in [Path(airlock_plugin.__file__).parent / "airlock" / room]
    )

    assert all(f'"{name}"' in source for name in options)
    assert conf.getint("airlock", "largest_blob_mib") == 10240
