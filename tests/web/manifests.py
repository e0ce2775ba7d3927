"""Small snapshots, made without packing a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airlock.snapshots.manifest import Environment, FileEntry, Manifest
from airlock.spec import Field


@dataclass(frozen=True)
class SmallSnapshot:
    """A manifest, and the bytes of its files by their SHA-256."""

    manifest: Manifest
    blobs: dict[str, bytes]

    @property
    def document(self) -> dict[str, Any]:
        """What is sent to the API."""
        return self.manifest.document()


def small_snapshot(
    model: str = "credit-card-fraud",
    *,
    code: str = "def score(batch): ...",
    services: Sequence[str] = ("cc-fraud",),
) -> SmallSnapshot:
    """A snapshot of two files; another ``code`` makes another version."""
    contents = {"model.py": code.encode(), "requirements.lock": b"# inputs: none\n"}
    files = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    manifest = Manifest(
        model=model,
        owner="fraud-team",
        format="python",
        entry_points={"module": "model.py", "score": "score"},
        python=">=3.11,<3.14",
        files=tuple(
            FileEntry(path=path, size=len(contents[path]), sha256=sha256)
            for path, sha256 in sorted(files.items())
        ),
        environment=Environment(lock_digest=f"sha256:{files['requirements.lock']}"),
        input_schema=(Field(name="amount", type="number"),),
        output_schema=(Field(name="score", type="number"),),
        modes=("batch", "online"),
        services=tuple(services),
    )
    return SmallSnapshot(manifest, {files[path]: content for path, content in contents.items()})
