"""What is deployed: the obedient model, as its image holds it. Nothing is packed, so no network is needed."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from airlock.runtimes.base import DeploymentPlan, Handle, Job
from airlock.snapshots.manifest import Environment, FileEntry, Manifest
from airlock.spec import MiB, Mode, Resources

MEMORY = 512 * MiB
DATA_FOLDER = "/airlock-test/data"
OUTPUT = "file:///tmp/scored"

_HEAD = "act,text,amount\n"
INPUTS = {
    "double.csv": _HEAD + "sleep,-,0.1\n" * 4,
    "print.csv": _HEAD + "print,a line of the model,1\n",
    "fail.csv": _HEAD + "fail,the model does not like this,1\n",
    "unusable.csv": "something\nelse\n",
    "sleep.csv": _HEAD + "sleep,-,600\n",
    "pause.csv": _HEAD + "sleep,-,5\n",
    "allocate.csv": _HEAD + "allocate,-,2048\n",
}
"""Files that jobs find in DATA_FOLDER."""

_LOCK = b"numpy==2\n"
_MODEL = b"def score(rows): ...\n"


def manifest(text: bytes = _MODEL) -> Manifest:
    """A manifest; another text of the model makes another digest."""
    contents = {"model.py": text, "requirements.lock": _LOCK}
    files = tuple(
        FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in sorted(contents.items())
    )
    document: dict[str, Any] = {
        "model": "obedient",
        "format": "python",
        "entry_points": {"module": "model.py", "score": "score"},
        "python": ">=3.11,<3.14",
        "files": [entry.model_dump() for entry in files],
        "environment": Environment(lock_digest=f"sha256:{hashlib.sha256(_LOCK).hexdigest()}").model_dump(),
        "input_schema": [
            {"name": "act", "type": "string"},
            {"name": "text", "type": "string"},
            {"name": "amount", "type": "number"},
        ],
        "output_schema": [{"name": "doubled", "type": "number"}],
        "modes": ["online", "batch"],
        "services": ["obedience"],
    }
    return Manifest.model_validate(document)


def plan(*, mode: Mode = "online", name: str = "", text: bytes = _MODEL) -> DeploymentPlan:
    """A plan with a name of its own."""
    found = manifest(text)
    return DeploymentPlan(
        name=name or f"dep-{uuid.uuid4().hex[:12]}",
        digest=found.digest,
        manifest=found,
        mode=mode,
        resources=Resources(cpu=0.5, memory=MEMORY),
        labels={"service": "obedience", "stage": "DEV", "snapshot": "obedient@1", "passage": "p-1"},
    )


def job(deployment: Handle, file: str, *, name: str = "", **more: Any) -> Job:
    """A job that scores one of the files."""
    arguments = {
        "kind": "score",
        "input": [f"file://{DATA_FOLDER}/{file}"],
        "output": OUTPUT,
        "rejects": None,
        "provenance": {"run": "test"},
        "processes": 1,
    }
    chosen = {"resources": Resources(cpu=0.5, memory=MEMORY), **more}
    name = name or f"job-{uuid.uuid4().hex[:12]}"
    return Job(name=name, command="batch", arguments=arguments, deployment=deployment, **chosen)
