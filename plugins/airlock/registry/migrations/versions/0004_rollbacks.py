"""Ways back to an earlier version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "rollbacks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("from_digest", sa.Text(), nullable=False),
        sa.Column("from_deployment_id", sa.Text()),
        sa.Column("to_digest", sa.Text(), nullable=False),
        sa.Column("to_passage_id", sa.Text()),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["from_digest"], ["snapshots.digest"], name="fk_rollbacks_from_digest"),
        sa.ForeignKeyConstraint(
            ["from_deployment_id"], ["deployments.id"], name="fk_rollbacks_from_deployment_id"
        ),
        sa.ForeignKeyConstraint(["to_digest"], ["snapshots.digest"], name="fk_rollbacks_to_digest"),
        sa.ForeignKeyConstraint(["to_passage_id"], ["passages.id"], name="fk_rollbacks_to_passage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_rollbacks"),
    )
    op.create_index("ix_rollbacks_service_stage_mode", "rollbacks", ["service", "stage", "mode"])
    is_under_way = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_rollbacks_under_way",
        "rollbacks",
        ["service", "stage", "mode"],
        unique=True,
        sqlite_where=is_under_way,
        postgresql_where=is_under_way,
    )
