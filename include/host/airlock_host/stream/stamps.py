"""The header in which an answer says who answered, and what.

It is one, since each is paid for with every record, and it has five words: the snapshot's version, its
digest, the deployment, the transaction (``worker/number``), and the record that is answered
(``topic/partition/offset``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from airlock_host.snapshot import Deployment

STAMP = "airlock-stamp"


class Origin(NamedTuple):
    """The record that is answered."""

    topic: str
    partition: int
    offset: int


def all_but_the_offset(deployment: Deployment, transaction: str, topic: str, partition: int) -> str:
    """What the answers of a transaction to the records of a partition have in common."""
    version = f"{deployment.snapshot} {deployment.digest} {deployment.deployment}"
    return f"{version} {transaction} {topic}/{partition}/"


def origin(headers: Mapping[str, bytes]) -> Origin | None:
    """What is answered by a record with these headers; ``None`` where it is no answer of a worker."""
    stamp = headers.get(STAMP)
    if stamp is None:
        return None
    topic, partition, offset = stamp.decode().rpartition(" ")[2].split("/")
    return Origin(topic, int(partition), int(offset))
