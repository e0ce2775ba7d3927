"""Tells Docker whether one of the stack's own components works: exit code 0 if it does.

``python healthy.py api-server|scheduler|dag-processor|triggerer|worker|gateway``. Cheap, because it runs
every few seconds: only the worker's check imports more than the standard library.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import urlopen

SECONDS = 10.0

API_SERVER = "http://127.0.0.1:8080/api/v2/monitor/health"
ALL_PARTS = "http://api-server:8080/api/v2/monitor/health"
SCHEDULER = "http://127.0.0.1:8974/health"
GATEWAY = "http://127.0.0.1:8080/-/health"


def _api_server() -> bool:
    return part_is_healthy(API_SERVER, "metadatabase")


def _scheduler() -> bool:
    with urlopen(SCHEDULER, timeout=SECONDS) as answer:
        return bool(answer.status == 200)


def _gateway() -> bool:
    with urlopen(GATEWAY, timeout=SECONDS) as answer:
        return bool(answer.status == 200)


def _dag_processor() -> bool:
    return part_is_healthy(ALL_PARTS, "dag_processor")


def _triggerer() -> bool:
    return part_is_healthy(ALL_PARTS, "triggerer")


def _worker() -> bool:
    from celery import Celery  # type: ignore[import-not-found,import-untyped,unused-ignore]

    name = f"celery@{socket.gethostname()}"
    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    return bool(app.control.ping(destination=[name], timeout=SECONDS / 2, limit=1))


CHECKS: dict[str, Callable[[], bool]] = {
    "api-server": _api_server,
    "scheduler": _scheduler,
    "dag-processor": _dag_processor,
    "triggerer": _triggerer,
    "worker": _worker,
    "gateway": _gateway,
}


def part_is_healthy(url: str, part: str) -> bool:
    """Ask for Airflow's state and read what it says of one part.

    :raises OSError: nobody answers.
    """
    try:
        with urlopen(url, timeout=SECONDS) as answer:  # noqa: S310  the addresses above
            state = json.load(answer)
    except HTTPError as refusal:
        state = json.load(refusal)
    return bool(state[part]["status"] == "healthy")


def main() -> int:
    """Check the component that the argument names; returns the exit code."""
    try:
        healthy = CHECKS[sys.argv[1]]()
    except OSError as error:
        print(f"{sys.argv[1]} does not answer: {error}")
        return 1
    print(f"{sys.argv[1]} {'works' if healthy else 'does not work'}.")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
