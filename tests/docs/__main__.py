"""Runs every command of the documentation against a running demo (``DEMO_AFTER=tests.docs make demo``)."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.docs.console_blocks import run_pages

with tempfile.TemporaryDirectory() as scratch:
    programs = Path(sys.executable).parent
    run_pages(
        os.environ["DEMO_URL"],
        json.loads(os.environ["DEMO_PASSWORDS"]),
        {
            **os.environ,
            "GATEWAY": os.environ["DEMO_GATEWAY"],
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        },
        Path(scratch),
    )
