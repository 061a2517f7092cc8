"""Alembic migrations of the registry's tables, run by `Database.migrate`."""
