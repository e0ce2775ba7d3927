"""A small project folder: two services whose snapshots go from LAB to LIVE."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conftest import PROJECT

FILES = {
    "lifecycles/guarded.yaml": """
lifecycle: guarded
stages:
  - name: LAB
    checks: [smoke]
  - name: LIVE
    checks: [smoke]
    rollout: canary
""",
    "services/cc-fraud.yaml": """
service: cc-fraud
lifecycle: guarded
owner: fraud-team
""",
    "services/tumour-triage.yaml": """
service: tumour-triage
lifecycle: guarded
owner: clinic
""",
    "runtimes/local.yaml": """
runtime: local
kind: local
stages: [LAB, LIVE]
capacity: 4
""",
    "policies/LIVE.yaml": """
stage: LIVE
approvals:
  - role: model-risk
  - role: it-operations
""",
    "policies/roles.yaml": """
roles:
  model-risk: [rita, dana]
  it-operations: [omar]
""",
}


def write_project(folder: Path) -> Path:
    """Write include/ and copy the DAG files that ship with Airlock."""
    for name, text in FILES.items():
        path = folder / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    shutil.copytree(PROJECT / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    return folder
