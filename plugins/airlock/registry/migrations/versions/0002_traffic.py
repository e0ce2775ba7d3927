"""Where the requests for a service go, and the gateways that send them there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "traffic",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("shares", sa.JSON(), nullable=False),
        sa.Column("mirror", sa.JSON()),
        sa.Column("sticky", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("from_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_time", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_traffic"),
    )
    op.create_index("ix_traffic_service_stage", "traffic", ["service", "stage"])
    is_current = sa.text("to_time IS NULL")
    op.create_index(
        "uq_traffic_current",
        "traffic",
        ["service", "stage"],
        unique=True,
        sqlite_where=is_current,
        postgresql_where=is_current,
    )
    op.create_table(
        "gateways",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("traffic_id", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gateways"),
    )
