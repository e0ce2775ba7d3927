"""Rules that the database itself holds, by unique indexes over some rows of a table.

They are apart from the tables because naming PostgreSQL's options loads its dialect: 30 ms of each short task
that works on SQLite. Who makes or compares tables imports this; who uses them need not.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, text

from airlock.registry import tables

metadata = tables.metadata
"""The tables with all their indexes."""


def _one(name: str, condition: str, *columns: Column[str]) -> Index:
    """At most one row of these columns' values may meet the condition."""
    where = text(condition)
    return Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


leases_held = _one("uq_leases_held", "released_at IS NULL", tables.leases.c.deployment_id)
"""A deployment holds one slot."""

passages_active = _one("uq_passages_active", "state = 'active'", tables.passages.c.service)
"""A service has one passage under way."""

passages_snapshot_under_way = _one(
    "uq_passages_snapshot_under_way",
    "state <> 'finished'",
    tables.passages.c.service,
    tables.passages.c.snapshot_digest,
)
"""A snapshot is under way, or waits in line, once for each service."""

decisions_accepted = _one(
    "uq_decisions_accepted",
    "state = 'accepted'",
    tables.decisions.c.passage_id,
    tables.decisions.c.stage,
    tables.decisions.c.evidence_digest,
    tables.decisions.c.policy_digest,
    tables.decisions.c.user,
    tables.decisions.c.verdict,
)
"""A person's decision counts once."""

gates_open = _one(
    "uq_gates_open", "closed_at IS NULL", tables.gates.c.dag_id, tables.gates.c.run_id, tables.gates.c.task_id
)
"""A task asks one question."""

stage_versions_current = _one(
    "uq_stage_versions_current",
    "to_time IS NULL",
    tables.stage_versions.c.service,
    tables.stage_versions.c.stage,
    tables.stage_versions.c.mode,
)
"""A stage has one version for each service and mode."""

rollouts_under_way = _one(
    "uq_rollouts_under_way", "outcome IS NULL", tables.rollouts.c.service, tables.rollouts.c.stage
)
"""A service's traffic at a stage moves to one new version at a time."""

traffic_current = _one(
    "uq_traffic_current", "to_time IS NULL", tables.traffic.c.service, tables.traffic.c.stage
)
"""Requests for a service at a stage go one way at a time."""

rollbacks_under_way = _one(
    "uq_rollbacks_under_way",
    "ended_at IS NULL",
    tables.rollbacks.c.service,
    tables.rollbacks.c.stage,
    tables.rollbacks.c.mode,
)
"""A service goes back one way at a time."""
