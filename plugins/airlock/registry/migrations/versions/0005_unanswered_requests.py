"""Requests that gateways got no answer to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "unanswered_requests",
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name="fk_unanswered_requests_deployment_id"
        ),
        sa.PrimaryKeyConstraint("gateway", "deployment_id", name="pk_unanswered_requests"),
    )
