"""Bringing the registry's tables to what this version of Airlock needs."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from airlock.exceptions import RegistryError
from airlock.registry.database import Database

REVISION = "0006"
"""The newest of ``migrations/versions``: what these tables are at."""

VERSION_TABLE = "airlock_version"
"""Not Alembic's default name, so that the registry can share a database with Airflow."""

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Run the migrations that are missing, in one transaction that other processes wait for.

    :raises RegistryError: the database was made by a newer version of Airlock.
    """
    with database.read() as connection:
        if _revision(connection) == REVISION:
            return
    if database.is_sqlite:
        database.use_write_ahead_log()
    with database.write() as transaction:
        _upgrade(transaction.connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.execute(
        select(column("version_num")).select_from(table(VERSION_TABLE))
    ).scalar_one_or_none()
    return revision


def _upgrade(connection: Connection) -> None:
    # Alembic is imported here only: a task that finds the tables as they should be never pays for it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise RegistryError(
            f"The registry's tables cannot be brought to revision {REVISION}: {error}.",
            mend="A newer Airlock has changed them: use that version.",
        ) from error
