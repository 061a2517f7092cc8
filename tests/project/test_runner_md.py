"""docs/runner.md lists the members of the policy and the metrics that the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runner.md").read_text(encoding="utf-8")


def test_every_member_of_the_policy_is_told() -> None:
    schema = json.loads((ROOT / "runner" / "policy.schema.json").read_text(encoding="utf-8"))
    table = PAGE.partition("## The policy")[2].partition("## Metrics")[0]
    told = set(re.findall(r"`(\w+)`", table))
    properties = schema["properties"]
    wanted = set(properties) - {"$schema"}
    wanted |= set(properties["sandbox"]["properties"])
    for name in ("callers", "plugins", "revoked"):
        wanted |= set(properties[name]["items"]["properties"])
    assert wanted - told == set()


def test_every_metric_is_told_and_no_other() -> None:
    source = (ROOT / "runner" / "metrics.py").read_text(encoding="utf-8")
    table = PAGE.partition("## Metrics")[2].partition("## The audit log")[0]
    told = {name.removesuffix("_total") for name in re.findall(r"`(sealgate_\w+)`", table)}
    assert told == set(re.findall(r'"(sealgate_\w+)"', source))
