"""Writing the files of an include folder for a test, and what is in a good one."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

GOOD = {
    "lifecycles/standard.yaml": """
        lifecycle: standard
        description: Two stages.
        stages:
          - name: DEV
            checks: [smoke, contract]
            retire: when_promoted
          - name: PROD
            checks:
              - smoke
              - latency: {p99_ms: 200}
              - performance:
                  dataset: holdout
                  roc_auc: {min: 0.85}
                  vs_champion: {roc_auc: {min_delta: -0.005}}
        """,
    "services/cc-fraud.yaml": """
        service: cc-fraud
        lifecycle: standard
        owner: payments
        mode: {DEV: batch}
        datasets:
          holdout: {path: data/holdout.parquet, target: is_fraud}
        schedule: "0 6 * * *"
        input: data/{{ ds }}/*.parquet
        output: data/{{ ds }}/scores
        """,
    "runtimes/local.yaml": """
        runtime: local
        kind: local
        stages: [DEV]
        capacity: 4
        ---
        runtime: local-prod
        kind: local
        stages: [PROD]
        services: [cc-fraud]
        options: {cpu: 2, memory: 1GiB}
        """,
    "policies/PROD.yaml": """
        stage: PROD
        approvals:
          - role: model-risk
          - {role: it-operations, count: 2}
        expires: 2d
        evidence: [smoke]
        """,
    "policies/roles.yaml": """
        roles:
          model-risk: [rita]
          it-operations: [omar, olga]
        """,
}
"""The files of a small include folder, by their paths."""


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder, without the indentation they have in a test."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def write_good(folder: Path, **changed: str) -> Path:
    """Write the good include folder, with some files changed or added."""
    return write(folder, GOOD | changed)
