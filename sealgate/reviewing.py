"""What a reviewer is about to sign, gathered and checked without believing the registry.

Wheel, report and the earlier version's wheel are downloaded and hashed; the author's and the
scanner's bundles are verified against the pinned trusted root, and must be about these very
files. What the reviewer signs are the digests that were checked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from registry import comparison, manifests
from registry.readmodel import Change, CoverageView, FileView, FindingView
from registry.report import read_report
from sealgate.acknowledging import Open, to_acknowledge
from sealgate.registry_client import RegistryClient, RegistryRefused, Release
from trust import strictjson
from trust.errors import SealgateError, problem
from trust.evidence.acknowledgements import Acknowledgement
from trust.evidence.bundles import BundleVerifier, VerifiedStatement
from trust.evidence.predicates import REVIEW, check_predicate, sha256_of, step_of
from trust.evidence.statements import Decision, review_statement
from trust.wheel import Plugin, read_members


@dataclass(frozen=True, slots=True)
class Previous:
    """The last published version, as far as it concerns the review.

    Attributes:
        version: its number.
        sha256: the digest of its wheel, which was downloaded and hashed.
        changes: what the manifest declares differently.
        removed: paths that the new wheel lacks.
    """

    version: str
    sha256: str
    changes: tuple[Change, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything on which a review rests.

    Attributes:
        plugin: the wheel, read strictly.
        state: where the version stands, in the registry's word.
        author: the verified submission.
        scan: the verified scan.
        findings: the report's findings, worst first.
        coverage: what the scan looked at.
        files: every file, with diffs against the previous version.
        previous: the last published version; None for a first version.
        acknowledge: what an approval must acknowledge, worst first.
    """

    plugin: Plugin
    state: str
    author: VerifiedStatement
    scan: VerifiedStatement
    findings: tuple[FindingView, ...]
    coverage: CoverageView
    files: tuple[FileView, ...]
    previous: Previous | None
    acknowledge: tuple[Open, ...] = ()

    def statement(
        self, decision: Decision, comment: str, acknowledged: Sequence[Acknowledgement] = ()
    ) -> bytes:
        """Return the in-toto Statement of the review."""
        predicate = self.scan.predicate
        return review_statement(
            self.plugin.filename,
            self.plugin.sha256,
            decision=decision,
            report_sha256=sha256_of(predicate["sealgate_report"]),
            previous_sha256=self.previous.sha256 if self.previous else None,
            policy_sha256=sha256_of(predicate["configuration"][0]),
            comment=comment,
            acknowledged=acknowledged,
        )


def _refuse(what: str, value: object, expected: str) -> NoReturn:
    raise RegistryRefused(
        problem(
            "review.materials",
            what,
            value=value,
            expected=expected,
            advice="sign nothing; ask the registry's operator",
        )
    )


def gather(client: RegistryClient, release: Release, client_trust_config: bytes) -> Dossier:
    """Download and check everything.

    Args:
        client: the registry.
        release: what is to be reviewed.
        client_trust_config: a Sigstore `ClientTrustConfig` (JSON), pinned here.

    Raises:
        SealgateError: something is missing, or is not what the registry says.
    """
    view = client.version(release)
    exact = Release(str(view["name"]), str(view["version"]))
    materials = client.json(f"{exact.path}/review-materials")
    if not isinstance(materials, dict):
        _refuse("the review materials are malformed", materials, "an object")
    plugin, wheel = client.wheel(exact, str(materials["filename"]), str(materials["sha256"]))
    verifier = _verifier(client_trust_config)
    author, scan = _verified(client, exact, plugin, verifier)
    report_sha256 = sha256_of(scan.predicate["sealgate_report"])
    if report_sha256 != materials["report_sha256"]:
        _refuse("the registry names another report", materials["report_sha256"], report_sha256)
    findings, coverage = read_report(client.report(exact, report_sha256))
    before = _previous(client, exact, materials["previous_sha256"])
    after_files = read_members(wheel)
    before_files = comparison.aligned(read_members(before[1]), after_files) if before else None
    files = comparison.file_views(after_files, before_files, findings)
    previous = None
    approvals: tuple[VerifiedStatement, ...] = ()
    if before is not None and any(f.severity == "medium" for f in findings):
        approvals = _approvals(client, before[0], verifier)
    if before is not None and before_files is not None:
        old = before[0]
        changes = comparison.manifest_changes(
            manifests.to_row(old.manifest),
            manifests.to_row(plugin.manifest),
            (old.summary, plugin.summary),
        )
        removed = tuple(path for path in before_files if path not in after_files)
        previous = Previous(old.version, old.sha256, changes, removed)
    acknowledge = to_acknowledge(scan, findings, approvals)
    state = str(view["state"])
    return Dossier(plugin, state, author, scan, findings, coverage, files, previous, acknowledge)


def _verifier(client_trust_config: bytes) -> BundleVerifier:
    config = strictjson.loads(client_trust_config, max_bytes=8 << 20)
    return BundleVerifier(strictjson.dumps(config["trustedRoot"]))


def _approvals(
    client: RegistryClient, plugin: Plugin, verifier: BundleVerifier
) -> tuple[VerifiedStatement, ...]:
    """Return the verified approvals of the earlier version, whose reasons are offered again."""
    found = []
    for bundle in client.bundles(Release(plugin.name, plugin.version)):
        if bundle.step != "review":
            continue
        verified = verifier.verify(bundle.data)
        subject = verified.subjects[0]
        if (subject.name, subject.sha256) != (plugin.filename, plugin.sha256):
            _refuse("a review is about another file", subject, f"sha256:{plugin.sha256}")
        malformed = check_predicate("review", verified.predicate)
        if malformed is not None or verified.predicate_type != REVIEW:
            _refuse("a review is malformed", verified.predicate_type, REVIEW)
        if verified.predicate["decision"] == "approve":
            found.append(verified)
    return tuple(found)


def _verified(
    client: RegistryClient, release: Release, plugin: Plugin, verifier: BundleVerifier
) -> tuple[VerifiedStatement, VerifiedStatement]:
    found: dict[str, VerifiedStatement] = {}
    for bundle in client.bundles(release):
        if bundle.step not in ("submit", "scan"):
            continue
        verified = verifier.verify(bundle.data)
        step, subject = step_of(verified.predicate_type), verified.subjects[0]
        if (subject.name, subject.sha256) != (plugin.filename, plugin.sha256):
            _refuse("a bundle is about another file", subject, f"sha256:{plugin.sha256}")
        if step is None or step in found:
            _refuse("the evidence is not one submission and one scan", step, "one of each")
        malformed = check_predicate(step, verified.predicate)
        if malformed is not None:
            raise SealgateError(malformed)
        found[step] = verified
    if set(found) != {"submit", "scan"}:
        _refuse("the evidence is not one submission and one scan", sorted(found), "submit, scan")
    return found["submit"], found["scan"]


def _previous(client: RegistryClient, release: Release, sha256: Any) -> tuple[Plugin, bytes] | None:
    """Return the wheel with this digest among the plugin's versions."""
    if sha256 is None:
        return None
    versions = client.json(release.path.rpartition("/")[0]).get("versions", [])
    for line in versions:
        if line.get("sha256") == sha256:
            earlier = Release(release.name, str(line["version"]))
            filename = str(client.version(earlier)["filename"])
            return client.wheel(earlier, filename, str(sha256))
    _refuse("the version to compare with is not there", sha256, "one of the plugin's versions")
