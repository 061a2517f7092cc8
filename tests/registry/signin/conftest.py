"""What the tests of signing in pages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a browser that knows nobody yet."""
    with chromium.new_context() as context:
        made = context.new_page()
        made.set_default_timeout(10_000)
        yield made
