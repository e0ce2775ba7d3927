"""What the image does with a command: docker-compose, Airflow's chart and people write it differently."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[2] / "deploy" / "entrypoint"


@pytest.mark.parametrize(
    ("command", "run"),
    [
        (["api-server"], "airflow api-server"),
        (["celery", "worker"], "airflow celery worker"),
        (["airflow", "jobs", "check"], "airflow jobs check"),
        (["airlock", "where", "a b"], "airlock where a b"),
        (["bash", "-c", "exec airflow scheduler"], "bash -c exec airflow scheduler"),
        (["python", "-m", "celery"], "python -m celery"),
        ([], "airflow"),
    ],
)
def test_a_program_is_run_and_anything_else_is_a_command_of_airflow(
    command: list[str], run: str, tmp_path: Path
) -> None:
    for name in ("airflow", "airlock", "bash", "celery", "python"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        program.chmod(0o755)
    done = subprocess.run(
        [str(ENTRYPOINT), *command],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == run
