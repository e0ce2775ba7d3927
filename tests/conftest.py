"""Airflow reads its configuration when it is first imported: it gets a home of this test run before that."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # the host's environment has neither docker nor httpx
    from tests.docker_engine import DockerEngine
    from tests.image_registry import ImageRegistry

PROJECT = Path(__file__).resolve().parents[1]

CONFIGURATION = """
[core]
dags_folder = {home}/project/dags
plugins_folder = {project}/plugins
load_examples = False
simple_auth_manager_users = ada:admin,olga:op,dana:user,rita:user,omar:user,vera:viewer
simple_auth_manager_passwords_file = {home}/passwords.json
fernet_key =

[database]
sql_alchemy_conn = sqlite:///{home}/airflow.db

[api]
base_url = http://testserver
secret_key = only-for-tests

[api_auth]
jwt_secret = only-for-tests-and-as-long-as-the-hash-that-signs-with-it-wants-it-to-be

[logging]
logging_level = WARNING
base_log_folder = {home}/logs

[airlock]
include_folder = {home}/project/include
"""


def pytest_configure(config: pytest.Config) -> None:
    """A new AIRFLOW_HOME, without what the shell says about another one."""
    assert "airflow" not in sys.modules, "Airflow was imported before its home was set"
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AIRLOCK_"))]:
        if not name.startswith("AIRLOCK_TEST_"):  # is said to the tests themselves
            del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="airlock-tests-"))
    (home / "airflow.cfg").write_text(CONFIGURATION.format(home=home, project=PROJECT))
    os.environ["AIRFLOW_HOME"] = str(home)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the home again."""
    shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """A real Docker engine, for tests that are marked ``docker``. Whoever stops it starts it again."""
    from tests.docker_engine import DockerEngine, remove_leftovers

    remove_leftovers()
    engine = DockerEngine.in_new_folder()
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


@pytest.fixture(scope="session")
def base_image(docker_engine: DockerEngine) -> str:
    """The name of an image on that engine which has a Python, as ``python:3.12-slim`` has."""
    from tests import base_image

    base_image.make(docker_engine.client(timeout=300))
    return base_image.TAG


@pytest.fixture(scope="session")
def image_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    """A real image registry on loopback, without login."""
    from tests.image_registry import ImageRegistry

    registry = ImageRegistry(tmp_path_factory.mktemp("image-registry"))
    registry.start()
    yield registry
    registry.stop()
