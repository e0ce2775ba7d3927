"""How Alembic runs here: on the connection, and in the transaction, that it is given."""

from __future__ import annotations

from alembic import context

from airlock.registry import partial_indexes
from airlock.registry.migration import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=partial_indexes.metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
