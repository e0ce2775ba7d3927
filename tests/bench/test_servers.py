"""How the benchmark of servers reads locks and answers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks import rest_load, servers

PEERS = ("kserve", "mlserver", "mlflow", "litserve", "bentoml")


def test_the_version_is_that_of_the_package_itself() -> None:
    lock = "mlserver-sklearn==1.6 \\\n    --hash=sha256:0\nmlserver==1.7.1 \\\n    --hash=sha256:1\n"
    assert servers.locked_version("mlserver", lock) == "1.7.1"


def test_all_score_with_the_same_scikit_learn() -> None:
    host = (servers.LOCKS.parent / "host-requirements.lock").read_text()
    locks = [(servers.LOCKS / f"{peer}.lock").read_text() for peer in PEERS]
    assert {servers.locked_version("scikit-learn", lock) for lock in locks} == {
        servers.locked_version("scikit-learn", host)
    }


def test_probabilities_are_read_with_and_without_those_of_the_other_class() -> None:
    both = {"outputs": [{"shape": [2, 2], "data": [0.75, 0.25, 0.125, 0.875]}]}
    one = {"outputs": [{"shape": [2], "data": [0.25, 0.875]}]}
    assert servers.of_tensor(both) == servers.of_tensor(one) == [0.25, 0.875]


def test_what_cannot_be_installed_is_noted_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            [], 1, stderr="Preparing\nerror: no wheel\n  cause: linux | arm\n\n"
        )

    monkeypatch.setattr(servers.subprocess, "run", refuse)
    measured = servers.Measured("0.21.0")
    with servers.noting(measured):
        servers.prepare("kserve")
    assert measured.report() == {
        "version": "0.21.0",
        "not_measured": "cannot be installed: no wheel cause: linux / arm",
    }


def test_what_ends_at_its_start_is_noted_with_the_last_it_said(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo hello; echo no such model >&2; exit 3"]
    one = servers.Server("broken", "", lambda *_: command, "/", lambda rows: rows, lambda answer: answer)
    measured = servers.Measured("1")
    with servers.noting(measured), servers.Running.of(one, tmp_path) as running:
        running.first_answer([[1.0]], [0.5])
    assert measured.not_measured == "ended at its start: no such model"


def test_median_of_each_number() -> None:
    runs = [{"p50_ms": 1.0, "p99_ms": 9.0}, {"p50_ms": 3.0, "p99_ms": 2.0}, {"p50_ms": 2.0, "p99_ms": 4.0}]
    assert rest_load.medians(runs) == {"p50_ms": 2.0, "p99_ms": 4.0}
