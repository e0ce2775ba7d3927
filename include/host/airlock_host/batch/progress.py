"""How far a batch job is."""

from __future__ import annotations

import logging
import time
from threading import Lock

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_MESSAGES = 5.0


class Progress:
    """Counts rows, from several threads, and tells now and then."""

    def __init__(self, total: int | None) -> None:
        """:param total: the rows of the whole job, where that is known."""
        self._total = total
        self._rows = 0
        self._lock = Lock()
        self._begun = self._told = time.perf_counter()
        self._loaded: float | None = None

    def loaded(self) -> None:
        """A process has loaded the model and begins to score."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._told = time.perf_counter()

    def scored(self, rows: int) -> None:
        """So many more rows are scored."""
        with self._lock:
            self._rows += rows
            now = time.perf_counter()
            if now - self._told < _SECONDS_BETWEEN_MESSAGES:
                return
            self._told = now
            of = "" if self._total is None else f" of {self._total:,}"
            seconds = now - (self._loaded or self._begun)
            log.info("%s%s rows, %s a second", f"{self._rows:,}", of, f"{self._rows / seconds:,.0f}")

    @property
    def seconds_loading(self) -> float:
        """How long it took until the first process began to score; 0 if none did."""
        return 0.0 if self._loaded is None else self._loaded - self._begun
