"""Manifests, and the module whose functions they name."""

from __future__ import annotations

from typing import Any

from tests.support.refusals import assert_refused
from tests.support.wheels import make_manifest, make_wheel
from trust.errors import Problem

SOURCE = """
import os
from os.path import join


def function(arguments):
    return {}


def _private(arguments):
    return {}


def two(arguments, more):
    return {}


def two_with_default(arguments, more=1, *, other=2):
    return {}


def keyword_only(arguments, *, more):
    return {}


def none():
    return {}


def star(*arguments):
    return {}


async def later(arguments):
    return {}


VALUE = 1
ALIAS = function


class Things:
    def method(self, arguments):
        return {}

    @staticmethod
    def static(arguments):
        return {}

    @classmethod
    def klass(cls, arguments):
        return {}

    def too_few(self):
        return {}

    class Inner:
        def method(self, arguments):
            return {}


if True:
    def conditional(arguments):
        return {}
"""


def method(target: str, **changes: Any) -> dict[str, Any]:
    return {
        "callable": target,
        "summary": "Do it.",
        "arguments": {"type": "object"},
        "result": {},
    } | changes


def wheel_of(manifest: Any, **files: str) -> bytes:
    """Return a wheel with this manifest and, in its package, SOURCE and these modules."""
    paths = {f"example_plugin/{name}.py": text for name, text in files.items()}
    return make_wheel(source=SOURCE, manifest=manifest, files=paths)[1]


def assert_manifest_refused(document: Any, code: str, value: str, where: str = "") -> Problem:
    """Assert how a wheel with this manifest is refused, at this place of it."""
    place = f"example_plugin/plugin.json{where}"
    return assert_refused(wheel_of(document), code, value, where=place)


GOOD = method("example_plugin:function")


def manifest(**changes: Any) -> dict[str, Any]:
    return make_manifest(**({"methods": {"run": GOOD}} | changes))
