"""Where a request is worked on: at once on the event loop, or in a thread.

The hop to a thread costs about 0.1 ms, as much as a small model itself, and the two then contend for the
interpreter: requests a second are halved. But what takes long on the loop makes health checks wait. (Other
requests to score wait either way, as the model is called by one at a time.) So the time is
measured by size of request, and only what has shown itself quick stays on the loop. The quickest of the
last few decides: a pause of the machine must not send a small model to a thread, where sharing the
interpreter with the loop would make it look slow for good.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_QUICK_SECONDS = 0.005
_REMEMBERED = 4

Result = TypeVar("Result")


class Dispatcher:
    """Runs work, never more than ``threads`` pieces of it at once."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
        self._futures: set[Future[Any]] = set()
        self._seconds: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    async def run(self, work: Callable[[], Result], size: int) -> Result:
        """Run ``work`` for a request body of ``size`` bytes."""
        bucket = size.bit_length()
        if len(self._futures) < self._threads and self._is_quick(bucket):
            return self._timed(work, bucket)
        future = self._pool.submit(self._timed, work, bucket)
        self._futures.add(future)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # One whose client has left goes on: nothing can stop a thread.
            self._futures = {future for future in self._futures if not future.done()}

    @property
    def busy(self) -> bool:
        """Whether a thread is at work."""
        return any(not future.done() for future in self._futures)

    def _timed(self, work: Callable[[], Result], bucket: int) -> Result:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds[bucket].append(time.perf_counter() - started)

    def _is_quick(self, bucket: int) -> bool:
        seconds = self._seconds[bucket]
        return bool(seconds) and min(seconds) < _QUICK_SECONDS
