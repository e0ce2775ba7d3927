"""How traffic moved to new versions, and what was found at each step."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables; the steps are append-only."""
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("passage_id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("strategy", sa.JSON(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("current_deployment_id", sa.Text()),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("extended", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("readings", sa.JSON()),
        sa.Column("asked", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="ck_rollouts_ended_with_outcome"),
        sa.ForeignKeyConstraint(["passage_id"], ["passages.id"], name="fk_rollouts_passage_id"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_rollouts_deployment_id"),
        sa.ForeignKeyConstraint(
            ["current_deployment_id"], ["deployments.id"], name="fk_rollouts_current_deployment_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rollouts"),
    )
    op.create_index("ix_rollouts_passage_id", "rollouts", ["passage_id"])
    is_under_way = sa.text("outcome IS NULL")
    op.create_index(
        "uq_rollouts_under_way",
        "rollouts",
        ["service", "stage"],
        unique=True,
        sqlite_where=is_under_way,
        postgresql_where=is_under_way,
    )
    op.create_table(
        "rollout_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rollout_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("extended", sa.Integer(), nullable=False),
        sa.Column("move", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollouts.id"], name="fk_rollout_steps_rollout_id"),
        sa.PrimaryKeyConstraint("id", name="pk_rollout_steps"),
    )
    op.create_index("ix_rollout_steps_rollout_id", "rollout_steps", ["rollout_id"])
    if op.get_bind().dialect.name == "sqlite":
        _protect_on_sqlite("rollout_steps")
    else:
        _protect_on_postgresql("rollout_steps")


def _protect_on_sqlite(table: str) -> None:
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_{act.lower()} BEFORE {act} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {act} is refused'); END"
        )
    op.execute(
        f"CREATE TRIGGER {table}_refuse_replace BEFORE INSERT ON {table} "  # noqa: S608
        f"WHEN NEW.id IN (SELECT id FROM {table}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: REPLACE is refused'); END"
    )


def _protect_on_postgresql(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION airlock_refuse()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION airlock_refuse()"
    )
