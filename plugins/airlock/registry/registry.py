"""The registry: one database, seen through one small class for each kind of thing it remembers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from airlock.registry.catalog import Catalog
from airlock.registry.database import Database
from airlock.registry.decisions import Decisions
from airlock.registry.deployments import Deployments
from airlock.registry.evidence import Evidence
from airlock.registry.gates_open import GatesOpen
from airlock.registry.history import History
from airlock.registry.leases import Leases
from airlock.registry.ledger import Ledger
from airlock.registry.migration import migrate
from airlock.registry.passages import Passages
from airlock.registry.rollbacks import Rollbacks
from airlock.registry.rollouts import Rollouts
from airlock.registry.scoring import Scoring
from airlock.registry.snapshots import Snapshots
from airlock.registry.traffic import TrafficRecords


class Registry:
    """Airlock's memory.

    Every method is one transaction. What changes a state appends to the ledger in the same transaction, and
    can be repeated: what is so already is returned as it is.

    :param url: ``sqlite:////path/registry.db`` or ``postgresql://user@host/database``.
    :param clock: gives the time of a write, timezone-aware; tests set it.
    :raises RegistryError: the URL is no address of one of these databases; by every method, when the
        database does not answer.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None) -> None:
        self.database = Database(url, clock=clock)
        self.snapshots = Snapshots(self.database)
        self.catalog = Catalog(self.database)
        self.leases = Leases(self.database)
        self.passages = Passages(self.database)
        self.deployments = Deployments(self.database)
        self.evidence = Evidence(self.database)
        self.decisions = Decisions(self.database)
        self.gates_open = GatesOpen(self.database)
        self.history = History(self.database)
        self.traffic = TrafficRecords(self.database)
        self.rollouts = Rollouts(self.database)
        self.rollbacks = Rollbacks(self.database)
        self.scoring = Scoring(self.database)
        self.ledger = Ledger(self.database)

    def migrate(self) -> None:
        """Bring the tables to what this version of Airlock needs; several processes may do so at once."""
        migrate(self.database)

    def close(self) -> None:
        """Give the database connections back."""
        self.database.close()
