"""Callers by JSON Web Token: what is believed, and everything that is not."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runner.jwt_callers import MAX_LIFETIME_SECONDS, MAX_TOKEN_BYTES
from runner.policy import Policy
from runner.policy_file import PolicyInvalid, parse_policy
from runner.setup import default_policy, make_caller_token
from tests.runner.kit import IMAGE, Site, codes
from trust.identity import Identity
from trust.outcomes import Failed, Passed

ISSUER, AUDIENCE, SUBJECT = "https://issuer.test", "runner.test", "https://service.test/billing"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = int(NOW.timestamp())
OPAQUE = make_caller_token()
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
ALGORITHMS: dict[str, Any] = {
    "ES256": jwt.algorithms.ECAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}
SIGNERS: dict[str, Any] = {"ES256": EC_KEY, "RS256": RSA_KEY, "EdDSA": ED_KEY}


def jwk(key: Any, algorithm: str, **members: Any) -> dict[str, Any]:
    public: dict[str, Any] = ALGORITHMS[algorithm].to_jwk(key, as_dict=True)
    return {**public, "kid": algorithm} | members


def jwks() -> list[dict[str, Any]]:
    return [jwk(key.public_key(), name) for name, key in SIGNERS.items()]


def issuers() -> list[dict[str, Any]]:
    return [{"issuer": ISSUER, "audience": AUDIENCE, "jwks": {"keys": jwks()}}]


def caller(**members: Any) -> dict[str, Any]:
    identity = {"issuer": ISSUER, "subject": SUBJECT}
    return {"name": "billing", "identity": identity, "allow": []} | members


def policy(change: Callable[[dict[str, Any]], Any] = lambda _: None) -> Policy:
    document = default_policy(
        image=IMAGE,
        registry="http://127.0.0.1:1",
        callers={"demo": OPAQUE.sha256},
        plugins={"one": [Identity(ISSUER, "alice@example.com")]},
    )
    document["issuers"] = issuers()
    document["callers"].append(caller())
    change(document)
    return parse_policy(json.dumps(document).encode())


def token(
    key: Any = EC_KEY,
    algorithm: str = "ES256",
    *,
    now: int = STAMP,
    kid: str | None = None,
    **c: Any,
) -> str:
    """Sign a token that is good, with the claims that `c` changes, or drops where None."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 300} | c
    held = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(held, key, algorithm, headers={"kid": kid or algorithm})


def code(outcome: object) -> str:
    assert isinstance(outcome, Failed)
    return outcome.problems[0].code


def raw(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Assemble a token that the library would refuse to make."""
    parts = [json.dumps(each).encode() for each in (header, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return (signed + b"." + base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")).decode()


CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": STAMP, "exp": STAMP + 300}


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_token_of_each_kind_of_key_is_its_caller(algorithm: str) -> None:
    found = policy().authenticate(token(SIGNERS[algorithm], algorithm), NOW)
    assert isinstance(found, Passed)
    assert found.value.name == "billing"


@pytest.mark.parametrize(
    "good",
    [
        token(aud=["another", AUDIENCE]),
        token(exp=STAMP - 29, iat=STAMP - 300),
        token(iat=STAMP + 29),
        token(nbf=STAMP + 29),
        token(exp=STAMP + MAX_LIFETIME_SECONDS),
        token(iat=STAMP - 0.5),
    ],
    ids=["audiences", "leeway-exp", "leeway-iat", "leeway-nbf", "longest", "fraction"],
)
def test_the_edges_of_a_good_token(good: str) -> None:
    assert isinstance(policy().authenticate(good, NOW), Passed)


def test_an_opaque_token_still_counts_beside() -> None:
    found = policy().authenticate(OPAQUE.token, NOW)
    assert isinstance(found, Passed)
    assert found.value.name == "demo"


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (token(aud="another"), "audience"),
        (token(aud=None), "claims"),
        (token(sub=None), "claims"),
        (token(sub=""), "claims"),
        (token(exp=None), "claims"),
        (token(iat=None), "claims"),
        (token(exp="soon"), "claims"),
        (token(exp=True), "claims"),
        (token(nbf=[]), "claims"),
        (token(exp=10**400), "claims"),
        (raw({"alg": "ES256", "kid": "ES256"}, CLAIMS | {"exp": float("inf")}, bytes), "signature"),
        (token(exp=STAMP - 30, iat=STAMP - 300), "expired"),
        (token(iat=STAMP + 31), "early"),
        (token(nbf=STAMP + 31), "early"),
        (token(exp=STAMP + MAX_LIFETIME_SECONDS + 1), "lifetime"),
        (token(iat=STAMP + 20, exp=STAMP + 10), "lifetime"),
        (token(OTHER_KEY), "signature"),
        (token(kid="another"), "key"),
        (token(kid="RS256"), "signature"),
        (jwt.encode(CLAIMS, EC_KEY, "ES256"), "key"),
        (raw({"alg": "none", "kid": "ES256"}, CLAIMS, lambda _: b""), "signature"),
        (raw({"alg": "PS256", "kid": "RS256"}, CLAIMS, lambda _: b"x"), "signature"),
    ],
)  # fmt: skip
def test_a_bad_token_is_refused(bad: str, expected: str) -> None:
    outcome = policy().authenticate(bad, NOW)
    assert code(outcome) == f"caller.token-{expected}"
    assert bad.split(".")[2][:20] not in str(outcome) or not bad.split(".")[2]


@pytest.mark.parametrize("name", SIGNERS)
def test_a_public_key_is_no_hmac_secret(name: str) -> None:
    public = SIGNERS[name].public_key()
    encoded = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk(public, name)).encode(),
    ]
    for secret in encoded:
        header = {"alg": "HS256", "kid": name}
        forged = raw(header, CLAIMS, partial(hmac.digest, secret, digest="sha256"))
        assert code(policy().authenticate(forged, NOW)) == "caller.token-signature"


def test_a_token_does_not_name_its_algorithm() -> None:
    """A signature that is right counts for nothing under the name of another algorithm."""
    for name in ("HS256", "none", "ES256"):
        lying = raw({"alg": name, "kid": "EdDSA"}, CLAIMS, ED_KEY.sign)
        assert code(policy().authenticate(lying, NOW)) == "caller.token-signature"


def test_a_token_brings_no_key_of_its_own() -> None:
    header = {"kid": "mine", "jwk": jwk(OTHER_KEY.public_key(), "ES256", kid="mine")}
    forged = jwt.encode(CLAIMS, OTHER_KEY, "ES256", headers=header)
    assert code(policy().authenticate(forged, NOW)) == "caller.token-key"


@pytest.mark.parametrize(
    "bad",
    [
        token(iss="https://other.test"),
        token(iss=ISSUER + "/"),
        token(iss=None),
        token(sub="https://service.test/other"),
        token(sub=SUBJECT.upper()),
        token(pad="x" * MAX_TOKEN_BYTES),
        "..",
        "a.b.c",
        "\udcff.\udcff.\udcff",
        base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.",
        raw({"alg": "ES256", "kid": "ES256"}, CLAIMS | {"iss": [ISSUER]}, bytes),
        raw({"alg": "ES256", "kid": "ES256", "crit": ["x"], "x": 1}, CLAIMS, bytes),
        raw({"alg": "ES256", "kid": 1}, CLAIMS, bytes),
        token() + ".",
        "",
    ],
)
def test_what_is_no_caller_s_token_is_unknown(bad: str) -> None:
    assert code(policy().authenticate(bad, NOW)) == "caller.unknown"


def test_an_issuer_speaks_only_for_its_own_subjects() -> None:
    """A second issuer, fully trusted for its own, cannot name the first one's subject."""

    def second(document: dict[str, Any]) -> None:
        key = jwk(OTHER_KEY.public_key(), "ES256")
        other = {"issuer": "https://two.test", "audience": AUDIENCE, "jwks": {"keys": [key]}}
        document["issuers"].append(other)

    both = policy(second)
    assert code(both.authenticate(token(OTHER_KEY, iss="https://two.test"), NOW)) == (
        "caller.unknown"
    )
    assert code(both.authenticate(token(OTHER_KEY), NOW)) == "caller.token-signature"


def test_a_caller_s_expiry_ends_its_tokens_too() -> None:
    ended = policy(lambda d: d["callers"][1].update(expires="2025-12-31T00:00:00Z"))
    assert code(ended.authenticate(token(), NOW)) == "caller.expired"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: d["callers"][1].update(token_sha256=OPAQUE.sha256), "/callers/1"),
        (lambda d: d["callers"][1].pop("identity"), "/callers/1"),
        (lambda d: d["callers"].append(caller(name="again")), "/callers/2/identity"),
        (lambda d: d.pop("issuers"), "/callers/1/identity/issuer"),
        (lambda d: d["issuers"].append(d["issuers"][0]), "/issuers/1/issuer"),
        (lambda d: d["issuers"][0].update(jwks_uri="https://x"), "/issuers/0"),
        (lambda d: d["issuers"][0].pop("audience"), "/issuers/0/audience"),
        (lambda d: d["issuers"][0]["jwks"].update(keys=[]), "/issuers/0/jwks/keys"),
    ],
)
def test_a_contradictory_policy_is_refused(
    change: Callable[[dict[str, Any]], Any], where: str
) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy(change)
    assert where in [each.where for each in caught.value.problems]


@pytest.mark.parametrize(
    "key",
    [
        jwk(EC_KEY, "ES256"),
        jwk(RSA_KEY, "RS256"),
        jwk(ED_KEY, "EdDSA"),
        jwk(EC_KEY.public_key(), "ES256", alg="HS256"),
        jwk(RSA_KEY.public_key(), "RS256", alg="PS256"),
        jwk(EC_KEY.public_key(), "ES256", use="enc"),
        jwk(EC_KEY.public_key(), "ES256", x="AA"),
        jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), "ES256"),
        jwk(rsa.generate_private_key(65537, 1024).public_key(), "RS256"),
        {"kty": "oct", "k": "AAAA", "kid": "secret"},
        {"kty": "EC", "kid": "empty"},
        {"kty": "EC", "crv": "P-256", "x": [], "y": {}, "kid": "odd"},
    ],
)
def test_a_key_that_must_not_be_used_is_refused(key: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy(lambda d: d["issuers"][0]["jwks"].update(keys=[key]))
    assert all(each.where.startswith("/issuers/0/jwks/keys/0") for each in caught.value.problems)


def test_a_kid_names_one_key() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy(lambda d: d["issuers"][0]["jwks"]["keys"].append(jwks()[0]))
    assert [each.where for each in caught.value.problems] == ["/issuers/0/jwks/keys/3"]


def test_a_call_by_token_runs_and_the_log_holds_the_caller_not_the_token(site: Site) -> None:
    allow = site.policy["callers"][0]["allow"]
    site.policy["issuers"] = issuers()
    site.policy["callers"].append(caller(allow=allow))
    now = int(datetime.now(UTC).timestamp())
    good, bad = token(now=now), token(OTHER_KEY, now=now)
    with site.runner() as calls:
        assert calls.call(token=good)["status"] == "ok"
        refused = calls.post({"plugin": "x", "method": "y", "arguments": {}}, token=bad)
    assert refused.status_code == 401
    assert codes(refused.get_json()) == ["caller.token-signature"]
    assert next(r["caller"] for r in site.records() if r["type"] == "decision") == "billing"
    everything = site.log.read_bytes() + (site.state / "entrypoint.log").read_bytes()
    for each in (good, bad):
        assert each.split(".")[2].encode() not in everything


def test_a_key_that_leaves_the_policy_is_refused_at_once(site: Site) -> None:
    site.policy["issuers"] = issuers()
    site.policy["callers"].append(caller(allow=site.policy["callers"][0]["allow"]))
    soon = datetime.now(UTC) + timedelta(seconds=1)
    good = token(now=int(soon.timestamp()))
    with site.runner() as calls:
        assert calls.call(token=good)["status"] == "ok"
        site.policy["issuers"][0]["jwks"]["keys"] = jwks()[1:]
        rotated = parse_policy(json.dumps(site.policy).encode())
        calls.service.runner.adopt(rotated)
        assert codes(calls.call(token=good)) == ["caller.token-key"]
