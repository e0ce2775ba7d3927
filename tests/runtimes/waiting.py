"""Waits for what must become true, instead of sleeping for as long as it might take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(look: Callable[[], T], wanted: Callable[[T], bool] = bool, *, seconds: float = 60.0) -> T:
    """Look until what is seen is wanted; the last thing seen is in the failure."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < deadline, f"after {seconds:g} s this is still {seen!r}"
        time.sleep(0.02)
