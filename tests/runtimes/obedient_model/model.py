"""Does what its records ask for, so that tests see what a runtime makes of it."""

import ctypes
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np  # type: ignore[import-not-found,unused-ignore]


def init(folder: Path) -> None:
    """Do what ``behaviour.json`` says, for what cannot be asked of a record."""
    behaviour = json.loads((folder / "behaviour.json").read_text(encoding="utf-8"))
    if "starts" in behaviour:
        note(behaviour["starts"])
    if "fail" in behaviour:
        raise ValueError(behaviour["fail"])
    if "deaf" in behaviour:  # as a library in C may do it, which asks nobody
        ctypes.CDLL(None).signal(signal.SIGTERM, 1)
    if "allocate" in behaviour:
        np.ones((int(behaviour["allocate"]), 1024, 128))  # MiB
    if "slow" in behaviour:
        time.sleep(behaviour["slow"])
    if "child" in behaviour:  # leaves the process group, as a badly behaved worker process may
        subprocess.Popen(["sleep", str(behaviour["child"])], start_new_session=True)


def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Double the amounts, after doing what the records ask for."""
    for act, text, amount in zip(rows["act"], rows["text"], rows["amount"], strict=True):
        if act:
            ACTS[act](text, amount)
    return {"doubled": rows["amount"] * 2}


def fail(reason: str) -> None:
    """Be a model that does not like its records."""
    raise ValueError(reason)


def circumstances() -> dict[str, object]:
    """What a process can find out about itself."""
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    return {"user": os.getuid(), "group": os.getgid(), "variables": dict(os.environ), "status": status}


def note(path: str) -> None:
    """Leave a trace of this process."""
    with open(path, "a", encoding="utf-8") as notes:
        notes.write(f"{os.getpid()}\n")


ACTS: dict[str, Callable[[str, float], object]] = {
    "note": lambda text, amount: note(text),
    "print": lambda text, amount: print(text, flush=True),
    "fail": lambda text, amount: fail(text),
    "exit": lambda text, amount: os._exit(int(amount)),
    "sleep": lambda text, amount: time.sleep(amount),
    "allocate": lambda text, amount: np.ones((int(amount), 1024, 128)),  # MiB
    "write": lambda text, amount: Path(text).write_text("written by a model", encoding="utf-8"),
    "become root": lambda text, amount: os.setuid(0),
    "tell": lambda text, amount: print(json.dumps(circumstances()), flush=True),
    "fetch": lambda text, amount: urllib.request.urlopen(text, timeout=10).read(),
    # As a library in C may do it, which asks nobody.
    "ignore": lambda text, amount: ctypes.CDLL(None).signal(int(amount), 1),
}
