"""Many services: DAG files that each serve a part of them.

Airflow imports a DAG file within a time limit and serialises all its DAGs before the first is stored. One
file serves about a hundred services well; beyond that the services are spread over shard files, which the
DAG processor works on in parallel.
"""

from __future__ import annotations

import math
from pathlib import Path

SERVICES_IN_ONE_FILE = 100

_KINDS = {
    "model_lifecycles": ("the model life cycles", "lifecycle_dags"),
    "batch_scoring": ("scheduled batch scoring", "scoring_dags"),
}

_TEMPLATE = '''"""Airflow DAGs of {what}, from include/services{part}."""

from pathlib import Path

from airlock.orchestration.dag_files import {function}

globals().update({function}(Path(__file__).parents[1] / "include"{argument}))
'''


def shard_count(services: int) -> int:
    """How many shards so many services need."""
    return max(1, math.ceil(services / SERVICES_IN_ONE_FILE))


def shard_files(count: int) -> dict[str, str]:
    """Names and contents of the DAG files for so many shards."""
    files = {}
    for stem, (what, function) in _KINDS.items():
        for number in range(1, count + 1):
            alone = count == 1
            files[f"{stem}.py" if alone else f"{stem}_{number}_of_{count}.py"] = _TEMPLATE.format(
                what=what,
                function=function,
                part="" if alone else f", part {number} of {count}",
                argument="" if alone else f", shard=({number}, {count})",
            )
    return files


def write_shards(dags: Path, count: int) -> list[Path]:
    """Replace the DAG files in a folder by those of so many shards; other files stay."""
    files = shard_files(count)
    for stem in _KINDS:
        for path in [dags / f"{stem}.py", *dags.glob(f"{stem}_*_of_*.py")]:
            if path.name not in files:
                path.unlink(missing_ok=True)
    for name, content in files.items():
        (dags / name).write_text(content)
    return sorted(dags / name for name in files)
