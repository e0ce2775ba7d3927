"""How ways back ended: done, or not any more to be done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the outcome. What is open though another version has come into use since is overtaken."""
    op.add_column("rollbacks", sa.Column("outcome", sa.Text()))
    op.execute("UPDATE rollbacks SET outcome = 'done' WHERE ended_at IS NOT NULL")
    op.execute(
        """
        UPDATE rollbacks SET outcome = 'overtaken', ended_at = (
            SELECT min(versions.from_time) FROM stage_versions versions
            WHERE versions.service = rollbacks.service AND versions.stage = rollbacks.stage
            AND versions.mode = rollbacks.mode AND versions.from_time > rollbacks.began_at
            AND versions.snapshot_digest <> rollbacks.to_digest
        )
        WHERE ended_at IS NULL AND EXISTS (
            SELECT 1 FROM stage_versions versions
            WHERE versions.service = rollbacks.service AND versions.stage = rollbacks.stage
            AND versions.mode = rollbacks.mode AND versions.from_time > rollbacks.began_at
            AND versions.snapshot_digest <> rollbacks.to_digest
        )
        """
    )
