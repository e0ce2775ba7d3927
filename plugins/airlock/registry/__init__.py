"""The memory: everything Airlock knows and did, in one database."""

from airlock.registry.records import LedgerHead
from airlock.registry.registry import Registry

__all__ = ["LedgerHead", "Registry"]
