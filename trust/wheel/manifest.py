"""plugin.json: validated against the published schema, then against the wheel's own code."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from trust import strictjson
from trust.errors import Problem, problem
from trust.wheel import bounds
from trust.wheel.model import Limits, Manifest, Method
from trust.wheel.schemas import check_schema, pointer
from trust.wheel.source import Function, Module

FILE = "plugin.json"
_ADVICE = "correct plugin.json; the plugin author's guide describes every key"


@functools.cache
def manifest_schema() -> Mapping[str, Any]:
    """Return the published JSON Schema of `plugin.json`."""
    text = resources.files("trust.wheel").joinpath("manifest.schema.json").read_bytes()
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    return MappingProxyType(schema)


@functools.cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(dict(manifest_schema()))


def _bad(code: str, what: str, value: object, expected: str, where: str) -> Problem:
    return problem(
        f"manifest.{code}", what, value=value, expected=expected, advice=_ADVICE, where=where
    )


def read_manifest(body: bytes, where: str, found: list[Problem]) -> Manifest | None:
    """Read `plugin.json`.

    Args:
        body: the file's content.
        where: its path in the wheel.
        found: where problems are added.

    Returns:
        The manifest, or None if the document does not satisfy the published schema.
    """
    try:
        raw = strictjson.loads(
            body, max_bytes=bounds.MAX_MANIFEST_BYTES, max_depth=bounds.MAX_MANIFEST_DEPTH
        )
    except strictjson.InvalidJSON as error:
        found.extend(_bad("json", e.what, e.value, e.expected, where) for e in error.problems)
        return None
    errors = sorted(_validator().iter_errors(raw), key=lambda error: list(map(str, error.path)))
    if errors:
        found.extend(_explain(error, where) for error in errors)
        return None
    found.extend(_check_printable(raw, where))
    methods: dict[str, Method] = {}
    for name, entry in raw["methods"].items():
        for key in ("arguments", "result"):
            found.extend(check_schema(entry[key], f"{where}#{pointer(('methods', name, key))}"))
        module, _, qualname = entry["callable"].partition(":")
        methods[name] = Method(
            name, module, qualname, entry["summary"], entry["arguments"], entry["result"]
        )
    return Manifest(
        schema_version=int(raw["schema_version"]),
        name=raw["name"],
        summary=raw["summary"],
        methods=MappingProxyType(methods),
        limits=_limits(raw.get("limits", {})),
        permissions=(),
        raw=MappingProxyType(raw),
    )


def _check_printable(raw: Mapping[str, Any], where: str) -> list[Problem]:
    """What people are shown has no control, format or line-separating character."""
    texts = {"/name": raw["name"], "/summary": raw["summary"]}
    for name, entry in raw["methods"].items():
        texts[pointer(("methods", name))] = name
        texts[pointer(("methods", name, "summary"))] = entry["summary"]
    what, expected = "a text has an invisible character", "printable characters"
    return [
        _bad("invisible", what, text, expected, f"{where}#{place}")
        for place, text in texts.items()
        if not text.isprintable()
    ]


def _limits(raw: Mapping[str, Any]) -> Limits:
    """Return the limits; JSON Schema takes 5.0 for an integer, Python must too."""
    values = {
        key: float(value) if key == "wall_seconds" else int(value) for key, value in raw.items()
    }
    return Limits(**values)  # type: ignore[arg-type] # the schema fixed keys and types


def _explain(error: ValidationError, where: str) -> Problem:
    place = f"{where}#{pointer(error.absolute_path)}"
    keyword, rule, value = str(error.validator), cast(Any, error.validator_value), error.instance
    if keyword == "additionalProperties":
        accepted = sorted(cast(Any, error.schema)["properties"])
        unknown = ", ".join(sorted(set(cast(Any, value)) - set(accepted)))
        expected = f"only {', '.join(accepted)}"
        return _bad("unknown-key", "an object has an unknown key", unknown, expected, place)
    if keyword == "required":
        missing = ", ".join(key for key in rule if key not in cast(Any, value))
        return _bad("missing-key", "a key is missing", missing, ", ".join(rule), place)
    if error.absolute_path and error.absolute_path[0] == "limits":
        if keyword == "maximum":
            what = "a limit is above its greatest value"
            return _bad("limit-out-of-range", what, value, f"at most {rule}", place)
        if keyword == "minimum":
            what = "a limit is below its least value"
            return _bad("limit-out-of-range", what, value, f"at least {rule}", place)
    if place.endswith("#/permissions") and keyword == "maxItems":
        what, expected = "a permission is asked for", "an empty list: permissions are reserved"
        asked = ", ".join(map(str, cast(Any, value)))
        return _bad("permissions", what, asked, expected, place)
    what = f"a value breaks the rule {keyword} of the manifest's schema"
    return _bad("invalid", what, value, f"{keyword}: {rule}", place)


def check_callables(
    manifest: Manifest, package: str, modules: Mapping[str, Module | None], where: str
) -> list[Problem]:
    """Every callable must be a public function that the plugin's own package defines.

    Args:
        manifest: the manifest.
        package: the plugin's import package.
        modules: path -> what the module defines, of every Python module of the wheel.
        where: the manifest's path in the wheel.
    """
    found = []
    for name, method in manifest.methods.items():
        place = f"{where}#/methods/{name}/callable"
        value = f"{method.module}:{method.qualname}"
        bad = _check_callable(method, package, modules)
        if bad is not None:
            code, what, expected = bad
            found.append(_bad(code, what, value, expected, place))
    return found


def _check_callable(
    method: Method, package: str, modules: Mapping[str, Module | None]
) -> tuple[str, str, str] | None:
    """Return code, what and expectation of the first thing that is wrong."""
    parts = method.module.split(".")
    if parts[0] != package:
        expected = f"{package} or a module in it"
        return "callable-outside", "a callable is outside of the plugin's package", expected
    if any(part.startswith("_") for part in parts + method.qualname.split(".")):
        expected = "names without a leading underscore"
        return "callable-private", "a callable is private", expected
    stem = "/".join(parts)
    files = [path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in modules]
    if len(files) != 1:
        expected = f"{stem}.py or {stem}/__init__.py"
        what = "a callable's module is missing" if not files else "a callable's module exists twice"
        return "callable-module", what, expected
    module = modules[files[0]]
    if module is None:
        return "callable-module", "a callable's module cannot be read", "a module that parses"
    function = _find(module, method.qualname)
    if function is None:
        expected = f"a `def` at the top level of {files[0]}, or in a class there"
        return "callable-missing", "a callable is not defined by its module", expected
    if function.is_async:
        return "callable-async", "a callable is asynchronous", "a plain function"
    if not function.takes_one:
        expected = "one positional argument, the arguments object"
        return "callable-signature", "a callable does not take exactly one argument", expected
    return None


def _find(module: Module, qualname: str) -> Function | None:
    owner, _, name = qualname.rpartition(".")
    return module.classes.get(owner, {}).get(name) if owner else module.functions.get(name)


def check_agreement(
    manifest: Manifest, *, name: str, summary: str | None, where: str
) -> list[Problem]:
    """Compare the manifest with METADATA and the file name."""
    found = []
    if manifest.name != name:
        what = "the manifest and the wheel disagree on the name"
        expected = f"{name}, as in METADATA and the file name"
        found.append(_bad("name-mismatch", what, manifest.name, expected, f"{where}#/name"))
    if summary is None:
        what = "METADATA has no Summary, and the manifest has one"
        found.append(_bad("summary-mismatch", what, manifest.summary, "the same in both", where))
    elif manifest.summary != summary:
        what = "the manifest and METADATA disagree on the summary"
        expected = f"{summary!r}, as in METADATA"
        found.append(
            _bad("summary-mismatch", what, manifest.summary, expected, f"{where}#/summary")
        )
    return found
