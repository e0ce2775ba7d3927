"""Kind ``local``: the contract, and what is special about processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes import adapter_for
from airlock.runtimes.base import Adapter, Handle, Job, RuntimeSettings
from airlock.runtimes.local import LocalAdapter, stop_all
from airlock.runtimes.local_folder import State, supervisor_of
from airlock.spec import MiB, Resources, RuntimeSpec

from .conftest import Snapshot, processes_of
from .contract import AdapterContract, Connect, ask, ended, plan, ready, settled
from .waiting import wait_for

pytestmark = pytest.mark.package_index

SPEC = RuntimeSpec("local-test", kind="local", stages=["DEV"], capacity=8)
_fork = multiprocessing.get_context("fork")


@pytest.fixture
def connect(settings: RuntimeSettings) -> Iterator[Connect]:
    yield lambda: LocalAdapter(SPEC, settings, grace_seconds=1)
    wait_for(lambda: processes_of(settings.workspace), lambda processes: processes == [], seconds=5)


class TestLocal(AdapterContract):
    """The contract of every kind, on this machine."""

    @pytest.fixture
    def connect(self, connect: Connect) -> Connect:
        return connect
