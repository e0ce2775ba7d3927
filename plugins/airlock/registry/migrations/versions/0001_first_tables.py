"""The tables of the first version, and the triggers that keep history from being rewritten."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GENESIS = "0" * 64
APPEND_ONLY = ("ledger", "decisions", "deployment_states", "check_results")


def upgrade() -> None:
    """Create everything."""
    _create_tables()
    op.execute(f"INSERT INTO ledger_head (id, row_count, hash) VALUES (1, 0, '{GENESIS}')")  # noqa: S608
    if op.get_bind().dialect.name == "sqlite":
        _protect_on_sqlite()
    else:
        _protect_on_postgresql()


def _protect_on_sqlite() -> None:
    for table in APPEND_ONLY:
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {act} is refused'); END"
            )
        key = "number" if table == "ledger" else "id"
        # INSERT OR REPLACE would take a row away without the DELETE trigger being asked.
        op.execute(
            f"CREATE TRIGGER {table}_refuse_replace BEFORE INSERT ON {table} "  # noqa: S608
            f"WHEN NEW.{key} IN (SELECT {key} FROM {table}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: REPLACE is refused'); END"
        )
    op.execute(
        "CREATE TRIGGER ledger_head_refuse_delete BEFORE DELETE ON ledger_head "
        "BEGIN SELECT RAISE(ABORT, 'the head of the ledger stays: DELETE is refused'); END"
    )
    op.execute(
        "CREATE TRIGGER ledger_head_only_forward BEFORE UPDATE ON ledger_head "
        "WHEN NEW.row_count <= OLD.row_count "
        "BEGIN SELECT RAISE(ABORT, 'the head of the ledger only moves forward'); END"
    )
    op.execute(
        "CREATE TRIGGER ledger_head_refuse_replace BEFORE INSERT ON ledger_head "
        "BEGIN SELECT RAISE(ABORT, 'the ledger has one head'); END"
    )


def _protect_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION airlock_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP; END $$"
    )
    op.execute(
        "CREATE FUNCTION airlock_head_only_forward() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.row_count <= OLD.row_count THEN "
        "RAISE EXCEPTION 'the head of the ledger only moves forward'; END IF; RETURN NEW; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION airlock_refuse()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION airlock_refuse()"
        )
    op.execute(
        "CREATE TRIGGER ledger_head_refuse_delete BEFORE DELETE OR TRUNCATE ON ledger_head "
        "FOR EACH STATEMENT EXECUTE FUNCTION airlock_refuse()"
    )
    op.execute(
        "CREATE TRIGGER ledger_head_only_forward BEFORE UPDATE ON ledger_head "
        "FOR EACH ROW EXECUTE FUNCTION airlock_head_only_forward()"
    )


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _create_tables() -> None:
    op.create_table(
        "leases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_leases"),
    )
    op.create_index("ix_leases_runtime", "leases", ["runtime"])
    op.create_index(
        "uq_leases_held", "leases", ["deployment_id"], unique=True, **_where("released_at IS NULL")
    )
    op.create_table(
        "ledger",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_ledger"),
    )
    op.create_index("ix_ledger_subject", "ledger", ["subject"])
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_ledger_head_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_head"),
    )
    op.create_table(
        "runtimes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("in_use", sa.Integer(), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=False),
        sa.Column("health_message", sa.Text(), nullable=False),
        sa.Column("health_at", sa.DateTime(timezone=True)),
        sa.Column("cordoned", sa.Boolean(), nullable=False),
        sa.Column("cordon_reason", sa.Text(), nullable=False),
        sa.Column("cordoned_by", sa.Text(), nullable=False),
        sa.CheckConstraint("in_use >= 0", name="ck_runtimes_in_use_not_negative"),
        sa.PrimaryKeyConstraint("name", name="pk_runtimes"),
    )
    op.create_table(
        "snapshots",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_snapshots"),
        sa.UniqueConstraint("model", "version", name="uq_snapshots_model_version"),
    )
    op.create_table(
        "specifications",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("applied_by", sa.Text(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_specifications"),
    )
    op.create_table(
        "passages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("snapshot_digest", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("lifecycle_digest", sa.Text(), nullable=False),
        sa.Column("lifecycle", sa.JSON(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("superseded_by", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "(state = 'finished') = (outcome IS NOT NULL)", name="ck_passages_outcome_when_finished"
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_digest"], ["snapshots.digest"], name="fk_passages_snapshot_digest"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_passages"),
        sa.UniqueConstraint("number", name="uq_passages_number"),
        sa.UniqueConstraint("service", "run_id", name="uq_passages_service_run_id"),
    )
    op.create_index("uq_passages_active", "passages", ["service"], unique=True, **_where("state = 'active'"))
    op.create_index(
        "uq_passages_snapshot_under_way",
        "passages",
        ["service", "snapshot_digest"],
        unique=True,
        **_where("state <> 'finished'"),
    )
    op.create_table(
        "runtime_offers",
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("free", sa.Boolean(), nullable=False),
        sa.Column("load", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["runtime"], ["runtimes.name"], name="fk_runtime_offers_runtime"),
        sa.PrimaryKeyConstraint("runtime", "stage", "service", "mode", name="pk_runtime_offers"),
    )
    op.create_index(
        "ix_runtime_offers_pick",
        "runtime_offers",
        ["stage", "mode", "service", "free", "load", "runtime", "kind"],
    )
    op.create_table(
        "scoring_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("interval_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("interval_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("snapshot_digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["snapshot_digest"], ["snapshots.digest"], name="fk_scoring_runs_snapshot_digest"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_scoring_runs"),
        sa.UniqueConstraint("service", "run_id", "attempt", name="uq_scoring_runs_service_run_id_attempt"),
    )
    op.create_table(
        "snapshot_services",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["snapshots.digest"], name="fk_snapshot_services_digest"),
        sa.PrimaryKeyConstraint("digest", "service", name="pk_snapshot_services"),
    )
    op.create_index("ix_snapshot_services_service", "snapshot_services", ["service"])
    op.create_table(
        "check_results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("passage_id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name="fk_check_results_passage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_check_results"),
    )
    op.create_index(
        "ix_check_results_passage_id_stage_check_name", "check_results", ["passage_id", "stage", "check_name"]
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("passage_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("snapshot_digest", sa.Text(), nullable=False),
        sa.Column("evidence_digest", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ledger_number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name="fk_decisions_passage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_passage_id_stage", "decisions", ["passage_id", "stage"])
    op.create_index(
        "uq_decisions_accepted",
        "decisions",
        ["passage_id", "stage", "evidence_digest", "policy_digest", "user", "verdict"],
        unique=True,
        **_where("state = 'accepted'"),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("passage_id", sa.Text()),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("snapshot_digest", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("handle", sa.JSON()),
        sa.Column("endpoints", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name="fk_deployments_passage_id"),
        sa.ForeignKeyConstraint(
            ["snapshot_digest"], ["snapshots.digest"], name="fk_deployments_snapshot_digest"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
        sa.UniqueConstraint("key", "stage", "mode", "attempt", name="uq_deployments_key_stage_mode_attempt"),
    )
    op.create_index("ix_deployments_passage_id", "deployments", ["passage_id"])
    op.create_index("ix_deployments_runtime", "deployments", ["runtime"])
    op.create_index("ix_deployments_service_stage_mode", "deployments", ["service", "stage", "mode"])
    op.create_table(
        "gates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("passage_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("dag_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("evidence_digest", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text()),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name="fk_gates_passage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_gates"),
    )
    op.create_index("ix_gates_passage_id", "gates", ["passage_id"])
    op.create_index(
        "uq_gates_open", "gates", ["dag_id", "run_id", "task_id"], unique=True, **_where("closed_at IS NULL")
    )
    op.create_table(
        "reports",
        sa.Column("passage_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name="fk_reports_passage_id"),
        sa.PrimaryKeyConstraint("passage_id", "stage", "check_name", "format", name="pk_reports"),
    )
    op.create_table(
        "scoring_partitions",
        sa.Column("scoring_id", sa.Integer(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("rows_in", sa.BigInteger(), nullable=False),
        sa.Column("rows_out", sa.BigInteger(), nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["scoring_id"], ["scoring_runs.id"], name="fk_scoring_partitions_scoring_id"),
        sa.PrimaryKeyConstraint("scoring_id", "partition", name="pk_scoring_partitions"),
    )
    op.create_table(
        "deployment_states",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.Column("endpoints", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name="fk_deployment_states_deployment_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deployment_states"),
    )
    op.create_index("ix_deployment_states_deployment_id", "deployment_states", ["deployment_id"])
    op.create_table(
        "stage_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("snapshot_digest", sa.Text(), nullable=False),
        sa.Column("passage_id", sa.Text()),
        sa.Column("deployment_id", sa.Text()),
        sa.Column("previous_digest", sa.Text()),
        sa.Column("from_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_time", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name="fk_stage_versions_deployment_id"
        ),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name="fk_stage_versions_passage_id"),
        sa.ForeignKeyConstraint(
            ["snapshot_digest"], ["snapshots.digest"], name="fk_stage_versions_snapshot_digest"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stage_versions"),
    )
    op.create_index("ix_stage_versions_service_from_time", "stage_versions", ["service", "from_time"])
    op.create_index(
        "uq_stage_versions_current",
        "stage_versions",
        ["service", "stage", "mode"],
        unique=True,
        **_where("to_time IS NULL"),
    )
