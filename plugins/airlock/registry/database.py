"""The connection to the registry's database: SQLite or PostgreSQL, one writer at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, ProgrammingError

from airlock.exceptions import RegistryError

WRITER_LOCK = 0x41495F4C4F434B
"""Key of the PostgreSQL advisory lock that every writing transaction takes first."""

_BEGIN = "airlock_begin"
"""Execution option of a connection: how a transaction begins on SQLite, ``None`` for not at all."""

LOCK_SECONDS = 30
"""How long a transaction waits for the writer before it, before it says so and gives up."""


@dataclass(frozen=True)
class Transaction:
    """A writing transaction: the only one in the whole database until it ends.

    :param now: the moment of everything that is done in it.
    """

    connection: Connection
    now: datetime


class Database:
    """Reads and writes of the registry.

    A write takes one lock that all writers share (SQLite: ``BEGIN IMMEDIATE``; PostgreSQL: an advisory
    lock of the transaction), so writing transactions run one after another on both databases, and what
    one reads cannot change before it commits. The ledger would force that order anyway, since each
    of its rows holds the hash of the one before. Readers never wait.

    :param url: ``sqlite:////path/registry.db`` or ``postgresql://user@host/database``.
    :param clock: gives the time of a write; tests set it.
    :raises RegistryError: the URL is no address of one of these databases.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        self._process = os.getpid()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads one consistent state of the database, and waits for nobody."""
        isolation = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._errors_in_words(), self._connect() as connection:
            yield connection.execution_options(**isolation)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that no other write runs beside; it commits unless its body raises.

        :raises RegistryError: the writers before it did not end within ``LOCK_SECONDS``.
        """
        with self._errors_in_words(), self._connect() as connection:
            connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                if not self.is_sqlite:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
                yield Transaction(connection, self._clock())

    def use_write_ahead_log(self) -> None:
        """Let readers of SQLite read while somebody writes; the file remembers it."""
        with self._errors_in_words(), self._connect() as connection:
            connection.execution_options(**{_BEGIN: None})
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        if self._process != os.getpid():
            # A forked child must not speak on its parent's connections, nor close them.
            self.engine.dispose(close=False)
            self._process = os.getpid()
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        where = self.url.render_as_string(hide_password=True)
        try:
            yield
        except IntegrityError as error:
            raise RegistryError(
                f"The registry at {where} refuses what contradicts its rules: {_last_words(error)}"
            ) from error
        except (OperationalError, ProgrammingError) as error:
            words = _last_words(error)
            if "no such table" in words or ("does not exist" in words and "relation" in words):
                raise RegistryError(
                    f"The registry at {where} has no tables yet, or older ones ({words}).",
                    mend="Run `airlock db migrate`.",
                ) from error
            if "database is locked" in words or "lock timeout" in words:
                raise RegistryError(
                    f"The registry at {where} was busy for {LOCK_SECONDS} s with another write.",
                    mend="Try again; if it stays so, look for a process that hangs in a transaction.",
                ) from error
            raise RegistryError(
                f"The registry at {where} does not answer as it should: {words}.",
                mend="Check that it runs, and that [airlock] database_url names it.",
            ) from error
        except DBAPIError as error:
            raise RegistryError(f"The registry at {where} failed: {_last_words(error)}") from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RegistryError(
            "The registry's address cannot be read as a database URL.",
            mend="Write sqlite:////folder/registry.db or postgresql://user:password@host/database.",
        ) from error
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise RegistryError(
        f"The registry cannot live at {parsed.render_as_string(hide_password=True)}: "
        "it needs a SQLite file or a PostgreSQL database.",
        mend="Write sqlite:////folder/registry.db or postgresql://user:password@host/database.",
    )


def _sqlite(url: URL) -> Engine:
    assert url.database is not None
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": LOCK_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver would begin transactions late, and only for writes
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        how = connection.get_execution_options().get(_BEGIN, "BEGIN")
        if how:
            connection.exec_driver_sql(how)

    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 10,
            "application_name": "airlock",
            # A process that stops in the middle of a write must not hold up all others for ever.
            "options": (
                f"-c timezone=UTC -c lock_timeout={LOCK_SECONDS}s "
                f"-c idle_in_transaction_session_timeout={2 * LOCK_SECONDS}s"
            ),
        },
    )


def _last_words(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())
