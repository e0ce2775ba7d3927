"""A small Airlock project of many services, so that tests do not meet each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

# Stages of the short life cycles. LAB asks nobody; LIVE asks two roles.
LAB, LIVE = "LAB", "LIVE"

POLICIES: dict[str, Any] = {
    LIVE: {"stage": LIVE, "approvals": [{"role": "model-risk"}, {"role": "it-operations"}]},
    "UAT": {"stage": "UAT", "approvals": [{"role": "model-risk"}]},
    "PROD": {"stage": "PROD", "approvals": [{"role": "model-risk"}, {"role": "it-operations"}]},
}
ROLES = {"roles": {"model-risk": ["rita", "ada"], "it-operations": ["omar", "ada", "dana"]}}

LIFECYCLES: dict[str, Any] = {
    "open": {"stages": [{"name": "FIRST", "checks": ["smoke"]}, {"name": "SECOND", "checks": ["smoke"]}]},
    "guarded": {"stages": [{"name": LAB, "checks": ["smoke"]}, {"name": LIVE, "checks": ["smoke"]}]},
    "full": {
        "stages": [
            {"name": "DEV", "checks": ["smoke", "contract"]},
            {"name": "SIT", "checks": ["smoke", {"latency": {"p99_ms": 5000, "requests": 50}}]},
            {"name": "UAT", "checks": ["contract"]},
            {"name": "PROD", "checks": ["smoke"]},
        ]
    },
    "full-batch": {
        "stages": [{"name": name, "checks": ["smoke", "contract"]} for name in ("DEV", "SIT", "UAT", "PROD")]
    },
}

RUNTIMES: list[dict[str, Any]] = [
    {
        "runtime": "everywhere",
        "kind": "local",
        "stages": [LAB, LIVE, "FIRST", "SECOND", "DEV", "SIT", "UAT", "PROD"],
        "capacity": 40,
    },
    {"runtime": "narrow", "kind": "local", "stages": ["NARROW"], "capacity": 1},
]


# As people write it who want to be told of rollbacks. What is told is written down, a line for each.
TELLING = """
import json
from pathlib import Path

from airflow.sdk import BaseNotifier

from airlock.orchestration.dag_files import lifecycle_dags


class WriteDown(BaseNotifier):
    template_fields = ("line",)
    line = "{{{{ rollback.service }}}} {{{{ rollback.stage }}}} {{{{ rollback.snapshot }}}}"

    def notify(self, context):
        rollback = context["rollback"]
        with Path({file!r}).open("a") as told:
            told.write(json.dumps([self.line, rollback.failed_guards, rollback.report]) + "\\n")


globals().update(lifecycle_dags(Path(__file__).parents[1] / "include", on_rollback=WriteDown()))
"""


class Project:
    """An include folder and a DAG folder that tests write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.include = folder / "include"
        self.dags = folder / "dags"
        shutil.copytree(REPOSITORY / "dags", self.dags)
        self.told_of_rollbacks = folder / "told-of-rollbacks"
        (self.dags / "model_lifecycles.py").write_text(TELLING.format(file=str(self.told_of_rollbacks)))
        for kind in ("lifecycles", "services", "runtimes", "policies"):
            (self.include / kind).mkdir(parents=True)
        for name, lifecycle in LIFECYCLES.items():
            self.lifecycle(name, **lifecycle)
        for runtime in RUNTIMES:
            self.write(f"runtimes/{runtime['runtime']}.yaml", runtime)
        for stage, policy in POLICIES.items():
            self.write(f"policies/{stage}.yaml", policy)
        self.write("policies/roles.yaml", ROLES)

    def told(self, service: str) -> list[tuple[str, list[str], str]]:
        """What people were told of a service's rollbacks: in words, the guards that failed, the report."""
        lines = self.told_of_rollbacks.read_text().splitlines() if self.told_of_rollbacks.exists() else []
        return [tuple(told) for told in map(json.loads, lines) if told[0].startswith(f"{service} ")]

    def lifecycle(self, name: str, **content: Any) -> None:
        """Write a life cycle."""
        self.write(f"lifecycles/{name}.yaml", {"lifecycle": name, **content})

    def service(self, name: str, lifecycle: str = "guarded", **content: Any) -> None:
        """Write a service."""
        self.write(
            f"services/{name}.yaml", {"service": name, "lifecycle": lifecycle, "owner": "tests", **content}
        )

    def write(self, path: str, content: Mapping[str, Any]) -> None:
        """Write a YAML file below ``include``."""
        (self.include / path).write_text(yaml.safe_dump(dict(content), sort_keys=False))


def write_model(folder: Path, *, model: str, factor: float, delay_seconds: float = 0.0) -> Path:
    """A model in plain Python that multiplies; small environment, quick start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(
        f'''"""Multiplies its input."""

import time

import numpy as np


def init():
    time.sleep({delay_seconds})


def score(records: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {{"product": records["value"] * {factor}}}
'''
    )
    (folder / "requirements.txt").write_text("numpy\n")
    golden = [{"input": {"value": float(x)}, "output": {"product": x * factor}} for x in range(1, 6)]
    (folder / "golden.jsonl").write_text("".join(json.dumps(record) + "\n" for record in golden))
    description = {
        "model": model,
        "owner": "tests",
        "format": "python",
        "source": "model.py",
        "modes": ["online", "batch"],
        "input": [{"name": "value", "type": "number"}],
        "output": [{"name": "product", "type": "number"}],
        "golden": "golden.jsonl",
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    return folder
