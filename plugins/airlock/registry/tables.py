"""The registry's tables, whose unique indexes are in ``partial_indexes``.

A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """A moment, timezone-aware UTC on both databases (SQLite itself would drop the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: the registry takes aware times only")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


snapshots = Table(
    "snapshots",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("model", "version"),
)

snapshot_services = Table(
    "snapshot_services",
    metadata,
    Column("digest", Text, ForeignKey("snapshots.digest"), primary_key=True),
    Column("service", Text, primary_key=True),
    Index(None, "service"),
)

specifications = Table(
    "specifications",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("applied_at", UtcTime, nullable=False),
)
"""Life cycles, services, policies and roles as ``apply`` last read them (runtimes have state: see below)."""

runtimes = Table(
    "runtimes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("digest", Text, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("in_use", Integer, nullable=False, default=0),
    Column("healthy", Boolean, nullable=False, default=True),
    Column("health_message", Text, nullable=False, default=""),
    Column("health_at", UtcTime),
    Column("cordoned", Boolean, nullable=False, default=False),
    Column("cordon_reason", Text, nullable=False, default=""),
    Column("cordoned_by", Text, nullable=False, default=""),
    CheckConstraint("in_use >= 0", name="in_use_not_negative"),
)

runtime_offers = Table(
    "runtime_offers",
    metadata,
    Column("runtime", Text, ForeignKey("runtimes.name"), primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("mode", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("free", Boolean, nullable=False),
    Column("load", Float, nullable=False),
    # The order of its columns is the order of the question, so that picking reads one entry of the index.
    Index("ix_runtime_offers_pick", "stage", "mode", "service", "free", "load", "runtime", "kind"),
)
"""A runtime's tags multiplied out, with its load: what picking asks, answered from one index.

``free`` is true while the runtime is healthy, not cordoned and has a free slot.
"""

leases = Table(
    "leases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("deployment_id", Text, nullable=False),
    Column("runtime", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("acquired_at", UtcTime, nullable=False),
    Column("released_at", UtcTime),
    Index(None, "runtime"),
)

passages = Table(
    "passages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("service", Text, nullable=False),
    Column("snapshot_digest", Text, ForeignKey("snapshots.digest"), nullable=False),
    Column("run_id", Text, nullable=False),
    Column("lifecycle_digest", Text, nullable=False),
    Column("lifecycle", JSON, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text),
    Column("reason", Text),
    Column("superseded_by", Text),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    UniqueConstraint("service", "run_id"),
    CheckConstraint("(state = 'finished') = (outcome IS NOT NULL)", name="outcome_when_finished"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("passage_id", Text, ForeignKey("passages.id")),
    Column("service", Text, nullable=False),
    Column("snapshot_digest", Text, ForeignKey("snapshots.digest"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("runtime", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("handle", JSON(none_as_null=True)),
    Column("endpoints", JSON, nullable=False),
    Column("reason", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    UniqueConstraint("key", "stage", "mode", "attempt"),
    Index(None, "service", "stage", "mode"),
    Index(None, "passage_id"),
    Index(None, "runtime"),
)

deployment_states = Table(
    "deployment_states",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("deployment_id", Text, ForeignKey("deployments.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("runtime", Text, nullable=False),
    Column("endpoints", JSON, nullable=False),
    Column("reason", Text),
    Column("at", UtcTime, nullable=False),
    Index(None, "deployment_id"),
)
"""Every state a deployment was ever in: what ``where --at`` reads. Append-only."""

check_results = Table(
    "check_results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("passage_id", Text, ForeignKey("passages.id"), nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("result", JSON, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Index(None, "passage_id", "stage", "check_name"),
)
"""Every result of every check; the last of a check is its current one. Append-only."""

reports = Table(
    "reports",
    metadata,
    Column("passage_id", Text, ForeignKey("passages.id"), primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("check_name", Text, primary_key=True),
    Column("format", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
)
"""Readable reports; ``check_name`` is empty for the report of a whole stage."""

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("passage_id", Text, ForeignKey("passages.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("snapshot_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("given_at", UtcTime, nullable=False),
    Column("ledger_number", Integer, nullable=False),
    Index(None, "passage_id", "stage"),
)
"""Append-only; each row has its twin in the ledger, and ``verify`` compares them."""

gates = Table(
    "gates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("passage_id", Text, ForeignKey("passages.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("dag_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("closed_at", UtcTime),
    Column("outcome", Text),
    Index(None, "passage_id"),
)

stage_versions = Table(
    "stage_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("snapshot_digest", Text, ForeignKey("snapshots.digest"), nullable=False),
    Column("passage_id", Text, ForeignKey("passages.id")),
    Column("deployment_id", Text, ForeignKey("deployments.id")),
    Column("previous_digest", Text),
    Column("from_time", UtcTime, nullable=False),
    Column("to_time", UtcTime),
    Index(None, "service", "from_time"),
)

traffic = Table(
    "traffic",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("shares", JSON, nullable=False),
    Column("mirror", JSON(none_as_null=True)),
    Column("sticky", Text),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("from_time", UtcTime, nullable=False),
    Column("to_time", UtcTime),
    Index(None, "service", "stage"),
)
"""To which deployments the requests for a service at a stage went, from when to when."""

gateways = Table(
    "gateways",
    metadata,
    Column("name", Text, primary_key=True),
    Column("traffic_id", Integer, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)
"""Gateways that run, each with the newest row of ``traffic`` that it follows."""

unanswered_requests = Table(
    "unanswered_requests",
    metadata,
    Column("gateway", Text, primary_key=True),
    Column("deployment_id", Text, ForeignKey("deployments.id"), primary_key=True),
    Column("count", Integer, nullable=False),
)
"""How many requests each gateway has seen a deployment leave without an answer."""

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("passage_id", Text, ForeignKey("passages.id"), nullable=False),
    Column("service", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("strategy", JSON, nullable=False),
    Column("deployment_id", Text, ForeignKey("deployments.id"), nullable=False),
    Column("current_deployment_id", Text, ForeignKey("deployments.id")),
    Column("step", Integer, nullable=False),
    Column("extended", Integer, nullable=False),
    Column("since", UtcTime),
    Column("readings", JSON(none_as_null=True)),
    Column("asked", Text),
    Column("outcome", Text),
    Column("reason", Text),
    Column("began_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="ended_with_outcome"),
    Index(None, "passage_id"),
)
"""How traffic moves, or moved, to a new deployment: the step under way, and what it is measured from."""

rollout_steps = Table(
    "rollout_steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rollout_id", Text, ForeignKey("rollouts.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("extended", Integer, nullable=False),
    Column("move", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Index(None, "rollout_id"),
)
"""Every move of a rollout, with what the guards had found. Append-only."""

rollbacks = Table(
    "rollbacks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("from_digest", Text, ForeignKey("snapshots.digest"), nullable=False),
    Column("from_deployment_id", Text, ForeignKey("deployments.id")),
    Column("to_digest", Text, ForeignKey("snapshots.digest"), nullable=False),
    Column("to_passage_id", Text, ForeignKey("passages.id")),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
    Index(None, "service", "stage", "mode"),
)
"""Ways back to an earlier version; what was left is marked bad from then on."""

scoring_runs = Table(
    "scoring_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("interval_start", UtcTime, nullable=False),
    Column("interval_end", UtcTime, nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("snapshot_digest", Text, ForeignKey("snapshots.digest"), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("begun_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    UniqueConstraint("service", "run_id", "attempt"),
)

scoring_partitions = Table(
    "scoring_partitions",
    metadata,
    Column("scoring_id", Integer, ForeignKey("scoring_runs.id"), primary_key=True),
    Column("partition", Text, primary_key=True),
    Column("rows_in", BigInteger, nullable=False),
    Column("rows_out", BigInteger, nullable=False),
    Column("rows_rejected", BigInteger, nullable=False),
    Column("files", JSON, nullable=False),
    Column("done_at", UtcTime, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    # Canonical JSON as text: the hash is over these very bytes.
    Column("details", Text, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "subject"),
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("row_count", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

APPEND_ONLY = ("ledger", "decisions", "deployment_states", "check_results", "rollout_steps")
"""Tables whose rows triggers protect from UPDATE, DELETE and TRUNCATE."""
