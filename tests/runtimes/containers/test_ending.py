"""Exit codes of containers as causes and words."""

from __future__ import annotations

import pytest

from airlock.runtimes.containers.ending import ending
from airlock.runtimes.job_cause import JobCause
from airlock.spec import MiB


@pytest.mark.parametrize(
    ("code", "cause", "shown", "words"),
    [
        (0, None, 0, "exit code 0"),
        (1, "error", 1, "exit code 1"),
        (2, "invalid_data", 2, "exit code 2"),
        (7, "error", 7, "exit code 7"),
        (124, "timeout", 124, "exit code 124"),
        (130, "cancelled", 130, "exit code 130"),
        (137, "signal", -9, "signal 9 (Killed)"),
        (143, "signal", -15, "signal 15 (Terminated)"),
        (139, "signal", -11, "signal 11 (Segmentation fault)"),
        (255, "error", 255, "exit code 255"),
    ],
)
def test_exit_codes(code: int, cause: JobCause | None, shown: int, words: str) -> None:
    found = ending(code)

    assert (found.cause, found.code, found.words) == (cause, shown, words)


def test_memory_is_named_with_its_limit() -> None:
    found = ending(137, out_of_memory=True, memory=512 * MiB)

    assert (found.cause, found.words) == ("memory", "a need for more memory than its 512 MiB")


def test_a_host_that_lost_a_worker_and_ended_well_all_the_same_has_ended_well() -> None:
    assert ending(0, out_of_memory=True).cause is None


@pytest.mark.parametrize(
    "said", ["numpy._core._exceptions._ArrayMemoryError: no", "terminate called\nstd::bad_alloc"]
)
def test_memory_that_was_refused_is_seen_in_the_log(said: str) -> None:
    assert ending(1, said=said).cause == "memory"


def test_only_the_last_lines_count() -> None:
    assert ending(1, said="MemoryError\nand\nthen\nsomething else").cause == "error"
