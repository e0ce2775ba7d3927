"""Does what its records ask for, so that tests see what a runtime makes of it."""

import ctypes
import json
import os
import signal
import subprocess
import time
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
    if "child" in behaviour:  # leaves the process group, as a badly behaved worker process may
        subprocess.Popen(["sleep", str(behaviour["child"])], start_new_session=True)


def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Double the amounts, after doing what the records ask for."""
    for act, text, amount in zip(rows["act"], rows["text"], rows["amount"], strict=True):
        if act == "note":
            note(text)
        elif act == "print":
            print(text, flush=True)
        elif act == "fail":
            raise ValueError(text)
        elif act == "exit":
            os._exit(int(amount))
        elif act == "sleep":
            time.sleep(amount)
        elif act == "allocate":
            np.ones((int(amount), 1024, 128))  # MiB
    return {"doubled": rows["amount"] * 2}


def note(path: str) -> None:
    """Leave a trace of this process."""
    with open(path, "a", encoding="utf-8") as notes:
        notes.write(f"{os.getpid()}\n")
