"""Locked dependencies on their way into the sandbox: fetched by digest, admitted, executed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.sandbox import Job, Sandbox
from runner.sandbox.cell import CellSandbox
from runner.sandbox.harness import closure
from tests.runner.kit import NAME, Release, Site, assert_refused
from tests.support.dependencies import make_dependent, make_library
from tests.support.evidence import POLICY_SHA256, REPORT_SHA256, REVIEWERS, TrustFixture, sha256
from tests.support.sandbox import QUICK
from trust.evidence.statements import scan_statement
from trust.wheel import Limits

LIBRARY, DATA = make_library(
    files={"shouting/words.txt": "louder"}, metadata=["Requires-Dist: whispering"]
)
OTHER, OTHER_DATA = make_library("whispering")
SOURCE = '''"""A plugin that uses two libraries."""


def greet(arguments):
    import importlib.metadata
    import importlib.resources

    import shouting
    import whispering

    return {
        "greeting": shouting.loud(arguments["name"]),
        "words": importlib.resources.files("shouting").joinpath("words.txt").read_text(),
        "version": importlib.metadata.version("shouting"),
        "files": [shouting.__file__, whispering.__file__],
    }
'''
FILENAME, WHEEL = make_dependent([LIBRARY, OTHER], name=NAME, source=SOURCE)
RESULT = {
    "greeting": "ADA!",
    "words": "louder",
    "version": "2.0",
    "files": ["/plugin/shouting/__init__.py", "/plugin/whispering/__init__.py"],
}


def evidence(trust: TrustFixture) -> list[bytes]:
    statement = scan_statement(
        FILENAME,
        sha256(WHEEL),
        result="PASSED",
        policy_sha256=POLICY_SHA256,
        report_sha256=REPORT_SHA256,
        dependencies=[(item.filename, item.sha256) for item in (LIBRARY, OTHER)],
    )
    bundles = [
        trust.submit(FILENAME, WHEEL),
        trust.sigstore.sign(trust.scanner, statement),
        *(trust.review(FILENAME, WHEEL, by) for by in REVIEWERS[:2]),
    ]
    return [*bundles, trust.publish(FILENAME, WHEEL, bundles)]


@pytest.fixture
def release(site: Site) -> Release:
    locked = {LIBRARY.sha256: DATA, OTHER.sha256: OTHER_DATA}
    made = Release(NAME, "1.0.0", FILENAME, WHEEL, evidence(site.trust), locked=locked)
    return site.registry.add(made)


@pytest.mark.docker
@pytest.mark.parametrize("level", ["container", "cell"])
def test_a_plugin_uses_the_wheels_that_it_locks(
    sandbox: Sandbox, image_id: str, level: str
) -> None:
    job = Job(
        closure.join([WHEEL, DATA, OTHER_DATA]),
        "example_plugin",
        "greet",
        b'{"name": "Ada"}',
        replace(QUICK, wall_seconds=10.0) if level == "cell" else Limits(),
        "request",
    )
    if level == "container":
        execution = sandbox.execute(job)
    else:
        with CellSandbox.connect(image_id) as cells:
            execution = cells.execute(replace(job, level="cell"))
    assert execution.status == "ok", execution
    assert execution.result == RESULT


def test_the_wheels_that_were_verified_are_the_wheels_that_run(
    site: Site, release: Release
) -> None:
    with site.runner() as calls:
        reply = calls.call()
        calls.call()
    assert reply["status"] == "ok", reply
    for job in site.sandbox.jobs:
        assert closure.split(job.wheel) == [WHEEL, DATA, OTHER_DATA]
    asked = [path for path in site.registry.requests if "/dependencies/" in path]
    assert len(asked) == 2


def test_an_altered_dependency_does_not_run(site: Site, release: Release) -> None:
    release.locked = {**release.locked, OTHER.sha256: OTHER_DATA[:-1]}
    with site.runner() as calls:
        assert_refused(site, calls.call(), "registry.other-bytes")


def test_a_dependency_that_is_not_there_refuses(site: Site, release: Release) -> None:
    release.locked = {LIBRARY.sha256: DATA}
    with site.runner() as calls:
        reply = calls.call()
    assert reply["status"] == "refused"
    assert site.sandbox.jobs == []


def test_dependencies_that_nobody_scanned_do_not_run(site: Site, release: Release) -> None:
    trust = site.trust
    release.bundles = trust.full(FILENAME, WHEEL)
    with site.runner() as calls:
        reply = calls.call()
    assert_refused(site, reply, "gate.refused")
    assert "gate.dependencies-not-scanned" in str(reply["error"])


@pytest.mark.parametrize(
    "data",
    [
        closure.MAGIC,
        closure.MAGIC + b"\0\0\0\2",
        closure.MAGIC + b"\xff\xff\xff\xff",
        closure.join([b"a", b"b"])[:-1],
        closure.join([b"a", b"b"]) + b"c",
    ],
)
def test_wheels_that_were_cut_are_not_split(data: bytes) -> None:
    with pytest.raises(ValueError, match="wheels"):
        closure.split(data)


def test_what_is_joined_is_split() -> None:
    assert closure.split(closure.join([WHEEL])) == [WHEEL]
    assert closure.join([WHEEL]) is WHEEL
    assert closure.split(closure.join([WHEEL, b"", DATA])) == [WHEEL, b"", DATA]
