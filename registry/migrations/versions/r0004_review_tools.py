"""What reviewers keep beside a version: acknowledgements, comments, and what the queue shows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _long(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _of_version(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["version_id"], ["versions.id"], name=f"fk_{table}_version_id_versions"
    )


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "acknowledgements",
        _number("id"),
        _number("version_id"),
        _text("evidence_sha256", 64),
        _text("fingerprint", 64),
        _text("rule", 64),
        _long("path"),
        _long("reason"),
        _text("issuer", 500),
        _text("subject", 500),
        _text("at", 27),
        _of_version("acknowledgements"),
        sa.PrimaryKeyConstraint("id", name="pk_acknowledgements"),
        sa.UniqueConstraint(
            "version_id",
            "evidence_sha256",
            "fingerprint",
            name="uq_acknowledgements_version_id_evidence_sha256_fingerprint",
        ),
    )
    op.create_index("ix_acknowledgements_fingerprint", "acknowledgements", ["fingerprint"])
    op.create_table(
        "line_comments",
        _number("id"),
        _number("version_id"),
        _text("wheel_sha256", 64),
        _long("path"),
        _number("line"),
        _text("line_sha256", 64),
        _text("issuer", 500),
        _text("subject", 500),
        _long("text"),
        _text("at", 27),
        _of_version("line_comments"),
        sa.PrimaryKeyConstraint("id", name="pk_line_comments"),
    )
    op.create_index("ix_line_comments_version_id", "line_comments", ["version_id"])
    op.create_table(
        "review_facts",
        _number("version_id"),
        _number("risk"),
        _text("flags", 500),
        sa.Column("facts", sa.JSON(), nullable=False),
        _of_version("review_facts"),
        sa.PrimaryKeyConstraint("version_id", name="pk_review_facts"),
    )
    op.create_index("ix_review_facts_risk", "review_facts", ["risk"])
    op.create_table(
        "review_outlines",
        _number("version_id"),
        _long("document"),
        _of_version("review_outlines"),
        sa.PrimaryKeyConstraint("version_id", name="pk_review_outlines"),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("review_outlines", "review_facts", "line_comments", "acknowledgements"):
        op.drop_table(table)
