"""A layout, a gate and every kind of bundle for tests, signed by an in-memory Sigstore."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from in_toto.models.layout import Layout
from securesystemslib.signer import CryptoSigner

from tests.support.local_sigstore import LocalSigstore
from trust.evidence import statements
from trust.evidence.acknowledgements import Acknowledgement, Warned
from trust.gate import Decision, Gate
from trust.identity import Identity
from trust.layout import Owners, build_layout, layout_sha256, sign_layout

AUTHOR = "alice@example.com"
REVIEWERS = ("bob@example.com", "carol@example.com", "dave@example.com")
SCANNER = "https://sealgate.local/scanner"
REGISTRY = "https://sealgate.local/registry"
OUTSIDER = "eve@example.com"

POLICY_SHA256 = hashlib.sha256(b"scan policy").hexdigest()
REPORT_SHA256 = hashlib.sha256(b"report").hexdigest()


def sha256(data: bytes) -> str:
    """Return the digest of `data`, lowercase hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def answers(
    findings: Iterable[Mapping[str, Any]], reason: str = "Read it: harmless here."
) -> tuple[Acknowledgement, ...]:
    """Return an acknowledgement of each finding in a registry's review materials."""
    return tuple(
        Acknowledgement(Warned(f["fingerprint"], f["rule"], f["path"]), reason) for f in findings
    )


class TrustFixture:
    """Everything that a gate needs, and a maker for every bundle.

    Attributes:
        sigstore: the Sigstore instance that signs.
        owner_signers: securesystemslib signers of the layout's owners.
        owners: the owners' file (JSON), k of n.
        layout: the signed layout (DSSE envelope, JSON).
        gate: a gate on all three.
        author: who may publish.
    """

    def __init__(
        self,
        sigstore: LocalSigstore | None = None,
        *,
        author: str = AUTHOR,
        reviewers: Sequence[str] = REVIEWERS,
        scanner: str = SCANNER,
        registry: str = REGISTRY,
        review_threshold: int = 2,
        owners: int = 2,
        owner_threshold: int = 1,
        expires: datetime | None = None,
    ) -> None:
        self.sigstore = sigstore or LocalSigstore()
        self.author = self.identity(author)
        self.reviewers, self.scanner, self.registry = tuple(reviewers), scanner, registry
        self.owner_signers = [CryptoSigner.generate_ed25519() for _ in range(owners)]
        self._owners = Owners(
            owner_threshold,
            {s.public_key.keyid: s.public_key.to_dict() for s in self.owner_signers},
        )
        self.owners = self._owners.dumps()
        self.model = self.make_layout(
            reviewers=reviewers,
            scanner=scanner,
            registry=registry,
            review_threshold=review_threshold,
            expires=expires,
        )
        self.layout = sign_layout(self.model, self.owner_signers)
        self.gate = Gate(self.sigstore.trusted_root, self.layout, self.owners)

    @property
    def issuer(self) -> str:
        """The issuer of every identity here."""
        return self.sigstore.issuer

    @property
    def publishers(self) -> frozenset[Identity]:
        """Who may publish."""
        return frozenset({self.author})

    def identity(self, subject: str) -> Identity:
        """Return a subject's identity."""
        return Identity(self.sigstore.issuer, subject)

    def make_layout(self, **changes: Any) -> Layout:
        """Return an unsigned layout; arguments replace those of `build_layout`."""
        arguments: dict[str, Any] = {
            "issuer": self.sigstore.issuer,
            "reviewers": REVIEWERS,
            "scanner": SCANNER,
            "registry": REGISTRY,
            "review_threshold": 2,
            "expires": None,
        } | changes
        arguments["expires"] = arguments["expires"] or datetime.now(UTC) + timedelta(days=30)
        return build_layout(**arguments)

    def gate_of(self, layout: bytes) -> Gate:
        """Return a gate on another layout (DSSE envelope)."""
        return Gate(self.sigstore.trusted_root, layout, self.owners)

    def submit(self, filename: str, wheel: bytes, *, by: str | None = None) -> bytes:
        """Return a submit bundle, signed by the author or `by`."""
        statement = statements.submit_statement(filename, sha256(wheel))
        return self.sigstore.sign(by or self.author.subject, statement)

    def scan(
        self,
        filename: str,
        wheel: bytes,
        *,
        by: str | None = None,
        result: statements.ScanResult = "PASSED",
        policy_sha256: str = POLICY_SHA256,
        report_sha256: str = REPORT_SHA256,
        warned: Sequence[Warned] = (),
    ) -> bytes:
        """Return a scan bundle, signed by the scanner or `by`."""
        statement = statements.scan_statement(
            filename,
            sha256(wheel),
            result=result,
            policy_sha256=policy_sha256,
            report_sha256=report_sha256,
            counts={"high": 0, "medium": len(warned), "low": 0},
            warned=warned,
        )
        return self.sigstore.sign(by or self.scanner, statement)

    def review(
        self,
        filename: str,
        wheel: bytes,
        by: str = REVIEWERS[0],
        *,
        decision: statements.Decision = "approve",
        policy_sha256: str = POLICY_SHA256,
        report_sha256: str = REPORT_SHA256,
        previous_sha256: str | None = None,
        comment: str = "I read it.",
        acknowledged: Sequence[Acknowledgement] = (),
    ) -> bytes:
        """Return a review bundle, signed by `by`."""
        statement = statements.review_statement(
            filename,
            sha256(wheel),
            decision=decision,
            report_sha256=report_sha256,
            previous_sha256=previous_sha256,
            policy_sha256=policy_sha256,
            comment=comment,
            acknowledged=acknowledged,
        )
        return self.sigstore.sign(by, statement)

    def publish(
        self,
        filename: str,
        wheel: bytes,
        bundles: Sequence[bytes],
        *,
        by: str | None = None,
        verifier_id: str | None = None,
        layout: bytes | None = None,
        resource_uri: str | None = None,
        inputs: Sequence[str] | None = None,
    ) -> bytes:
        """Return a publish bundle over `bundles`, signed by the registry or `by`."""
        signer = by or self.registry
        statement = statements.publish_statement(
            filename,
            sha256(wheel),
            inputs=[sha256(b) for b in bundles] if inputs is None else inputs,
            layout_sha256=layout_sha256(layout or self.layout),
            time=datetime.now(UTC),
            verifier_id=verifier_id or signer,
            resource_uri=resource_uri,
        )
        return self.sigstore.sign(signer, statement)

    def before_publish(self, filename: str, wheel: bytes) -> list[bytes]:
        """Return submit, scan and two reviews."""
        return [
            self.submit(filename, wheel),
            self.scan(filename, wheel),
            self.review(filename, wheel, self.reviewers[0]),
            self.review(filename, wheel, self.reviewers[1]),
        ]

    def full(self, filename: str, wheel: bytes) -> list[bytes]:
        """Return submit, scan, two reviews and publish: enough to be admitted."""
        bundles = self.before_publish(filename, wheel)
        return [*bundles, self.publish(filename, wheel, bundles)]

    def decide(
        self,
        wheel: bytes,
        filename: str,
        bundles: Sequence[bytes],
        *,
        gate: Gate | None = None,
        publishers: Sequence[Identity] | None = None,
        now: datetime | None = None,
        before_publish: bool = False,
    ) -> Decision:
        """Ask the gate, now, with the author as the one publisher."""
        return (gate or self.gate).decide(
            wheel,
            filename,
            bundles,
            self.publishers if publishers is None else publishers,
            now or datetime.now(UTC),
            before_publish=before_publish,
        )
