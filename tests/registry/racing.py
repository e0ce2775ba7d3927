"""Real processes that all begin at the same moment."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from typing import Any

from airlock.registry import Registry

_fork = multiprocessing.get_context("fork")


def race(count: int, url: str, act: Callable[[Registry, int], Any]) -> list[Any]:
    """Let ``count`` processes call ``act`` with a registry of their own and their number, at once.

    :returns: what each returned, by number.
    """
    start = _fork.Barrier(count)
    answers: Any = _fork.Queue()

    def run(number: int) -> None:
        registry = Registry(url)
        try:
            start.wait(timeout=60)
            answers.put((number, act(registry, number), ""))
        except BaseException:
            answers.put((number, None, traceback.format_exc()))
        finally:
            registry.close()

    processes = [_fork.Process(target=run, args=(number,), daemon=True) for number in range(count)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=30)
    failures = [trace for _, _, trace in found if trace]
    assert not failures, f"{len(failures)} of {count} processes failed:\n{failures[0]}"
    return [answer for _, answer, _ in sorted(found, key=lambda each: each[0])]
