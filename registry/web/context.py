"""What every template may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from registry.signin import sessions
from registry.web import commands, desk, operating, schema
from registry.web.assets import asset_url
from registry.web.sheets import STATUS_WORDS

GLOBALS: Mapping[str, Callable[..., Any] | object] = MappingProxyType(
    {
        "asset_url": asset_url,
        "commands": commands,
        "desk_notes": desk.notes_on,
        "sign_in_state": sessions.state,
        "stops_on": operating.stops_on,
        "i_administer": desk.i_administer,
        "schema_table": schema.table,
        "status_words": STATUS_WORDS,
    }
)
