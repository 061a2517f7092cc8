"""docs/scanner.md says what the code does. Run this file as a program to write its table anew."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from scanner.advice import advice_for
from scanner.bandit_run import Bandit
from scanner.checks import RULES
from scanner.policy import ScanPolicy
from tests.scanner.samples import SAMPLES

PAGE = Path(__file__).parents[2] / "docs" / "scanner.md"
_START = "<!-- rules: tests/scanner/test_docs.py writes and checks this table -->\n"
_END = "<!-- end of rules -->"


def table() -> str:
    """Return the table of rules as the page must have it."""
    lines = ["| rule | severity | what it means | what to do |", "|---|---|---|---|"]
    lines += [
        f'| <a id="{rule.id.lower()}"></a>{rule.id} {rule.name} | {rule.severity.capitalize()}'
        f" | {rule.summary} | {rule.help} |"
        for rule in RULES.values()
    ]
    return "\n".join(lines) + "\n"


def test_every_rule_is_documented() -> None:
    page = PAGE.read_text("utf-8")
    assert page.partition(_START)[2].partition(_END)[0] == table()


def test_every_key_of_the_policy_is_documented() -> None:
    page = PAGE.read_text("utf-8")
    for field in fields(ScanPolicy):
        assert f"`{field.name}`" in page, field.name


def test_rules_are_well_formed() -> None:
    for key, rule in RULES.items():
        assert re.fullmatch(r"SG\d{3}", rule.id)
        assert rule.id == key
        assert re.fullmatch(r"([A-Z][a-z0-9]+)+", rule.name)
        assert rule.summary.endswith(".")
        assert rule.help.endswith(".")
        assert "|" not in rule.summary + rule.help
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert set(SAMPLES) <= set(RULES)


def test_every_family_of_bandits_rules_has_advice(bandit: Bandit) -> None:
    from bandit.core import extension_loader

    ids = [*extension_loader.MANAGER.plugins_by_id, *extension_loader.MANAGER.blacklist_by_id]
    assert len(ids) > 60
    assert all(advice_for(rule).endswith(".") for rule in ids)


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    head, rest = text.partition(_START)[0], text.partition(_END)[2]
    PAGE.write_text(head + _START + table() + _END + rest, "utf-8")
