"""Every rule finds what it is for, and leaves its near misses alone."""

from __future__ import annotations

import json

import pytest

from scanner.analysis import analyse, look_at
from scanner.bandit_run import Bandit
from scanner.checks import RULES
from scanner.checks.names import confusable, distance_is_one, popular_names
from scanner.members import make_member
from scanner.model import Analysis
from tests.scanner.samples import SAMPLES, SECRETS, Sample
from tests.support.wheels import SOURCE, make_manifest, make_wheel

WHEEL_RULES = {"SG601", "SG602", "SG611"}
DEPENDENCY_RULES = {"SG701"}
"""Tried in `test_dependencies`."""


def samples(which: int) -> list[object]:
    return [
        pytest.param(rule, sample, id=f"{rule}-{number}")
        for rule, pair in SAMPLES.items()
        for number, sample in enumerate(pair[which])
    ]


def rules_of(sample: Sample, bandit: Bandit) -> dict[str, int]:
    looked = look_at(make_member(*sample), bandit)
    return {finding.rule: finding.line for finding in looked.findings}


@pytest.mark.parametrize(("rule", "sample"), samples(0))
def test_a_rule_finds_what_it_is_for(rule: str, sample: Sample, bandit: Bandit) -> None:
    assert rule in rules_of(sample, bandit)


@pytest.mark.parametrize(("rule", "sample"), samples(1))
def test_a_rule_leaves_near_misses_alone(rule: str, sample: Sample, bandit: Bandit) -> None:
    assert rule not in rules_of(sample, bandit)


@pytest.mark.parametrize("rule", ["SG501", "SG502", "SG503"])
def test_no_finding_repeats_a_secret(rule: str, bandit: Bandit) -> None:
    for sample in SAMPLES[rule][0]:
        looked = look_at(make_member(*sample), bandit)
        said = json.dumps([finding.as_dict() for finding in looked.findings], ensure_ascii=False)
        for secret in SECRETS:
            assert secret[:20] not in said
        assert any(f.source_line for f in looked.findings if f.rule == rule)


def test_every_rule_is_tried_both_ways() -> None:
    assert set(SAMPLES) | WHEEL_RULES | DEPENDENCY_RULES == set(RULES)
    assert all(found and spared for found, spared in SAMPLES.values())


def whole(bandit: Bandit, known: tuple[str, ...] = (), **parts: object) -> Analysis:
    name, wheel = make_wheel(**parts)  # type: ignore[arg-type] # the parts of make_wheel
    return analyse(wheel, name, {"known_names": known}, bandit, lambda path: None)


def rules_in(analysis: Analysis) -> set[str]:
    assert analysis.problems == ()
    return {finding.rule for finding in analysis.findings}


@pytest.mark.parametrize("name", ["requestz", "reqeusts", "crypt0graphy", "python-dateutll"])
def test_a_name_that_looks_like_a_well_known_one_is_found(name: str, bandit: Bandit) -> None:
    analysis = whole(bandit, name=name)
    assert "SG601" in rules_in(analysis)
    finding = next(f for f in analysis.findings if f.rule == "SG601")
    assert finding.path.endswith(".dist-info/METADATA")
    assert name in finding.source_line


@pytest.mark.parametrize("name", ["requests", "markdown-render", "table-query", "house-style"])
def test_a_name_of_its_own_is_not_found(name: str, bandit: Bandit) -> None:
    assert "SG601" not in rules_in(whole(bandit, name=name))


def test_the_policy_adds_names(bandit: Bandit) -> None:
    assert "SG601" in rules_in(whole(bandit, ("House_Tables",), name="house-table"))
    assert "SG601" not in rules_in(whole(bandit, ("House_Tables",), name="house-tables"))
    assert "SG601" not in rules_in(whole(bandit, name="house-table"))


def test_a_package_with_a_borrowed_name_is_found(bandit: Bandit) -> None:
    manifest = json.dumps(make_manifest("house-style")).replace("house_style:", "requests:")
    files = {
        "house_style/__init__.py": None,
        "house_style/plugin.json": None,
        "requests/__init__.py": SOURCE,
        "requests/plugin.json": manifest,
        "house_style-1.0.0.dist-info/entry_points.txt": (
            "[sealgate.plugins]\nhouse-style = requests\n"
        ),
    }
    assert "SG602" in rules_in(whole(bandit, name="house-style", files=files))
    assert "SG602" not in rules_in(whole(bandit, name="requests"))


def metadata(*lines: str, summary: str = "A small plugin for tests.") -> str:
    head = ["Metadata-Version: 2.1", "Name: example-plugin", "Version: 1.0.0"]
    head += [f"Summary: {summary}"] if summary else []
    return "\n".join([*head, *lines]) + "\n"


@pytest.mark.parametrize(
    "line",
    [
        "Project-URL: Home, http://example.org/x",
        "Project-URL: Home, https://203.0.113.7/x",
        "Project-URL: Home, https://github.com@example.org/x",
        "Project-URL: Home, https://bit.ly/abc",
        "Home-page: ftp://example.org/",
    ],
)
def test_an_odd_link_is_found(line: str, bandit: Bandit) -> None:
    analysis = whole(bandit, metadata=metadata(line))
    finding = next(f for f in analysis.findings if f.rule == "SG611")
    assert finding.source_line == line


def test_a_plain_link_is_not_found(bandit: Bandit) -> None:
    line = "Project-URL: Home, https://example.org/project"
    assert "SG611" not in rules_in(whole(bandit, metadata=metadata(line)))


def test_distance() -> None:
    assert distance_is_one("abcd", "abd")
    assert distance_is_one("abcd", "abcde")
    assert distance_is_one("abcd", "abxd")
    assert distance_is_one("abcd", "acbd")
    assert not distance_is_one("abcd", "abcd")
    assert not distance_is_one("abcd", "dcba")
    assert not distance_is_one("abcd", "abxx")
    assert not confusable("six", "sax")


def test_popular_names_are_normalised_and_sorted() -> None:
    names = popular_names()
    assert list(names) == sorted(set(names))
    assert all(name == name.lower() and "_" not in name and "." not in name for name in names)
    assert "requests" in names
