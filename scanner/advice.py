"""What to do about bandit's findings, by families of its rules."""

from __future__ import annotations

from collections.abc import Mapping

_RULES: Mapping[str, str] = {
    "B101": "Raise an exception: `python -O` takes assertions away.",
    "B102": "Do without exec: write the code as source, or choose from a table of functions.",
    "B110": "Handle the exception or let it pass on; name the exceptions that are expected.",
    "B112": "Handle the exception or let it pass on; name the exceptions that are expected.",
    "B113": "Take the request away: a plugin runs without a network.",
    "B307": "Use ast.literal_eval for literals, or a parser for what is meant.",
    "B324": "Use SHA-256, or pass usedforsecurity=False where it is no security matter.",
    "B506": "Use yaml.safe_load.",
    "B613": "Take the control character away, or write it as an escape such as \\u202e.",
    "B701": "Pass autoescape=True to the Jinja2 environment.",
}

_FAMILIES: Mapping[str, str] = {
    "B1": "Change the code as bandit's page for the rule says, or explain it to the reviewers.",
    "B2": "Turn debug and development settings off in what is published.",
    "B3": "Use the safe counterpart that bandit's page for the rule names.",
    "B4": "Do without the module, or explain to the reviewers what it is for.",
    "B5": "Use current algorithms, key sizes and protocol versions.",
    "B6": "Pass arguments as a list and without a shell; better, start no program.",
    "B7": "Escape what is put into markup.",
}


def advice_for(rule: str) -> str:
    """Return one sentence of advice for a rule of bandit's."""
    return _RULES.get(rule) or _FAMILIES.get(rule[:2], _FAMILIES["B1"])
