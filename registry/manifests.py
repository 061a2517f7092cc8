"""What a manifest declares, as JSON in a row and back as views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from registry.readmodel import LimitsView, MethodView
from trust.wheel import Manifest


def plain(value: Any) -> Any:
    """Return `value` with plain dicts and lists instead of read-only mappings and tuples."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def to_row(manifest: Manifest) -> dict[str, Any]:
    """Return methods, limits and permissions with every default filled in."""
    return {
        "methods": [
            {
                "name": method.name,
                "callable": f"{method.module}:{method.qualname}",
                "summary": method.summary,
                "arguments": plain(method.arguments),
                "result": plain(method.result),
            }
            for method in manifest.methods.values()
        ],
        "limits": asdict(manifest.limits),
        "permissions": list(manifest.permissions),
    }


def methods(row: Mapping[str, Any]) -> tuple[MethodView, ...]:
    """Return the methods of what `to_row` made."""
    return tuple(MethodView(**method) for method in row["methods"])


def limits(row: Mapping[str, Any]) -> LimitsView:
    """Return the limits of what `to_row` made."""
    return LimitsView(**row["limits"])


def permissions(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the permissions of what `to_row` made."""
    return tuple(row["permissions"])
