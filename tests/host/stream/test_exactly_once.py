"""Every record has exactly one committed answer, whoever dies, comes or goes in the middle."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from confluent_kafka import Message

from host.serving.live import wait_for
from host.stream.kafka import REAL, StartWorker, Stream, headers
from host.stream.mock_cluster import ADD_OFFSETS, COMMIT_OFFSETS, END_TRANSACTION

# Codes of Kafka's protocol.
NOT_COORDINATOR, CONCURRENT_TRANSACTIONS, ILLEGAL_GENERATION = 16, 51, 22

Transaction = tuple[str, int]
"""The name of the process and the number of its transaction."""


def number_of(transaction: Transaction) -> int:
    return transaction[1]


def committed(messages: Iterable[Message], standing: dict[int, int]) -> list[Message]:
    """The records of committed transactions, told by the offsets that each covers.

    A process begins where its group stands. So, of each partition of the input, a transaction is committed
    exactly if the next one begins where it ended, and aborted if the next one begins where it began. Anything
    else is a gap or an overlap, and fails. The last one is judged by where the group stands in the end.
    """
    covered: dict[int, dict[Transaction, list[int]]] = defaultdict(lambda: defaultdict(list))
    found: dict[tuple[int, Transaction], list[Message]] = defaultdict(list)
    for message in messages:
        stamps = headers(message)
        name, _, number = stamps["airlock-transaction"].rpartition("/")
        partition = int(stamps["airlock-partition"])
        covered[partition][name, int(number)].append(int(stamps["airlock-offset"]))
        found[partition, (name, int(number))].append(message)
    kept: list[Message] = []
    for partition, transactions in covered.items():
        # Ranges in the order of their beginnings; of equal beginnings all but one must be aborted.
        at = 0
        by_begin: dict[int, list[Transaction]] = defaultdict(list)
        for transaction, offsets in transactions.items():
            by_begin[min(offsets)].append(transaction)
        while at < standing[partition]:
            here = by_begin.pop(at, [])
            assert here, f"partition {partition} has no answer at {at}"
            # An aborted transaction may have been cut anywhere; the one that counts was the last to begin here.
            last = max(here, key=lambda one: min(message.timestamp()[1] for message in found[partition, one]))
            offsets = sorted(transactions[last])
            assert offsets == list(range(at, offsets[-1] + 1)), "a committed transaction is not whole"
            kept += found[partition, last]
            at = offsets[-1] + 1
        assert at == standing[partition]
        # What began elsewhere than a committed one ended cannot have been committed.
    return kept
