"""The policy's member `distribution`: what it means, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.policy_file import PolicyInvalid, parse_policy
from runner.setup import default_policy
from sealgate.setup import LOCAL_DISTRIBUTION
from tests.runner.kit import IMAGE
from tests.support.evidence import TrustFixture
from tests.tuf.town import Town, site_of
from trust.errors import SealgateError

RULE = {"refresh_seconds": 60, "max_age_seconds": 3600}


def policy(distribution: Any = None) -> bytes:
    made = default_policy(image=IMAGE, registry="http://registry.test/", callers={}, plugins={})
    if distribution is not None:
        made["distribution"] = distribution
    return json.dumps(made).encode()


def test_without_it_the_plain_api_is_asked() -> None:
    assert parse_policy(policy()).distribution is None


def test_the_repository_is_the_registrys_unless_a_copy_is_named() -> None:
    rule = parse_policy(policy(RULE)).distribution
    assert rule is not None
    assert (rule.url, rule.follow_trust) == ("http://registry.test/tuf", True)
    rule = parse_policy(policy(RULE | {"url": "https://mirror.test/a/", "follow_trust": False}))
    assert rule.distribution is not None
    assert rule.distribution.url == "https://mirror.test/a"


def test_what_init_writes_is_valid() -> None:
    assert parse_policy(policy(LOCAL_DISTRIBUTION)).distribution is not None


@pytest.mark.parametrize(
    "rule",
    [{}, {"refresh_seconds": 60}, RULE | {"refresh_seconds": 0}, RULE | {"max_age_seconds": 100},
     RULE | {"url": "file:///etc"}, RULE | {"url": "http://a/b?c"}, RULE | {"else": 1}],
)  # fmt: skip
def test_anything_else_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(policy(rule))
    assert all(problem.where.startswith("/distribution") for problem in caught.value.problems)


@pytest.mark.parametrize("root", ["missing", "garbage", "unsigned"])
def test_a_runner_without_a_good_pinned_root_does_not_start(tmp_path: Path, root: str) -> None:
    trust = TrustFixture()
    (tmp_path / "town").mkdir()
    town = Town.make(tmp_path / "town", trust)
    site = site_of(town, tmp_path, trust, "http://127.0.0.1:1")
    pinned = site.keys / "tuf-root.json"
    document = json.loads(pinned.read_bytes())
    document["signatures"] = []
    match root:
        case "missing":
            pinned.unlink()
        case "garbage":
            pinned.write_bytes(b"{}")
        case "unsigned":
            pinned.write_text(json.dumps(document))
    with pytest.raises(SealgateError), site.runner():
        pass
    site.registry.close()
    town.registry.services.close()
