"""Every benchmark can be started: what it measures has names of its own, which change."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.__main__ import FOLDER, SCRIPTS


@pytest.mark.parametrize("script", sorted({script for script, _, _ in SCRIPTS}))
def test_a_benchmark_says_how_it_is_used(script: str) -> None:
    said = subprocess.run(
        [sys.executable, str(FOLDER / script), "--help"], capture_output=True, text=True, check=True
    )

    assert "usage" in said.stdout
