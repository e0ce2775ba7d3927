"""A small model folder, and manifests of made-up files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from airlock.snapshots.manifest import Environment, FileEntry, Manifest
from airlock.spec.schema import Field

MODEL_YAML = """\
model: credit-risk
owner: risk-analytics
services: [loans]
input:
  - {name: income, type: number, min: 0}
  - {name: years, type: integer, nullable: true}
output:
  - {name: probability, type: number, min: 0, max: 1}
"""

MODEL_PY = """\
raise RuntimeError("packing must not run the model")

# airlock.init
def load(folder): ...

def score(records): ...
"""

GOLDEN = """\
{"input": {"income": 1000.5, "years": 3}, "output": {"probability": 0.25}}
{"input": {"income": 0, "years": null}, "output": {"probability": 1}}
"""


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A Python model without requirements, so that locking it asks no package index."""
    folder = tmp_path / "credit-risk"
    (folder / "weights").mkdir(parents=True)
    (folder / "model.yaml").write_text(MODEL_YAML)
    (folder / "model.py").write_text(MODEL_PY)
    (folder / "golden.jsonl").write_text(GOLDEN)
    (folder / "requirements.txt").write_text("# nothing but the standard library\n")
    (folder / "weights" / "layer-1.bin").write_bytes(bytes(range(256)))
    return folder


def manifest_of(contents: Mapping[str, bytes]) -> Manifest:
    """A valid manifest of these files, to which a source file and an empty lock are added."""
    files = {"model.py": b"def score(records): ...\n", "requirements.lock": b""} | dict(contents)
    entries = [
        FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in sorted(files.items())
    ]
    lock = hashlib.sha256(files["requirements.lock"]).hexdigest()
    return Manifest(
        model="credit-risk",
        format="python",
        entry_points={"module": "model.py", "score": "score"},
        python=">=3.11,<3.14",
        files=tuple(entries),
        environment=Environment(lock_digest=f"sha256:{lock}"),
        input_schema=(Field("income", "number", min=0),),
        output_schema=(Field("probability", "number"),),
        modes=("online",),
        services=("loans",),
    )


CONTENTS = {
    "model.py": b"def score(records): ...\n",
    "requirements.lock": b"",
    "weights/big.bin": bytes(range(256)) * 10_000,
    "weights/empty.bin": b"",
}


@pytest.fixture
def manifest() -> Manifest:
    """A manifest of ``CONTENTS``."""
    return manifest_of(CONTENTS)
