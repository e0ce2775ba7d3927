"""Tests of what runs in the checks environment. They need its packages, and are left out where those are not.

    .venv-host/bin/python -m pytest tests/measure

or the same in an environment of ``include/host/checks.lock`` with pytest, pytest-timeout, hypothesis and
msgspec.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HOST = Path(__file__).resolve().parents[2] / "include" / "host"

sys.path.insert(0, str(HOST))

if importlib.util.find_spec("sklearn") is None:
    collect_ignore_glob = ["test_*.py"]
