"""The scan policy: its digest, its document, and what it refuses."""

from __future__ import annotations

import json

import pytest

from scanner import DEFAULT, PolicyInvalid, ScanPolicy
from scanner.model import Analysis, Finding
from scanner.policy import RULE_SET, installed_bandit
from scanner.service import judge
from trust.errors import SealgateError, problem


def test_the_policy_names_what_scans() -> None:
    document = json.loads(DEFAULT.to_json())
    assert document["bandit"] == installed_bandit()
    assert document["rule_set"] == RULE_SET
    assert document["python"].count(".") == 1
    assert document["require_network_isolation"] is True


def test_the_document_is_canonical_and_comes_back() -> None:
    policy = ScanPolicy(known_names=("b", "a", "b"), wall_seconds=3.5)
    assert ScanPolicy.from_json(policy.to_json()) == policy
    assert policy.known_names == ("a", "b")
    assert policy.sha256 == ScanPolicy(known_names=("a", "b"), wall_seconds=3.5).sha256
    assert policy.sha256 != DEFAULT.sha256
    assert ScanPolicy.from_json(b"{}") == DEFAULT


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"colour": "red"}, "/colour"),
        ({"schema_version": 2}, "/schema_version"),
        ({"wall_seconds": 0}, "/wall_seconds"),
        ({"wall_seconds": True}, "/wall_seconds"),
        ({"cpu_seconds": 1.5}, "/cpu_seconds"),
        ({"memory_bytes": "1 GiB"}, "/memory_bytes"),
        ({"require_network_isolation": 1}, "/require_network_isolation"),
        ({"known_names": "a"}, "/known_names"),
        ({"known_names": [1]}, "/known_names"),
        ({"bandit": 1}, "/bandit"),
        ([], ""),
    ],
)
def test_a_document_that_is_no_policy_is_refused(document: object, where: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        ScanPolicy.from_json(json.dumps(document).encode())
    refused = caught.value.problem
    assert refused.where == where
    assert refused.expected


def test_a_document_that_is_no_json_is_refused() -> None:
    with pytest.raises(SealgateError):
        ScanPolicy.from_json(b'{"cpu_seconds": NaN}')


def finding(severity: str) -> Finding:
    return Finding("SG000", severity, "a.py", 1, "m", "h", "x", "0" * 64)  # type: ignore[arg-type] # one of three


def test_the_verdicts() -> None:
    trouble = problem("scan.test", "something was not looked at")
    high, medium, low = (finding(severity) for severity in ("high", "medium", "low"))
    assert judge(Analysis()) == ("passed", "PASSED")
    assert judge(Analysis((low,))) == ("passed", "PASSED")
    assert judge(Analysis((medium, low))) == ("passed", "WARNED")
    assert judge(Analysis((medium,) * 200)) == ("passed", "WARNED")
    assert judge(Analysis((medium,) * 201)) == ("failed", "FAILED")
    assert judge(Analysis((high, medium))) == ("failed", "FAILED")
    assert judge(Analysis((), (), (trouble,))) == ("incomplete", "FAILED")
    assert judge(Analysis((high,), (), (trouble,))) == ("incomplete", "FAILED")


@pytest.mark.parametrize(
    "change",
    [
        {"findings": {}},
        {"findings": [{}]},
        {"coverage": [{"path": 1}]},
        {"problems": [1]},
        {"rules": {"B1": []}},
        {"findings": None},
    ],
)
def test_a_reply_of_another_form_is_not_believed(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"not an analysis|unpack"):
        Analysis.from_dict(Analysis().as_dict() | change)
    one = Analysis((finding("high"),)).as_dict()
    assert Analysis.from_dict(one).findings == (finding("high"),)
    one["findings"][0]["severity"] = "none"
    with pytest.raises(ValueError, match="not an analysis"):
        Analysis.from_dict(one)
