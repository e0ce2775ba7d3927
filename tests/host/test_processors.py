"""Threads of libraries: few enough for the processors there are."""

from __future__ import annotations

import pytest

from airlock_host.processors import limit_threads, processors, share_threads


def test_a_limit_does_not_override_one_that_is_there() -> None:
    environment = {"OMP_NUM_THREADS": "3"}
    limit_threads(1, environment)
    assert environment == {
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


@pytest.mark.parametrize(("allowed", "count", "each"), [("8", 2, "4"), ("2", 2, "1"), ("1", 4, "1")])
def test_processes_share_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, allowed: str, count: int, each: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    assert share_threads(count)["OMP_NUM_THREADS"] == each


def test_without_a_limit_they_share_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert share_threads(1)["OMP_NUM_THREADS"] == str(processors())
