"""The gate and the wheels that a plugin locks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tests.support.dependencies import make_dependent, make_library
from tests.support.evidence import (
    POLICY_SHA256,
    REPORT_SHA256,
    REVIEWERS,
    TrustFixture,
    sha256,
)
from trust.evidence.statements import scan_statement
from trust.gate import Admitted, Decision, Refused
from trust.wheel import Dependency

LIBRARY, DATA = make_library()
OTHER, OTHER_DATA = make_library("whispering")
FILENAME, WHEEL = make_dependent([LIBRARY, OTHER])


@pytest.fixture(scope="module")
def trust() -> TrustFixture:
    return TrustFixture()


def evidence(trust: TrustFixture, scanned: Sequence[Dependency]) -> list[bytes]:
    statement = scan_statement(
        FILENAME,
        sha256(WHEEL),
        result="PASSED",
        policy_sha256=POLICY_SHA256,
        report_sha256=REPORT_SHA256,
        dependencies=[(item.filename, item.sha256) for item in scanned],
    )
    return [
        trust.submit(FILENAME, WHEEL),
        trust.sigstore.sign(trust.scanner, statement),
        *(trust.review(FILENAME, WHEEL, by) for by in REVIEWERS[:2]),
    ]


def decide(trust: TrustFixture, bundles: Sequence[bytes], wheels: Sequence[bytes]) -> Decision:
    return trust.gate.decide(
        WHEEL,
        FILENAME,
        bundles,
        trust.publishers,
        datetime.now(UTC),
        wheels=wheels,
        before_publish=True,
    )


@pytest.fixture(scope="module")
def complete(trust: TrustFixture) -> list[bytes]:
    return evidence(trust, [LIBRARY, OTHER])


def test_with_every_locked_wheel_it_is_admitted(trust: TrustFixture, complete: list[bytes]) -> None:
    decision = decide(trust, complete, [OTHER_DATA, DATA])
    assert isinstance(decision, Admitted), decision
    assert decision.plugin.dependencies == (LIBRARY, OTHER)


@pytest.mark.parametrize(
    ("wheels", "code"),
    [
        ([DATA], "dependency.missing"),
        ([], "dependency.missing"),
        ([DATA, OTHER_DATA[:-1]], "dependency.missing"),
        ([DATA, make_library("whispering", files={"x.py": ""})[1]], "dependency.missing"),
    ],
)
def test_a_locked_wheel_that_is_missing_or_altered_is_refused(
    trust: TrustFixture, complete: list[bytes], wheels: list[bytes], code: str
) -> None:
    decision = decide(trust, complete, wheels)
    assert isinstance(decision, Refused)
    assert (decision.step, decision.problem.code) == ("wheel", code)


@pytest.mark.parametrize("scanned", [[], [LIBRARY], [LIBRARY, OTHER, make_library("more")[0]]])
def test_dependencies_that_were_not_scanned_are_refused(
    trust: TrustFixture, scanned: list[Dependency]
) -> None:
    decision = decide(trust, evidence(trust, scanned), [DATA, OTHER_DATA])
    assert isinstance(decision, Refused)
    assert (decision.step, decision.problem.code) == ("scan", "gate.dependencies-not-scanned")
