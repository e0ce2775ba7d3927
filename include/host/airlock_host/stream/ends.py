"""Whether everything that a topic holds is read, answered and committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from airlock_host.exceptions import KafkaUnusable
from airlock_host.stream.settings import Reads

log = logging.getLogger(__name__)


class TopicEnd:
    """How far one worker is known to have come, held against where its topic ends now.

    The worker notes the ends that it met while nothing was in hand; that stays true, whatever comes later.
    Who asks is told of the topic as it is at that moment; records in transactions that are still open count
    as still to be read.
    """

    def __init__(self, newest: Callable[[str], Mapping[int, int]]) -> None:
        """:param newest: by partition of a topic the offset behind its last record, committed or not.

        It raises ``KafkaUnusable`` where it cannot tell.
        """
        self._newest = newest
        self._noted: tuple[Reads, str, Mapping[int, int]] | None = None

    def note(self, reads: Reads, topic: str, ends: Mapping[int, int]) -> None:
        """Note that all before these offsets is committed, in the partitions that are this worker's."""
        self._noted = reads, topic, dict(ends)

    def forget(self) -> None:
        """Nothing is known any more: partitions changed hands, or records are read again."""
        self._noted = None

    def reached(self, reads: Reads) -> bool:
        """Whether this worker has all partitions of what it reads, and nothing is left in them."""
        if self._noted is None or self._noted[0] != reads:
            return False
        _, topic, ends = self._noted
        try:
            newest = self._newest(topic)
        except KafkaUnusable as error:
            log.warning("whether %s is read to its end is not known: %s", topic, error)
            return False
        return bool(newest) and all(ends.get(partition, -1) >= end for partition, end in newest.items())
