"""Processes of an earlier demo that could not clean up after itself, because it was killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from airlock.runtimes.local.adapter import stop_all

MARK = "AIRFLOW_HOME"


def end_leftovers(home: Path) -> None:
    """End what still runs for this demo folder: nothing else on the machine has it as its AIRFLOW_HOME."""
    stop_all(home / "airlock" / "workspace")
    for process in psutil.process_iter():
        try:
            belongs = process.environ().get(MARK) == str(home)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if belongs and process.pid != os.getpid():
            _kill(process.pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
