"""What the scanner's tests share."""

from __future__ import annotations

import pytest

from scanner.bandit_run import Bandit
from scanner.policy import installed_bandit


@pytest.fixture(scope="session")
def bandit() -> Bandit:
    """Bandit's engine in this process, for tests of what single files bring."""
    return Bandit(installed_bandit())
