"""From verified statements to in-toto links, so that in-toto's own code can judge them.

in-toto counts functionaries and applies artifact rules to `Link` objects that arrive inside
`Metadata` objects whose signatures it asks to be verified. `StatementMetadata` is such a metadata
object around a statement that sigstore-python has verified: its payload is the link that the
statement amounts to, and its signature verifies for the key of the identity that signed it, and
for no other.

| step | materials | products |
|---|---|---|
| submit | | wheel |
| scan | wheel, scan policy | report |
| review | wheel, scan policy, report | wheel |
| publish | wheel | wheel |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from in_toto.exceptions import SignatureVerificationError
from in_toto.models.link import Link
from in_toto.models.metadata import Metadata
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import (  # type: ignore[attr-defined] # it declares no exports
    KEY_FOR_TYPE_AND_SCHEME,
    Signature,
    SigstoreKey,
)

from trust.evidence.bundles import EvidenceRefused, VerifiedStatement
from trust.evidence.predicates import POLICY, REPORT, WHEEL, Step, sha256_of
from trust.identity import Identity

KEY_TYPE: Final = SigstoreKey.DEFAULT_KEY_TYPE
KEY_SCHEME: Final = SigstoreKey.DEFAULT_SCHEME


class IdentityKey(SigstoreKey):
    """A functionary's key in a layout: a Sigstore identity.

    securesystemslib's own class verifies against the public Sigstore instance, over the network.
    Here nothing is ever verified through the key: `StatementMetadata` does it, offline, against
    the pinned trusted root.
    """

    def verify_signature(self, signature: Signature, data: bytes) -> None:
        """Refuse, always."""
        raise UnverifiedSignatureError("identities verify bundles, not bare signatures")


# in-toto validates the keys of a layout through this table; unlike the other types, Sigstore's
# has to be entered by whoever wants it.
KEY_FOR_TYPE_AND_SCHEME[(KEY_TYPE, KEY_SCHEME)] = IdentityKey


def functionary_key(identity: Identity) -> dict[str, Any]:
    """Return the layout's key entry for an identity; its key id is `Identity.keyid`."""
    return {
        "keyid": identity.keyid,
        "keytype": KEY_TYPE,
        "scheme": KEY_SCHEME,
        "keyval": {"identity": identity.subject, "issuer": identity.issuer},
    }


def to_link(step: Step, statement: VerifiedStatement) -> Link:
    """Return the in-toto link that a statement amounts to.

    Args:
        step: the statement's step.
        statement: a statement whose predicate `check_predicate` accepted.
    """
    wheel = {WHEEL: {"sha256": statement.subjects[0].sha256}}
    predicate = statement.predicate
    materials: dict[str, dict[str, str]]
    products: dict[str, dict[str, str]]
    if step == "submit":
        materials, products = {}, wheel
    elif step == "scan":
        policy = {POLICY: {"sha256": sha256_of(predicate["configuration"][0])}}
        materials = wheel | policy
        products = {REPORT: {"sha256": sha256_of(predicate["sealgate_report"])}}
    elif step == "review":
        policy = {POLICY: {"sha256": sha256_of(predicate["policy"])}}
        report = {REPORT: {"sha256": sha256_of(predicate["report"])}}
        materials, products = wheel | policy | report, wheel
    else:
        materials, products = wheel, wheel
    return Link(name=step, materials=materials, products=products)


class StatementMetadata(Metadata):  # type: ignore[misc] # in-toto ships no types: its base is Any
    """A verified statement as in-toto metadata."""

    def __init__(self, step: Step, statement: VerifiedStatement) -> None:
        """Wrap a statement whose predicate `check_predicate` accepted."""
        self.statement = statement
        self._link = to_link(step, statement)

    def get_payload(self) -> Link:
        """Return the link."""
        return self._link

    def verify_signature(self, verification_key: Mapping[str, Any]) -> None:
        """Check that `verification_key` is the key of the identity that signed.

        Raises:
            SignatureVerificationError: it is another key, or a key whose id is not its own.
        """
        try:
            value = verification_key["keyval"]
            identity = Identity(value["issuer"], value["identity"])
            if dict(verification_key) != functionary_key(identity):
                raise SignatureVerificationError("the key's id is not that of its identity")
            if identity != self.statement.identity:
                raise SignatureVerificationError("the statement is signed by somebody else")
            self.statement.check_signer(identity)
        except (EvidenceRefused, KeyError, TypeError) as error:
            raise SignatureVerificationError("the statement is signed by somebody else") from error
