"""Alembic's scripts. They run from :mod:`airlock.registry.migration`."""
