"""The artifact rules that a layout must have, word for word.

in-toto's `MATCH` consumes: a rule put before another can take an artifact away from it, so that
the later, stricter rule finds nothing to object to. No list of rules that merely contains these
is therefore as strong as these, and a layout with any other list is refused.

`REQUIRE` comes before `MATCH`, and `DISALLOW *` ends each list: what no rule consumed is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trust.evidence.predicates import POLICY, REPORT, WHEEL, Step

Rules = list[list[str]]


def _match(artifact: str, kind: str, step: Step) -> list[str]:
    return ["MATCH", artifact, "WITH", kind, "FROM", step]


_END: Final = ["DISALLOW", "*"]
_WHEEL: Final = ["REQUIRE", WHEEL]

RULES: Final[Mapping[Step, tuple[Rules, Rules]]] = {
    "submit": (
        [_END],
        [_WHEEL, ["CREATE", WHEEL], _END],
    ),
    "scan": (
        [
            _WHEEL,
            ["REQUIRE", POLICY],
            _match(WHEEL, "PRODUCTS", "submit"),
            ["ALLOW", POLICY],
            _END,
        ],
        [["REQUIRE", REPORT], ["CREATE", REPORT], _END],
    ),
    "review": (
        [
            _WHEEL,
            ["REQUIRE", POLICY],
            ["REQUIRE", REPORT],
            _match(WHEEL, "PRODUCTS", "submit"),
            _match(POLICY, "MATERIALS", "scan"),
            _match(REPORT, "PRODUCTS", "scan"),
            _END,
        ],
        [_WHEEL, _match(WHEEL, "PRODUCTS", "submit"), _END],
    ),
    "publish": (
        [_WHEEL, _match(WHEEL, "PRODUCTS", "review"), _END],
        [_WHEEL, _match(WHEEL, "PRODUCTS", "submit"), _END],
    ),
}
"""Step -> (expected materials, expected products)."""
