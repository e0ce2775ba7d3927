"""How far a batch job is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

# Often enough to see that it goes on; in a job of hours, not so often that nothing else is seen.
_LEAST_SECONDS = 5.0
_MOST_SECONDS = 60.0
_SHARE_OF_TIME = 0.1


class Progress:
    """Counts rows, from several threads, and tells now and then while its block lasts, also of none."""

    def __init__(self, total: int | None, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """:param total: the rows of the whole job, where that is known."""
        self._total = total
        self._clock = clock
        self._rows = 0
        self._lock = Lock()
        self._begun = clock()
        self._loaded: float | None = None
        self._over = Event()
        self._teller = Thread(target=self._tell, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._teller.join()

    def loaded(self) -> None:
        """A process has loaded the model and begins to score."""
        with self._lock:
            if self._loaded is not None:
                return
            self._loaded = self._clock()
        log.info("the model is loaded, after %.1f s", self.seconds_loading)

    def scored(self, rows: int) -> None:
        """So many more rows are scored."""
        with self._lock:
            self._rows += rows

    @property
    def seconds_loading(self) -> float:
        """How long it took until the first process began to score; 0 if none did."""
        return 0.0 if self._loaded is None else self._loaded - self._begun

    def in_words(self) -> str:
        """How far it is."""
        now = self._clock()
        if self._loaded is None:
            return f"the model is still loading, after {now - self._begun:.0f} s"
        rows, seconds = self._rows, now - self._loaded
        if self._total is None:
            return f"{rows:,} rows, {_rate(rows, seconds)}"
        share = f" ({rows / self._total:.0%})" if self._total else ""
        words = f"{rows:,} of {self._total:,} rows{share}, {_rate(rows, seconds)}"
        if 0 < rows < self._total:
            words += f", about {_duration((self._total - rows) * seconds / rows)} to go"
        return words

    def _tell(self) -> None:
        while not self._over.wait(wait_seconds(self._clock() - self._begun)):
            log.info("%s", self.in_words())


def wait_seconds(seconds: float) -> float:
    """How long to wait until it is told next, so long after the beginning."""
    return min(max(_LEAST_SECONDS, seconds * _SHARE_OF_TIME), _MOST_SECONDS)


def _rate(rows: int, seconds: float) -> str:
    rate = rows / seconds if seconds > 0 else 0.0
    return f"{rate:,.0f} a second" if rate >= 10 or rate == 0 else f"{rate:.1f} a second"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
