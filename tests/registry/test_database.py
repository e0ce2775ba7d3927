"""Addresses, tables, and what a person reads when the database is not as it should be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table, insert, select, text

from airlock.exceptions import RegistryError
from airlock.registry import Registry, migration
from airlock.registry import tables as t
from airlock.registry.partial_indexes import metadata
from tests.registry.building import add_snapshot, approve, begin, deploy, include, runtime
from tests.registry.racing import race


def test_migrations_make_exactly_the_tables_that_the_code_uses(registry: Registry) -> None:
    with registry.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migration.VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_the_revision_in_the_code_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(migration.SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [migration.REVISION]


@pytest.mark.parametrize(
    "table", [t.passages, t.leases, t.decisions, t.gates, t.stage_versions], ids=lambda table: str(table.name)
)
def test_the_database_itself_refuses_a_second_one(registry: Registry, table: Table) -> None:
    """Even code that asked nobody could not write a second active passage, held slot, decision, …"""
    registry.catalog.apply(include(runtime("r")), by="ops")
    passage = begin(registry, add_snapshot(registry), "run-1")
    deploy(registry, passage)
    approve(registry, passage, "mia")
    question = {"dag_id": "d", "run_id": "r", "task_id": "t", "evidence_digest": "e", "policy_digest": "p"}
    registry.gates_open.open(passage_id=passage.id, stage="PROD", expires_at=None, **question)
    registry.history.make_current(
        passage_id=passage.id,
        deployment_id=None,
        service="cc-fraud",
        stage="DEV",
        mode="batch",
        snapshot_digest=passage.snapshot_digest,
    )

    def write_it_again() -> None:
        with registry.database.write() as transaction:
            row = dict(transaction.connection.execute(select(table)).one()._mapping)
            row["id"] = "pas-other" if table is t.passages else row["id"] + 1
            if table is t.passages:
                row |= {"number": 2, "run_id": "run-2"}
            transaction.connection.execute(insert(table).values(row))

    with pytest.raises(RegistryError, match="refuses what contradicts its rules"):
        write_it_again()


def test_many_processes_migrate_at_once(empty_url: str) -> None:
    race(6, empty_url, lambda own, _: own.migrate())
    registry = Registry(empty_url)
    registry.migrate()
    assert add_snapshot(registry).name == "fraud@1"
    registry.close()


def test_readers_do_not_wait_for_a_writer(registry: Registry, open_registry: object) -> None:
    assert callable(open_registry)
    add_snapshot(registry)
    reader = open_registry()
    with registry.database.write():
        assert reader.snapshots.newest("cc-fraud").name == "fraud@1"


def test_without_tables_the_message_says_what_to_run(empty_url: str) -> None:
    registry = Registry(empty_url)
    with pytest.raises(RegistryError, match=r"has no tables yet.*Run `airlock db migrate`"):
        registry.snapshots.list()
    registry.close()


def test_a_database_of_a_newer_airlock_is_left_alone(registry: Registry) -> None:
    with registry.database.write() as transaction:
        transaction.connection.execute(text(f"UPDATE {migration.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(RegistryError, match="A newer Airlock has changed them"):
        registry.migrate()


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "mysql://somebody:secret@host/db",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_an_address_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(RegistryError, match="Write sqlite:////") as refused:
        Registry(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("driver", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_any_way_to_write_a_postgresql_address_is_understood(driver: str) -> None:
    registry = Registry(f"{driver}://ann@host/airlock")
    assert registry.database.url.drivername == "postgresql+psycopg"


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    registry = Registry("postgresql://ann:secret@127.0.0.1:1/airlock")
    with pytest.raises(RegistryError, match=r"ann:\*\*\*@127.0.0.1:1.*Check that it runs") as refused:
        registry.snapshots.list()
    assert "secret" not in str(refused.value)


def test_a_writer_that_hangs_is_reported(
    registry: Registry, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airlock.registry.database.LOCK_SECONDS", 1)
    impatient = Registry(url)
    with registry.database.write(), pytest.raises(RegistryError, match="busy for 1 s with another write"):
        add_snapshot(impatient)
    impatient.close()


def test_a_forked_process_uses_connections_of_its_own(registry: Registry) -> None:
    add_snapshot(registry, "parent")
    child = os.fork()
    if child == 0:
        try:
            add_snapshot(registry, "child")
            os._exit(0)
        except BaseException:
            os._exit(1)
    add_snapshot(registry, "parent", content=2)
    assert os.waitpid(child, 0)[1] == 0
    names = {snapshot.name for snapshot in registry.snapshots.list()}
    assert names == {"parent@1", "parent@2", "child@1"}
    assert registry.ledger.verify() == []


def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    registry = Registry(f"sqlite:///{tmp_path}/deep/down/registry.db")
    registry.migrate()
    registry.close()
    assert (tmp_path / "deep" / "down" / "registry.db").is_file()
    shutil.rmtree(tmp_path / "deep")
