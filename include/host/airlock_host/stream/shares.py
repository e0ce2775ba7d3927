"""Which records belong to a share of the keys."""

from __future__ import annotations

from hashlib import blake2b


def place(key: bytes) -> float:
    """Where a key stands, from 0 to 100: a share of P percent holds the keys below P.

    So a share that grows keeps the keys it has. The place is the first 8 bytes of the key's BLAKE2b digest
    (``digest_size=8``, ``person=b"airlock-share"``), as a big-endian number, in hundredths of 2**64: it has
    nothing to do with the partition, which producers choose by other hashes of the key.
    """
    digest = blake2b(key, digest_size=8, person=b"airlock-share").digest()
    return int.from_bytes(digest, "big") * 100 / 2**64


def holds(percent: float, key: bytes | None, topic: str, partition: int, offset: int) -> bool:
    """Whether a share of the keys holds a record.

    One without a key stands where topic, partition and offset say.
    """
    if percent <= 0:
        return False
    if key is None:
        key = f"{topic}/{partition}/{offset}".encode()
    return percent >= 100 or place(key) < percent
