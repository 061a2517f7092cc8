"""The one job that every variant does: JSON in, the sum of some numbers, JSON out."""

from __future__ import annotations

import json
from typing import Any

ARGUMENTS: dict[str, Any] = {"label": "benchmark", "numbers": list(range(100))}
EXPECTED: dict[str, Any] = {"label": "benchmark", "count": 100, "total": 4950}

FUNCTION = """def run(arguments):
    numbers = arguments["numbers"]
    return {"label": arguments["label"], "count": len(numbers), "total": sum(numbers)}
"""
"""The plugin's source; every other variant runs the same function."""

SCRIPT = f"{FUNCTION}\nimport json, sys\njson.dump(run(json.load(sys.stdin)), sys.stdout)\n"
"""The job as a program: arguments on stdin, the result on stdout."""

ARGUMENT_BYTES = json.dumps(ARGUMENTS).encode()

ARGUMENTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "maxLength": 100},
        "numbers": {"type": "array", "maxItems": 1000, "items": {"type": "integer"}},
    },
    "required": ["label", "numbers"],
    "additionalProperties": False,
}
RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "count": {"type": "integer", "minimum": 0},
        "total": {"type": "integer"},
    },
    "required": ["label", "count", "total"],
    "additionalProperties": False,
}


def embedded() -> str:
    """Return the job as a program that has its arguments in itself, for tools without stdin."""
    arguments = json.dumps(json.dumps(ARGUMENTS))
    return f"{FUNCTION}\nimport json\nprint(json.dumps(run(json.loads({arguments}))))\n"


def check(result: Any) -> None:
    """Raise AssertionError unless `result` (JSON text or a value) is the job's."""
    value = json.loads(result) if isinstance(result, bytes | str) else result
    if value != EXPECTED:
        raise AssertionError(f"the job's result is {value!r}")
