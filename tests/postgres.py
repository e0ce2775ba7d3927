"""A real PostgreSQL server for tests, on a free port of the loopback interface.

::

    with postgres_server() as server:
        Registry(server.database("registry"))

Its programs come from the machine (``apt-get install postgresql``). Its data is in a temporary folder
and goes with it. It ends with the test process, even where that is killed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

USER = "airlock"
START_SECONDS = 60


@dataclass(frozen=True)
class PostgresServer:
    """A running server that trusts everybody on this machine."""

    port: int

    @property
    def url(self) -> str:
        """The address of its first database, for administration."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def database(self, name: str, *, template: str = "template1") -> str:
        """Create a database and return its address."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def drop(self, name: str) -> None:
        """Remove a database, and whoever is connected to it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, and end it when the block ends."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="airlock-postgres-"))
    try:
        as_somebody = _as_somebody(folder)
        data, log = folder / "data", folder / "server.log"
        initdb: list[str | Path] = [
            *as_somebody,
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            "--auth=trust",
            "--no-sync",
        ]
        locale = ["--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run([*initdb, *locale], check=True, capture_output=True, cwd=folder)
        server = PostgresServer(_free_port())
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(server.port),
            "unix_socket_directories": "",
            "max_connections": "300",
            # Nothing here needs to survive a power failure.
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*as_somebody, programs / "postgres", "-D", data, *settings],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,  # Ctrl-C ends the tests first, then the server
            )
        try:
            _wait_until_ready(process, server, log)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown: it ends its sessions
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)  # ... and its "immediate" one
                process.wait(timeout=30)
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    if found or on_path:
        return found[-1].parent if found else Path(str(on_path)).parent
    raise RuntimeError("These tests need PostgreSQL's programs. Install them: apt-get install postgresql.")


def _as_somebody(folder: Path) -> list[str]:
    """What to put before a command: PostgreSQL refuses root, and should end when the tests do."""
    if shutil.which("setpriv") is None:
        return []
    command = ["setpriv", "--pdeathsig", "INT"]
    if os.getuid() == 0:
        user = next((each for each in pwd.getpwall() if each.pw_name in ("postgres", "nobody")), None)
        if user is None:
            raise RuntimeError("PostgreSQL refuses root, and this machine has no user postgres or nobody.")
        os.chown(folder, user.pw_uid, user.pw_gid)
        command += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*command, "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], server: PostgresServer, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(server.url, connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                words = log.read_text(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{words}") from error
            time.sleep(0.05)
