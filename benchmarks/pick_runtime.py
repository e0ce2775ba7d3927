"""How long it takes to pick a runtime among 10,000, against 10, and against the bare SELECT behind it.

::

    python benchmarks/pick_runtime.py [--postgresql]

Prints one line of JSON. Times are milliseconds, medians of single calls:

- ``bare_select``: the one SELECT on the index, through the database driver alone: the limit.
- ``pick``: what the registry asks, through SQLAlchemy, in an open transaction.
- ``acquire``: a whole lease: transaction, pick, count, ledger, commit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import Connection

from airlock.registry import Registry
from airlock.registry.offers import pick
from airlock.spec import Roles, RuntimeSpec
from airlock.spec.load import Include

STAGES = ("DEV", "SIT", "UAT", "PROD")
WANTED: dict[str, Any] = {"stage": "PROD", "service": "service-7", "mode": "online"}
ROUNDS = 300
SELECT = (
    "SELECT runtime FROM runtime_offers WHERE stage = {0} AND mode = {0} AND service = {0} AND free = {1} "
    "ORDER BY load, runtime LIMIT 1"
)


def runtimes(count: int) -> dict[str, RuntimeSpec]:
    """Runtimes of all stages; every second one is for any service, the others for one of 100."""
    specs = {}
    for number in range(count):
        name = f"runtime-{number:05}"
        services = ["*"] if number % 2 else [f"service-{number % 100}"]
        stages = [STAGES[number % 4], STAGES[(number + 1) % 4]]
        specs[name] = RuntimeSpec(
            runtime=name, kind="local", stages=stages, services=services, capacity=1_000
        )
    return specs


def median_ms(act: Callable[[int], object]) -> float:
    times = []
    for number in range(ROUNDS):
        begin = time.perf_counter()
        act(number)
        times.append(time.perf_counter() - begin)
    return round(statistics.median(times) * 1000, 3)


def measure(url: str, count: int) -> dict[str, float]:
    """Fill a registry with so many runtimes and take the three times."""
    registry = Registry(url)
    registry.migrate()
    begin = time.perf_counter()
    registry.catalog.apply(Include({}, {}, runtimes(count), {}, Roles(), {}, []), by="benchmark")
    apply_seconds = time.perf_counter() - begin
    with registry.database.read() as connection:
        bare = median_ms(lambda _: bare_select(connection))
        asked = median_ms(lambda _: pick(connection, **WANTED))
    acquired = median_ms(lambda number: registry.leases.acquire(deployment_id=f"dep-{number}", **WANTED))
    registry.close()
    return {"bare_select": bare, "pick": asked, "acquire": acquired, "apply_s": round(apply_seconds, 2)}


def bare_select(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    cursor = connection.connection.cursor()
    cursor.execute(SELECT.format(*("?", 1) if sqlite else ("%s", "true")), ("PROD", "online", "*"))
    cursor.fetchone()


@contextlib.contextmanager
def databases(postgresql: bool) -> Iterator[Callable[[str], str]]:
    """Gives the address of a new database for a name."""
    if postgresql:
        from tests.postgres import postgres_server

        with postgres_server() as server:
            yield server.database
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield lambda name: f"sqlite:///{folder}/{name}.db"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server, not on SQLite")
    postgresql = parser.parse_args().postgresql
    with databases(postgresql) as database:
        few, many = (measure(database(f"of_{count}"), count) for count in (10, 10_000))
    result = {
        "benchmark": "pick_runtime",
        "database": "postgresql" if postgresql else "sqlite",
        "ms_among_10": few,
        "ms_among_10000": many,
        "pick_10000_to_10": round(many["pick"] / few["pick"], 2),
        "acquire_10000_to_10": round(many["acquire"] / few["acquire"], 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
