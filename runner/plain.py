"""Values that are certainly valid: a quick look that spares most calls the validator.

Of a schema of plain keywords a function is made once that says, of a value, that it is certainly
valid. It never says that a value is not: whatever it does not know (another keyword, a value of
another Python type, an integer that is written 1.0) is left to the validator, which alone refuses.
Each rule says yes to fewer values than JSON Schema 2020-12 does, so that being wrong costs time,
and never a check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Certain: TypeAlias = Callable[[Any], bool]
"""Whether a value is certainly valid; its cost is linear in the value."""

_SAYS_NOTHING = frozenset(
    {"$comment", "title", "description", "default", "examples", "deprecated", "readOnly",
     "writeOnly"}
)  # fmt: skip
"""Keywords that no value can break."""
TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,), "boolean": (bool,), "integer": (int,), "null": (type(None),),
    "number": (int, float), "object": (dict,), "string": (str,),
}  # fmt: skip
"""The Python types that most values of each JSON type have; no value of another JSON type does."""
_OF: Mapping[str, frozenset[str]] = {
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
}


def certain(schema: Any) -> Certain | None:
    """Return the quick look for a schema that is valid itself, or None where there is none.

    Args:
        schema: JSON Schema 2020-12, as `runner.schemas` accepts it.
    """
    try:
        return _certain(schema)
    except RecursionError:
        return None


def _certain(schema: Any) -> Certain | None:
    if schema is True:
        return lambda _: True
    if not isinstance(schema, dict):
        return None
    kind = schema.get("type")
    if not isinstance(kind, str):
        return None
    said = schema.keys() - _SAYS_NOTHING - {"type"}
    if not said <= _OF.get(kind, frozenset()):
        return None
    if kind == "array":
        return _array(schema)
    if kind == "object":
        return _object(schema)
    types = TYPES[kind]
    if not said:
        return lambda value: type(value) in types
    if kind == "string":
        return _between(types, len, schema, "minLength", "maxLength")
    return _between(types, lambda number: number, schema, "minimum", "maximum")


def _between(
    types: tuple[type, ...],
    measure: Callable[[Any], float],
    schema: Mapping[str, Any],
    low: str,
    high: str,
) -> Certain:
    least, most = schema.get(low), schema.get(high)

    def look(value: Any) -> bool:
        if type(value) not in types:
            return False
        size = measure(value)
        return (least is None or size >= least) and (most is None or size <= most)

    return look


def _array(schema: Mapping[str, Any]) -> Certain | None:
    fits = _between((list,), len, schema, "minItems", "maxItems")
    items = schema.get("items", True)
    if isinstance(items, dict) and items.keys() == {"type"} and isinstance(items["type"], str):
        types = frozenset(TYPES[items["type"]])
        return lambda value: fits(value) and types.issuperset(map(type, value))
    of_item = _certain(items)
    if of_item is None:
        return None
    return lambda value: fits(value) and all(map(of_item, value))


def _object(schema: Mapping[str, Any]) -> Certain | None:
    required = frozenset(schema.get("required", ()))
    others = _certain(schema.get("additionalProperties", True))
    looks: dict[str, Certain] = {}
    for name, each in schema.get("properties", {}).items():
        look = _certain(each)
        if look is None:
            return None
        looks[name] = look

    def object_(value: Any) -> bool:
        if type(value) is not dict or not required <= value.keys():
            return False
        for name, member in value.items():
            look = looks.get(name, others)
            if look is None or not look(member):
                return False
        return True

    return object_
