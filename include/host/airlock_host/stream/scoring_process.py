"""A process that scores micro-batches: ``python -m airlock_host.stream.scoring_process``.

It reads the snapshot's folder and the settings, loads the model, and answers each micro-batch that comes
with its outcome. It ends when its input ends, in the middle of a micro-batch as well: so it never outlives
the worker that started it, however that one ended.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

from airlock_host.logs import log_to_standard_error
from airlock_host.models import load
from airlock_host.scoring_processes import error_told, private_output, spare_the_collector
from airlock_host.snapshot import Snapshot
from airlock_host.stream.codecs import codec
from airlock_host.stream.scoring import score
from airlock_host.stream.settings import StreamSettings
from airlock_host.warm_up import warm_up


def main() -> None:
    """Work until the input ends."""
    log_to_standard_error()
    answers = os.fdopen(private_output(), "wb")
    asked: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_read, args=(asked,), name="read", daemon=True).start()
    try:
        _work(asked, answers)
    except Exception as error:
        _tell(answers, error_told(error))
        sys.exit(1)


def _work(asked: SimpleQueue[Any], answers: BinaryIO) -> None:
    folder: Path
    settings: StreamSettings
    folder, settings = asked.get()
    snapshot = Snapshot.open(folder)
    values = codec(settings, snapshot.inputs, snapshot.outputs)
    model = load(snapshot)
    warm_up(model)
    spare_the_collector()
    _tell(answers, None)
    while True:
        _tell(answers, score(asked.get(), values, model))


def _read(asked: SimpleQueue[Any]) -> None:
    try:
        while True:
            asked.put(pickle.load(sys.stdin.buffer))  # noqa: S301 - from the worker that started this process
    except EOFError:
        os._exit(0)


def _tell(answers: BinaryIO, answer: Any) -> None:
    pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


if __name__ == "__main__":
    main()
