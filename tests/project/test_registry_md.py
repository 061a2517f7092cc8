"""docs/registry.md lists the states and the settings that the code has, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import registry.settings
import registry.worker_settings
from registry.states import TRANSITIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "registry.md").read_text(encoding="utf-8")


def test_the_transitions_are_the_tables() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| `(\w+)` \|$", PAGE, re.MULTILINE)
    told = {
        (before, event, after)
        for before, events, after in rows
        for event in re.findall(r"`([\w-]+)`", events)
    }
    real = {(before, event, after) for (before, event), after in TRANSITIONS.items()}
    assert told == {(str(b), str(e), str(a)) for b, e, a in real}


def test_the_settings_are_those_that_are_read() -> None:
    files = (registry.settings.__file__, registry.worker_settings.__file__)
    source = "".join(Path(name).read_text(encoding="utf-8") for name in files)
    read = set(re.findall(r'reader\.(?:text|path|number|has)\("([A-Z_]+)"', source))
    read |= {
        f"{role}_{part}"
        for role in re.findall(r'_account\(reader, "([A-Z]+)"\)', source)
        for part in ("ACCOUNT", "SECRET_FILE")
    }
    read |= set(re.findall(r'"([A-Z_]+_SECONDS)"', source))
    table = PAGE.partition("## Settings")[2].partition("## Running it")[0]
    told = {
        name
        for row in re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }
    assert told == read
