"""Alembic's environment: migrations run on the connection that `Database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from registry.accounts import models as _accounts  # noqa: F401 - adds its tables
from registry.author_desk import models as _author_desk  # noqa: F401 - adds its tables
from registry.dependencies import models as _dependencies  # noqa: F401 - adds its tables
from registry.models import Base
from registry.review_tools import models as _review_tools  # noqa: F401 - adds its tables
from registry.revocations import models as _revocations  # noqa: F401 - adds its tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
