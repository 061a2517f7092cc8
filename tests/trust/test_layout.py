"""The layout: who signed it, what it may say, and that anything else is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from trust.evidence.links import functionary_key
from trust.identity import Identity
from trust.layout import (
    RULES,
    LayoutRefused,
    Owners,
    build_layout,
    layout_sha256,
    load_layout,
    sign_layout,
    verify_layout,
)

ISSUER = "https://issuer.test"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
EXPIRES = datetime(2026, 7, 1, tzinfo=UTC)
REVIEWERS = ["bob@example.com", "carol@example.com", "dave@example.com"]
SCANNER = "https://sealgate.local/scanner"
REGISTRY = "https://sealgate.local/registry"

A, B, C, STRANGER = (CryptoSigner.generate_ed25519() for _ in range(4))


def who(subject: str, issuer: str = ISSUER) -> Identity:
    return Identity(issuer, subject)


def owners(threshold: int = 2, *signers: CryptoSigner) -> Owners:
    chosen = signers or (A, B, C)
    return Owners(threshold, {s.public_key.keyid: s.public_key.to_dict() for s in chosen})


def made(**changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "issuer": ISSUER,
        "reviewers": REVIEWERS,
        "scanner": SCANNER,
        "registry": REGISTRY,
        "review_threshold": 2,
        "expires": EXPIRES,
    }
    return build_layout(**(arguments | changes))


def payload(envelope: bytes) -> Any:
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))


def signed(data: Any, *signers: CryptoSigner) -> bytes:
    """Sign any payload as a layout: what in-toto's own classes would not write."""
    from in_toto.models.metadata import ENVELOPE_PAYLOAD_TYPE, Envelope

    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    envelope = Envelope(payload=body, payload_type=ENVELOPE_PAYLOAD_TYPE, signatures={})
    for signer in signers or (A, B):
        envelope.create_signature(signer)
    return json.dumps(envelope.to_dict()).encode()


def edited(edit: Callable[[Any], Any]) -> bytes:
    """Return a layout that its owners signed after `edit` changed it."""
    data = payload(sign_layout(made(), []))
    edit(data)
    return signed(data)


def refused(envelope: bytes, code: str, by: Owners | None = None, now: datetime = NOW) -> Any:
    with pytest.raises(LayoutRefused) as caught:
        load_layout(envelope, by or owners(), now)
    assert caught.value.problem.code == code, caught.value.diagnostics()
    assert caught.value.problem.advice
    return caught.value.problem


def test_a_layout_that_enough_owners_signed_is_read() -> None:
    layout = load_layout(sign_layout(made(), [A, C]), owners(), NOW)
    assert layout.signed_by == tuple(k for k in owners().keys if k != B.public_key.keyid)
    assert layout.expires == EXPIRES
    assert set(layout.functionaries["review"]) == {who(r) for r in REVIEWERS}
    assert layout.functionaries["submit"] == ()
    assert layout.functionaries["scan"] == (who(SCANNER),)
    assert layout.functionaries["publish"] == (who(REGISTRY),)
    assert layout.thresholds == {"submit": 1, "scan": 1, "review": 2, "publish": 1}


def test_identities_of_other_issuers_and_several_scanners_are_possible() -> None:
    other = who("ci@example.com", "https://other.test")
    layout = load_layout(sign_layout(made(scanner=[SCANNER, other]), [A, B]), owners(), NOW)
    assert set(layout.functionaries["scan"]) == {who(SCANNER), other}


def test_one_signature_too_few_is_refused() -> None:
    problem = refused(sign_layout(made(), [A]), "layout.signatures")
    assert problem.value == "1 of 2"


def test_no_signature_is_refused() -> None:
    refused(sign_layout(made(), []), "layout.signatures")


def test_a_stranger_does_not_count() -> None:
    refused(sign_layout(made(), [A, STRANGER]), "layout.signatures")


def test_the_same_owner_twice_counts_once() -> None:
    envelope = json.loads(sign_layout(made(), [A]))
    envelope["signatures"] *= 2
    refused(json.dumps(envelope).encode(), "layout.format")
    envelope["signatures"][1] = dict(envelope["signatures"][1], keyid=B.public_key.keyid)
    refused(json.dumps(envelope).encode(), "layout.signatures")


def test_an_owner_cannot_be_listed_twice_under_two_key_ids() -> None:
    document = json.loads(owners(2, A, B).dumps())
    keys = document["keys"]
    keys["ab" * 32] = keys[A.public_key.keyid]
    del keys[B.public_key.keyid]
    with pytest.raises(LayoutRefused) as caught:
        Owners.parse(json.dumps(document).encode())
    assert caught.value.problem.code == "owners.keyid"


@pytest.mark.parametrize("place", ["payload", "signature"])
def test_one_flipped_bit_is_refused(place: str) -> None:
    envelope = json.loads(sign_layout(made(), [A, B]))
    holder, member = (
        (envelope, "payload") if place == "payload" else (envelope["signatures"][0], "sig")
    )
    data = bytearray(base64.b64decode(holder[member]))
    data[20] ^= 1
    holder[member] = base64.b64encode(data).decode()
    refused(json.dumps(envelope).encode(), "layout.signatures")


def test_an_expired_layout_is_refused() -> None:
    envelope = sign_layout(made(), [A, B])
    load_layout(envelope, owners(), EXPIRES - timedelta(seconds=1))
    problem = refused(envelope, "layout.expired", now=EXPIRES)
    assert problem.value.startswith("2026-07-01")


def test_the_digest_is_of_what_is_signed_not_of_the_signatures() -> None:
    model = made()
    one, other = sign_layout(model, [A]), sign_layout(model, [B, A])
    assert one != other
    assert layout_sha256(one) == layout_sha256(other)
    assert layout_sha256(one) == verify_layout(other, owners()).sha256
    assert layout_sha256(one) != layout_sha256(sign_layout(made(readme="x"), [A]))
    with pytest.raises(LayoutRefused):
        layout_sha256(b"{}")


def test_owners_sign_in_turn() -> None:
    envelope = sign_layout(sign_layout(sign_layout(made(), []), [A]), [B])
    assert len(load_layout(envelope, owners(), NOW).signed_by) == 2
    with pytest.raises(LayoutRefused):
        sign_layout(b"[]", [A])


def test_inspections_are_refused_since_they_are_commands() -> None:
    inspection = {
        "_type": "inspection",
        "name": "look",
        "run": ["touch", "/tmp/owned"],
        "expected_materials": [],
        "expected_products": [],
    }
    refused(edited(lambda d: d["inspect"].append(inspection)), "layout.inspections")


def drop(name: str) -> Callable[[Any], None]:
    return lambda d: d.update(steps=[s for s in d["steps"] if s["name"] != name])


def at(step: int, **changes: Any) -> Callable[[Any], None]:
    return lambda d: d["steps"][step].update(changes)


@pytest.mark.parametrize("name", ["submit", "scan", "review", "publish"])
def test_a_missing_step_is_refused(name: str) -> None:
    refused(edited(drop(name)), "layout.steps")


def test_other_steps_or_another_order_are_refused() -> None:
    refused(edited(lambda d: d["steps"].reverse()), "layout.steps")
    refused(edited(lambda d: d["steps"].append(d["steps"][0])), "layout.steps")
    refused(edited(at(1, name="test")), "layout.steps")
    refused(edited(lambda d: d["steps"].append(dict(d["steps"][0], name="deploy"))), "layout.steps")


@pytest.mark.parametrize("threshold", [0, -1, True, 1.0, "2", None, 4])
def test_a_threshold_that_does_not_fit_is_refused(threshold: Any) -> None:
    refused(edited(at(2, threshold=threshold)), "layout.threshold")


def test_the_submit_step_names_nobody() -> None:
    keyid = who(REVIEWERS[0]).keyid
    refused(edited(at(0, pubkeys=[keyid])), "layout.submit")
    refused(edited(at(0, threshold=2)), "layout.threshold")


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("member", ["expected_materials", "expected_products"])
def test_rules_without_the_closing_disallow_are_refused(index: int, member: str) -> None:
    refused(edited(lambda d: d["steps"][index][member].pop()), "layout.rules")


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("member", ["expected_materials", "expected_products"])
def test_any_other_rule_before_is_refused(index: int, member: str) -> None:
    rules = lambda d: d["steps"][index][member]  # noqa: E731
    refused(edited(lambda d: rules(d).insert(0, ["ALLOW", "*"])), "layout.rules")
    loose = ["MATCH", "*", "WITH", "MATERIALS", "FROM", "review"]
    refused(edited(lambda d: rules(d).insert(0, loose)), "layout.rules")
    refused(edited(lambda d: rules(d).__setitem__(slice(None), [])), "layout.rules")


def test_every_rule_list_requires_first_and_disallows_last() -> None:
    for materials, products in RULES.values():
        for rules in (materials, products):
            assert rules[-1] == ["DISALLOW", "*"]
            kinds = [rule[0] for rule in rules]
            assert kinds == sorted(kinds, key=lambda k: {"REQUIRE": 0, "DISALLOW": 2}.get(k, 1))


def test_a_key_id_that_lies_is_refused() -> None:
    def second_id(d: Any) -> None:
        # One reviewer under two key ids would count twice.
        twin = dict(functionary_key(who(REVIEWERS[0])), keyid="ab" * 32)
        d["keys"]["ab" * 32] = twin
        d["steps"][2]["pubkeys"] = [who(REVIEWERS[0]).keyid, "ab" * 32]

    refused(edited(second_id), "layout.keyid")

    def other_identity(d: Any) -> None:
        d["keys"][who(REVIEWERS[0]).keyid]["keyval"]["identity"] = "eve@example.com"

    refused(edited(other_identity), "layout.keyid")


@pytest.mark.parametrize(
    "changes",
    [
        {"subkeys": {"ab" * 32: {}}},
        {"keytype": "ed25519"},
        {"scheme": "other"},
        {"keyval": {"identity": "a@b", "issuer": ISSUER, "more": 1}},
        {"keyid": "ab" * 32},
    ],
)
def test_a_functionary_is_a_sigstore_identity_and_nothing_more(changes: dict[str, Any]) -> None:
    keyid = who(REVIEWERS[0]).keyid
    refused(edited(lambda d: d["keys"][keyid].update(changes)), "layout.keyid")


@pytest.mark.parametrize("keyval", [None, {}, {"public": "ab"}, {"identity": 1, "issuer": 2}, "x"])
def test_a_functionary_without_identity_is_refused(keyval: Any) -> None:
    keyid = who(REVIEWERS[0]).keyid
    refused(edited(lambda d: d["keys"][keyid].update(keyval=keyval)), "layout.key")


@pytest.mark.parametrize("subject", ["", "a b@example.com", "a\nb@example.com"])
def test_an_unusable_identity_is_refused(subject: str) -> None:
    refused(sign_layout(made(reviewers=[*REVIEWERS, subject]), [A, B]), "layout.key")


def test_functionaries_are_distinct_and_have_keys() -> None:
    keyid = who(REVIEWERS[0]).keyid
    refused(edited(at(2, pubkeys=[keyid, keyid])), "layout.functionaries")
    refused(edited(at(2, pubkeys=[keyid, "ab" * 32])), "layout.functionaries")
    refused(edited(at(2, pubkeys=keyid)), "layout.functionaries")
    refused(edited(at(2, pubkeys=[keyid, 7])), "layout.functionaries")


@pytest.mark.parametrize("role", ["scanner", "registry"])
def test_a_reviewer_has_no_other_role(role: str) -> None:
    refused(sign_layout(made(**{role: REVIEWERS[0]}), [A, B]), "layout.roles")


def test_a_command_or_an_unknown_member_is_refused() -> None:
    refused(edited(at(1, expected_command=["rm"])), "layout.command")
    refused(edited(at(1, sublayout="x")), "layout.step")
    refused(edited(lambda d: d.update(sublayouts=[])), "layout.format")
    refused(edited(lambda d: d.pop("readme")), "layout.format")


@pytest.mark.parametrize("expires", ["", "2026-07-01", "2026-07-01T00:00:00+00:00", None, 7])
def test_a_malformed_expiry_is_refused(expires: Any) -> None:
    refused(edited(lambda d: d.update(expires=expires)), "layout.expires")


def test_an_impossible_date_is_refused() -> None:
    refused(edited(lambda d: d.update(expires="2026-02-31T00:00:00Z")), "layout.format")


def test_a_link_or_duplicate_members_are_no_layout() -> None:
    refused(signed({"_type": "link", "name": "x"}), "layout.format")
    text = json.dumps(payload(sign_layout(made(), []))).encode()
    refused(signed(b'{"expires":"2099-01-01T00:00:00Z",' + text[1:]), "json.invalid")


def test_other_envelopes_are_refused() -> None:
    envelope = json.loads(sign_layout(made(), [A, B]))
    legacy = {"signed": payload(sign_layout(made(), [])), "signatures": []}
    refused(json.dumps(legacy).encode(), "layout.format")
    refused(json.dumps(envelope | {"payloadType": "text/plain"}).encode(), "layout.format")
    refused(json.dumps(envelope | {"more": 1}).encode(), "layout.format")
    refused(json.dumps(envelope | {"signatures": {}}).encode(), "layout.format")
    refused(json.dumps(envelope).encode() + b" " * (1 << 20), "layout.size")


@pytest.mark.parametrize("garbage", [b"", b"null", b"[]", b"{}", b"\xff", b'{"payload":1}'])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(LayoutRefused):
        load_layout(garbage, owners(), NOW)


def test_an_owners_file_round_trips() -> None:
    keys = [Ed25519PrivateKey.generate().public_key() for _ in range(3)]
    made_of = Owners.of(2, keys)
    assert Owners.parse(made_of.dumps()) == made_of


@pytest.mark.parametrize("threshold", [0, 4, True, "1", None])
def test_an_owners_threshold_must_fit(threshold: Any) -> None:
    document = json.loads(owners().dumps()) | {"threshold": threshold}
    with pytest.raises(LayoutRefused) as caught:
        Owners.parse(json.dumps(document).encode())
    assert caught.value.problem.code == "owners.threshold"


@pytest.mark.parametrize(
    "changes",
    [
        {"keytype": "rsa"},
        {"scheme": "x"},
        {"keyval": {"public": "AB" * 32}},
        {"keyval": {"public": "ab"}},
        {"keyval": {"public": 1}},
        {"more": 1},
    ],
)
def test_an_owner_has_a_plain_ed25519_key(changes: dict[str, Any]) -> None:
    document = json.loads(owners(1, A).dumps())
    document["keys"][A.public_key.keyid].update(changes)
    with pytest.raises(LayoutRefused) as caught:
        Owners.parse(json.dumps(document).encode())
    assert caught.value.problem.code == "owners.key"


@pytest.mark.parametrize("garbage", [b"", b"[]", b"{}", b'{"schema_version":2}', b"\xff"])
def test_a_malformed_owners_file_is_refused(garbage: bytes) -> None:
    with pytest.raises(LayoutRefused) as caught:
        Owners.parse(garbage)
    assert caught.value.problem.code == "owners.format"
