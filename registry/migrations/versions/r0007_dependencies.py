"""The wheels that a version's lock file names (PEP 751)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; versions from before have no dependencies."""
    op.create_table(
        "locked_wheels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("number", sa.String(length=200), nullable=False),
        sa.Column("filename", sa.String(length=500), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name="fk_locked_wheels_version_id_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_locked_wheels"),
        sa.UniqueConstraint("version_id", "sha256", name="uq_locked_wheels_version_id_sha256"),
    )
    op.create_index("ix_locked_wheels_sha256", "locked_wheels", ["sha256"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_locked_wheels_sha256", "locked_wheels")
    op.drop_table("locked_wheels")
