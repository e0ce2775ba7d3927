"""The smallest runtime: it runs the host's jobs as processes, in the environment of the host's tests."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from airlock.checks import CheckContext, CheckResult, failed, judge, next_step, plan
from airlock.spec import Check

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv-host" / "bin" / "python"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(PROJECT / "include" / "host"),
}


def run_check(check: Check, context: CheckContext, snapshots: Mapping[str, Path]) -> CheckResult:
    """Plan, run and judge a check, as the protocol in ``airlock.checks`` says.

    :param snapshots: folders of the ``candidate`` and the ``champion``.
    """
    steps = plan(check, context)
    measurements: dict[str, Any] = {}
    while step := next_step(steps, measurements):
        job = step.job(measurements)
        if step.where != "checks":
            job["model"] = str(snapshots[step.where])
        measurements[step.name] = _run(step.command, job, context.scratch / f"job-{step.name}")
    return judge(check, measurements, context)


def _run(command: str, job: dict[str, Any], folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    job_file, result_file = folder / "job.json", folder / "result.json"
    job_file.write_text(json.dumps({**job, "result": str(result_file)}))
    ended = subprocess.run(
        [PYTHON, "-m", "airlock_host", command, "--job", job_file],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    result = json.loads(result_file.read_text()) if result_file.exists() else {}
    if ended.returncode == 0:
        return dict(result)
    message = result.get("error", {}).get("message") or ended.stderr
    return failed(message, exit_code=ended.returncode)


@contextmanager
def serving(context: CheckContext, snapshot: Path, folder: Path) -> Iterator[str]:
    """Serve a snapshot; the endpoint's address."""
    port_file = folder / "port"
    process = subprocess.Popen(
        [PYTHON, "-m", "airlock_host", "serve", "--model", snapshot, "--port", "0", "--port-file", port_file],
        env={**ENVIRONMENT, "AIRLOCK_SNAPSHOT": context.snapshot, "AIRLOCK_DIGEST": context.digest},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _ready(process, port_file)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _ready(process: subprocess.Popen[bytes], port_file: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the host ended before it was ready"
        if port_file.exists():
            url = f"http://127.0.0.1:{port_file.read_text().strip()}"
            try:
                if urlopen(f"{url}/v2/health/ready", timeout=5).status == 200:
                    return url
            except URLError:
                pass  # the port is bound before the model is loaded
        time.sleep(0.05)
    raise AssertionError("the host was not ready in time")
