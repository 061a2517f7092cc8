"""What package indexes tell about a wheel without reading it (PEP 503, PEP 658)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; NULL in rows that were there before, whose wheels are read instead."""
    with op.batch_alter_table("versions") as batch:
        batch.add_column(sa.Column("metadata_sha256", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("requires_python", sa.Text(), nullable=True))
        batch.create_index("ix_versions_plugin_id_state", ["plugin_id", "state"])


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("versions") as batch:
        batch.drop_index("ix_versions_plugin_id_state")
        batch.drop_column("requires_python")
        batch.drop_column("metadata_sha256")
