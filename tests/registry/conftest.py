"""Every test of the registry runs twice: on a SQLite file and on a real PostgreSQL server."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airlock.registry import Registry
from tests.postgres import PostgresServer, postgres_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this test run, with a migrated database to make copies of."""
    with postgres_server() as server:
        _migrate(server.database("migrated"))
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to make copies of."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    registry = Registry(url)
    registry.migrate()
    registry.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def backend(request: pytest.FixtureRequest) -> str:
    """The database that a test runs on."""
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/registry.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        name = f"empty_{next(_numbers)}"
        yield server.database(name)
        server.drop(name)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with the registry's tables, and nothing in them."""
    if backend == "sqlite":
        path = tmp_path / "registry.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        name = f"registry_{next(_numbers)}"
        yield server.database(name, template="migrated")
        server.drop(name)


@pytest.fixture
def open_registry(url: str) -> Iterator[Callable[[], Registry]]:
    """Opens the test's registry once more, as another process would."""
    opened: list[Registry] = []

    def open_one() -> Registry:
        opened.append(Registry(url))
        return opened[-1]

    yield open_one
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: Callable[[], Registry]) -> Registry:
    """An empty registry."""
    return open_registry()
