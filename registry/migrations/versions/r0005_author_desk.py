"""What authors and operators keep: answers, transfers, journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_timeline_at", "timeline", ["at"]),
    ("ix_versions_state_published_at", "versions", ["state", "published_at"]),
    ("ix_versions_author_issuer", "versions", ["author_issuer", "author_subject"]),
    ("ix_plugins_owner_issuer", "plugins", ["owner_issuer", "owner_subject"]),
)


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False)


def upgrade() -> None:
    """Make the tables, and the indexes that the lists and the journal read by."""
    op.create_table(
        "answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        _text("at", 27),
        _text("issuer", 500),
        _text("subject", 500),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name="fk_answers_version_id_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_answers"),
    )
    op.create_index("ix_answers_version_id", "answers", ["version_id"])
    op.create_table(
        "transfers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plugin_id", sa.Integer(), nullable=False),
        _text("from_issuer", 500),
        _text("from_subject", 500),
        _text("to_issuer", 500),
        _text("to_subject", 500),
        _text("state", 20),
        _text("offered_at", 27),
        sa.Column("decided_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(
            ["plugin_id"], ["plugins.id"], name="fk_transfers_plugin_id_plugins"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
    )
    op.create_index("ix_transfers_plugin_id", "transfers", ["plugin_id"])
    op.create_index("ix_transfers_to", "transfers", ["to_issuer", "to_subject"])
    still = sa.text("state = 'offered'")
    op.create_index(
        "ix_transfers_open",
        "transfers",
        ["plugin_id"],
        unique=True,
        sqlite_where=still,
        postgresql_where=still,
    )
    op.create_table(
        "desk_events",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("at", 27),
        _text("event", 30),
        sa.Column("plugin_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        _text("actor_issuer", 500),
        _text("actor_subject", 500),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plugin_id"], ["plugins.id"], name="fk_desk_events_plugin_id_plugins"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name="fk_desk_events_version_id_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_desk_events"),
    )
    op.create_index("ix_desk_events_at", "desk_events", ["at"])
    op.create_index("ix_desk_events_plugin_id", "desk_events", ["plugin_id"])
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Drop them."""
    for name, table, _columns in INDEXES:
        op.drop_index(name, table)
    op.drop_table("desk_events")
    op.drop_table("transfers")
    op.drop_table("answers")
