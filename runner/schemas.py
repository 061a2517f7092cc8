"""JSON Schema 2020-12 over hostile schemas and hostile values, in bounded time.

A plugin brings the schemas of its arguments and results, a caller brings the arguments, and the
plugin's code brings the result: each may be made to keep a validator busy for ever. So a
validator here

- never fetches a `$ref` (only what the schema itself holds, and the metaschemas),
- evaluates `pattern` and `patternProperties` with RE2, in time linear in the value (patterns that
  need backtracking are refused when the schema is compiled),
- checks `uniqueItems` by canonical form, in linear time,
- counts its steps and gives up after `MAX_STEPS` or `MAX_SECONDS`: not validated is not valid.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema
import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # has no stubs
from referencing.exceptions import Unresolvable

from runner.plain import TYPES, certain
from trust import strictjson
from trust.errors import Problem, SealgateError, problem

MAX_STEPS = 500_000
"""Keyword evaluations of one validation."""
MAX_SECONDS = 5.0
"""Elapsed time of one validation, looked at between keywords."""
MAX_ERRORS = 20
"""Violations that are reported; the rest is only counted as more."""

_PATTERN_MEMORY = 1 << 20
_budget = threading.local()


class SchemaUnusable(SealgateError):
    """The schema cannot be used: not valid, refers elsewhere, or has a pattern RE2 cannot run."""


class _Exhausted(Exception):
    """The validation took more than it may."""


def _spend(steps: int = 1) -> None:
    _budget.steps -= max(steps, 1)
    if _budget.steps < 0 or time.monotonic() > _budget.deadline:
        raise _Exhausted


def _bounded(check: Callable[..., Any]) -> Callable[..., Iterator[ValidationError]]:
    def bounded(
        validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        _spend()
        yield from check(validator, value, instance, schema) or ()

    return bounded


def _compile_pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    return re2.compile(pattern, options)


def _pattern(
    _validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _compile_pattern(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        compiled = _compile_pattern(pattern)
        for name, value in instance.items():
            _spend()
            if compiled.search(name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, additional: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known = schema.get("properties", {})
    patterns = [_compile_pattern(each) for each in schema.get("patternProperties", {})]
    for name, value in instance.items():
        _spend()
        if name in known or any(each.search(name) for each in patterns):
            continue
        if additional is False:
            yield ValidationError(f"the member {name!r} is not one that the schema allows")
        else:
            yield from validator.descend(value, additional, path=name)


def _canonical(value: Any) -> Any:
    """Return `value` so that JSON-equal values serialise equally (1 and 1.0 are equal)."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _canonical(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value


def _unique_items(
    _validator: Any, wanted: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if wanted is True and isinstance(instance, list):
        distinct = {strictjson.dumps(_canonical(item)) for item in instance}
        if len(distinct) != len(instance):
            yield ValidationError("the array has an item twice")


def _items(
    validator: Any, items: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """As the library's, but an item of a plain type costs no validator of its own."""
    if not (isinstance(instance, list) and isinstance(items, dict) and items.keys() == {"type"}):
        yield from _LIBRARY_ITEMS(validator, items, instance, schema)
        return
    types = items["type"] if isinstance(items["type"], list) else [items["type"]]
    plain = {kind for each in types for kind in TYPES.get(each, ())}
    first = len(schema.get("prefixItems", ()))
    _spend(len(instance) - first)
    for index in range(first, len(instance)):
        if type(instance[index]) in plain:
            continue
        if not any(validator.is_type(instance[index], each) for each in types):
            yield from validator.descend(instance[index], items, path=index)


def _required(
    _validator: Any, names: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """As the library's, but told at the place of the member that is missing."""
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError(f"{name!r} is a required property", path=(name,))


def _dependent_required(
    _validator: Any, needs: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """As the library's, but told at the place of the member that is missing."""
    if isinstance(instance, dict):
        for name in (name for name in needs if name in instance):
            for each in needs[name]:
                if each not in instance:
                    text = f"{each!r} is required where {name!r} is given"
                    yield ValidationError(text, path=(each,))


_LIBRARY_ITEMS: Any = Draft202012Validator.VALIDATORS["items"]
_OURS: dict[str, Callable[..., Any]] = {
    "items": _items,
    "required": _required,
    "dependentRequired": _dependent_required,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
_KEYWORDS = {
    name: _bounded(check) for name, check in {**Draft202012Validator.VALIDATORS, **_OURS}.items()
}
_extend: Any = jsonschema.validators.extend  # untyped in the stubs
_Validator: Any = _extend(Draft202012Validator, _KEYWORDS)
_UNSUPPORTED = frozenset(
    {"$dynamicRef", "$dynamicAnchor", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords whose cost or meaning depends on the path taken; no plugin needs them."""

_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose value maps names to schemas."""


def pointer(path: Any) -> str:
    """Return a path of member names and indexes as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _refuse(what: str, value: object, where: str) -> SchemaUnusable:
    return SchemaUnusable(
        problem(
            "schema.unusable",
            what,
            value=value,
            expected="a self-contained JSON Schema 2020-12 whose patterns RE2 accepts",
            advice="correct the schema in the plugin's manifest and release a new version",
            where=where,
        )
    )


def _check_parts(schema: Any, path: tuple[str | int, ...], *, names: bool = False) -> None:
    """Walk a schema; `names` says that the members of `schema` are names and not keywords."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            _check_parts(item, (*path, index))
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        here = (*path, name)
        if not names:
            _check_keyword(name, value, here)
            if name in ("const", "enum", "default", "examples"):
                continue
        _check_parts(value, here, names=not names and name in _MAPS)


def _check_keyword(name: str, value: Any, here: tuple[str | int, ...]) -> None:
    if name in _UNSUPPORTED:
        raise _refuse("the schema uses a keyword that is not supported", name, pointer(here))
    if name == "$ref" and isinstance(value, str) and not value.startswith("#"):
        raise _refuse("the schema refers to another document", value, pointer(here))
    patterns: tuple[Any, ...] = ()
    if name == "pattern":
        patterns = (value,)
    elif name == "patternProperties" and isinstance(value, dict):
        patterns = tuple(value)
    for each in patterns:
        try:
            _compile_pattern(each)
        except re2.error as error:
            raise _refuse(f"a pattern cannot be used: {error}", each, pointer(here)) from error


class CompiledSchema:
    """One schema, checked and ready to validate many values; safe to share between threads."""

    def __init__(self, schema: Mapping[str, Any] | bool) -> None:
        """Check and compile `schema`.

        Raises:
            SchemaUnusable: it is not one that may be used on hostile values.
        """
        try:
            Draft202012Validator.check_schema(schema)
            _check_parts(schema, ())
        except SchemaError as error:
            raise _refuse(
                "the schema is not valid", error.message, pointer(error.absolute_path)
            ) from error
        except RecursionError as error:
            raise _refuse("the schema is nested too deeply", "", "") from error
        self._validator = _Validator(schema, registry=REGISTRY)
        self._certain = certain(schema)

    def check(self, instance: Any, *, code: str, subject: str) -> tuple[Problem, ...]:
        """Validate `instance`; return every violation, at most `MAX_ERRORS`, or ().

        Args:
            instance: a JSON value.
            code: the problems' code.
            subject: what the value is, for the problems' text: `the arguments`.
        """
        _budget.steps, _budget.deadline = MAX_STEPS, time.monotonic() + MAX_SECONDS
        found: list[Problem] = []
        try:
            if self._certain is not None and self._certain(instance):
                return ()
            for error in self._validator.iter_errors(instance):
                if len(found) == MAX_ERRORS:
                    break
                found.append(_violation(error, code, subject))
        except (_Exhausted, RecursionError, MemoryError, Unresolvable) as error:
            found.append(
                problem(
                    code,
                    f"{subject} could not be checked against the schema",
                    value=type(error).__name__.strip("_"),
                    expected=f"a check within {MAX_STEPS} steps and {MAX_SECONDS:g} s",
                    advice="send a smaller value, or ask the author for a simpler schema",
                )
            )
        except Exception as error:  # noqa: BLE001 - not validated is not valid
            found.append(
                problem(
                    code,
                    f"{subject} could not be checked against the schema",
                    value=type(error).__name__,
                    expected="a check that runs to its end",
                    advice="ask the plugin's author for a simpler schema",
                )
            )
        return tuple(found)


def _violation(error: ValidationError, code: str, subject: str) -> Problem:
    keyword = str(error.validator)
    rule = error.validator_value
    text = str(rule) if not isinstance(rule, dict | list) or len(str(rule)) < 200 else "its schema"
    return problem(
        code,
        f"{subject} break the schema's rule `{keyword}`",
        value=error.message,
        expected=f"{keyword}: {text}"[:300],
        advice="see the schema in the manifest or the policy's documentation",
        where=pointer(error.absolute_path) or "/",
    )
