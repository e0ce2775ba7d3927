"""Which Python an environment is made with."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.local.interpreter import find_interpreter


def test_airlocks_own_python_is_taken_where_it_fits() -> None:
    found = find_interpreter(">=3.11,<3.14")

    assert found.version == platform.python_version()
    prefix = "import sys; print(sys.prefix == sys.base_prefix == sys.argv[1])"
    ran = subprocess.run([found.path, "-c", prefix, sys.base_prefix], capture_output=True, text=True)
    assert ran.stdout == "True\n"


def test_a_range_that_no_python_fits_is_refused_with_a_way_out() -> None:
    with pytest.raises(AdapterError, match=r"no Python >=4\.7.*model\.yaml"):
        find_interpreter(">=4.7")


def test_what_is_no_range_is_refused() -> None:
    with pytest.raises(AdapterError, match="'three' is not a range"):
        find_interpreter("three")


def test_where_our_own_does_not_fit_one_of_the_machine_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    own = platform.python_version()
    monkeypatch.setattr(platform, "python_version", lambda: "3.9.0")

    found = find_interpreter(">=3.11,<3.15")

    ran = subprocess.run([found.path, "--version"], capture_output=True, text=True)
    assert ran.stdout == f"Python {found.version}\n"
    assert own.split(".")[0] == found.version.split(".")[0]
