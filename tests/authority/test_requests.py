"""What the authority refuses over HTTP, each with a clear message and without a stack trace."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from argon2 import PasswordHasher
from asn1crypto import core, tsp
from asn1crypto.tsp import PKIStatusInfo
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from flask.testing import FlaskClient
from sigstore.models import TrustedRoot
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel
from werkzeug.test import TestResponse

from authority.accounts import Accounts
from authority.app import MAX_BODY, create_app
from authority.core import Authority
from authority.keys import AuthorityKeys, new_ec_key
from authority.logservice import b64

URL = "http://127.0.0.1:8600"
ALICE = "alice@example.com"
SCANNER = "https://sealgate.local/scanner"
PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(clock: Clock) -> Authority:
    return Authority(AuthorityKeys.generate(clock()), URL, None, clock)


@pytest.fixture
def client(authority: Authority, clock: Clock, tmp_path: Path) -> FlaskClient:
    accounts = Accounts(tmp_path / "accounts.json", clock, CHEAP)
    accounts.ensure({ALICE: PASSWORD, SCANNER: PASSWORD})
    return create_app(authority, accounts).test_client()


def refusal(reply: TestResponse, status: int, text: str) -> None:
    body = reply.get_json()
    assert reply.status_code == status, body
    assert text in body["message"], body
    assert isinstance(body["code"], int)
    assert "Traceback" not in reply.get_data(as_text=True)


def csr_for(key: Any) -> bytes:
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def ask_certificate(client: FlaskClient, token: str, csr: bytes | None = None) -> TestResponse:
    return client.post(
        "/api/v2/signingCert",
        json={"certificateSigningRequest": b64(csr or csr_for(new_ec_key()))},
        headers={"Authorization": f"Bearer {token}"},
    )


class TestCertificates:
    def test_a_good_request(self, authority: Authority, client: FlaskClient) -> None:
        reply = ask_certificate(client, authority.tokens.mint(SCANNER))
        chain = reply.get_json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        leaf, issuer, root = (x509.load_pem_x509_certificate(c.encode()) for c in chain)
        leaf.verify_directly_issued_by(issuer)
        issuer.verify_directly_issued_by(root)
        assert (
            client.get("/api/v2/trustBundle").get_json()["chains"][0]["certificates"] == chain[1:]
        )

    def test_no_token(self, client: FlaskClient) -> None:
        refusal(ask_certificate(client, ""), 401, "authority.token")
        reply = client.post("/api/v2/signingCert", json={}, headers={"Authorization": "Basic x"})
        refusal(reply, 401, "authority.token")

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"aud": "other"}, "udience"),
            ({"aud": ["sigstore", "other"]}, "udience"),
            ({"aud": None}, "aud"),
            ({"iss": "http://127.0.0.1:8601"}, "ssuer"),
            ({"iss": None}, "iss"),
            ({"sub": None}, "sub"),
            ({"exp": None}, "exp"),
            ({"exp": "soon"}, "malformed"),
            ({"exp": True}, "malformed"),
            ({"iat": None}, "iat"),
            ({"nbf": 4_000_000_000}, "not valid yet"),
            ({"iat": 4_000_000_000}, "not valid yet"),
            ({"exp": 1_000_000_000}, "expired"),
        ],
    )
    def test_wrong_claims(
        self, authority: Authority, client: FlaskClient, change: dict[str, Any], text: str
    ) -> None:
        good = jwt.decode(authority.tokens.mint(ALICE), options={"verify_signature": False})
        claims = {k: v for k, v in (good | change).items() if v is not None}
        token = jwt.encode(claims, authority.keys.oidc, "ES256")
        refusal(ask_certificate(client, token), 401, text)

    @pytest.mark.parametrize(
        "subject", ["alice", "a@b c", "álice@example.com", "ftp://x/", "https://x/\n", "a" * 300, 7]
    )
    def test_subjects_that_cannot_stand_in_a_certificate(
        self, authority: Authority, client: FlaskClient, subject: object
    ) -> None:
        good = jwt.decode(authority.tokens.mint(ALICE), options={"verify_signature": False})
        token = jwt.encode(good | {"sub": subject}, authority.keys.oidc, "ES256")
        reply = ask_certificate(client, token)
        assert reply.status_code in (400, 401)
        assert "ubject" in reply.get_json()["message"]

    def test_a_token_expires(self, authority: Authority, client: FlaskClient, clock: Clock) -> None:
        token = authority.tokens.mint(ALICE)
        clock.now += timedelta(minutes=5) - timedelta(seconds=1)
        assert ask_certificate(client, token).status_code == 200
        clock.now += timedelta(seconds=1)
        refusal(ask_certificate(client, token), 401, "expired")

    def test_another_key(self, authority: Authority, client: FlaskClient) -> None:
        claims = jwt.decode(authority.tokens.mint(ALICE), options={"verify_signature": False})
        headers = {"kid": authority.tokens.key_id}
        token = jwt.encode(claims, new_ec_key(), "ES256", headers=headers)
        refusal(ask_certificate(client, token), 401, "ignature")

    def test_algorithm_none(self, authority: Authority, client: FlaskClient) -> None:
        claims = jwt.decode(authority.tokens.mint(ALICE), options={"verify_signature": False})
        refusal(ask_certificate(client, jwt.encode(claims, None, "none")), 401, "alg")

    def test_hs256_with_the_public_key(self, authority: Authority, client: FlaskClient) -> None:
        """RFC 8725 section 2.1: the public key must never serve as a shared secret."""
        header, claims, _ = authority.tokens.mint(ALICE).split(".")
        header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
        import hmac

        pem = authority.keys.oidc.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        mac = hmac.digest(pem, f"{header}.{claims}".encode(), "sha256")
        signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        refusal(ask_certificate(client, f"{header}.{claims}.{signature}"), 401, "alg")

    @pytest.mark.parametrize("token", ["x", "a.b.c", "é", "x" * 9000, "..", "e30.e30."])
    def test_not_a_token(self, client: FlaskClient, token: str) -> None:
        refusal(
            client.post(
                "/api/v2/signingCert",
                json={"credentials": {"oidcIdentityToken": token}},
            ),
            401,
            "authority.token",
        )

    def test_bad_proof_of_possession(self, authority: Authority, client: FlaskClient) -> None:
        """A CSR for somebody else's key, signed by ours."""
        der = x509.load_pem_x509_csr(csr_for(new_ec_key())).public_bytes(serialization.Encoding.DER)
        other = x509.load_pem_x509_csr(csr_for(new_ec_key()))
        signature = x509.load_der_x509_csr(der).signature
        swapped = other.public_bytes(serialization.Encoding.DER)
        assert len(swapped) > len(signature)
        forged = _replace_signature(other, der)
        refusal(ask_certificate(client, authority.tokens.mint(ALICE), forged), 400, "possession")

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda: b"junk", "csr"),
            (
                lambda: (
                    b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END "
                    b"CERTIFICATE REQUEST-----\n"
                ),
                "csr",
            ),
            (lambda: csr_for(rsa.generate_private_key(65537, 2048)), "P-256"),
            (lambda: csr_for(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        ],
    )
    def test_malformed_requests(
        self, authority: Authority, client: FlaskClient, make: Callable[[], bytes], text: str
    ) -> None:
        refusal(ask_certificate(client, authority.tokens.mint(ALICE), make()), 400, text)

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b"", "parsed"),
            (b"{", "parsed"),
            (b"[]", "not an object"),
            (b"{}", "names no key"),
            (b'{"certificateSigningRequest": 1}', "not base64"),
            (b'{"certificateSigningRequest": "!"}', "not base64"),
            (b'{"publicKeyRequest": {}}', "names no key"),
            (b'{"publicKeyRequest": {"publicKey": {}}}', "not base64"),
            (b'{"publicKeyRequest": {"publicKey": {}, "proofOfPossession": ""}}', "public key"),
            (b'{"a": 1, "a": 2}', "twice"),
        ],
    )
    def test_malformed_bodies(
        self, authority: Authority, client: FlaskClient, body: bytes, text: str
    ) -> None:
        headers = {"Authorization": f"Bearer {authority.tokens.mint(ALICE)}"}
        refusal(client.post("/api/v2/signingCert", data=body, headers=headers), 400, text)

    @pytest.mark.parametrize(
        "path", ["/api/v2/signingCert", "/api/v2/log/entries", "/api/v1/timestamp", "/token"]
    )
    def test_oversized_bodies(self, client: FlaskClient, path: str) -> None:
        reply = client.post(path, data={"grant_type": "x" * (MAX_BODY + 1)})
        refusal(reply, 413, "Too Large")

    def test_the_other_form_of_request(self, authority: Authority, client: FlaskClient) -> None:
        """cosign's: a public key, and a signature over the token's subject."""
        key = new_ec_key()
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

        def ask(subject: str) -> TestResponse:
            proof = key.sign(subject.encode(), ec.ECDSA(hashes.SHA256()))
            return client.post(
                "/api/v2/signingCert",
                json={
                    "credentials": {"oidcIdentityToken": authority.tokens.mint(ALICE)},
                    "publicKeyRequest": {
                        "publicKey": {"algorithm": "ECDSA", "content": pem.decode()},
                        "proofOfPossession": b64(proof),
                    },
                },
            )

        chain = ask(ALICE).get_json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        leaf = x509.load_pem_x509_certificate(chain[0].encode())
        assert leaf.public_key() == key.public_key()
        refusal(ask("mallory@example.com"), 400, "possession")


def _replace_signature(csr: x509.CertificateSigningRequest, donor: bytes) -> bytes:
    """Return `csr` as PEM under another request's signature."""
    from asn1crypto import csr as asn1_csr

    parsed = asn1_csr.CertificationRequest.load(csr.public_bytes(serialization.Encoding.DER))
    parsed["signature"] = asn1_csr.CertificationRequest.load(donor)["signature"]
    return (
        b"-----BEGIN CERTIFICATE REQUEST-----\n"
        + base64.encodebytes(parsed.dump(force=True))
        + b"-----END CERTIFICATE REQUEST-----\n"
    )


class TestTokens:
    def ask(self, client: FlaskClient, **fields: str) -> TestResponse:
        form = {"grant_type": "password", "username": ALICE, "password": PASSWORD}
        return client.post("/token", data=form | fields)

    @pytest.mark.parametrize("grant", ["password", "client_credentials"])
    @pytest.mark.parametrize("account", [ALICE, SCANNER])
    def test_both_grants(
        self, authority: Authority, client: FlaskClient, grant: str, account: str
    ) -> None:
        reply = self.ask(client, grant_type=grant, username=account)
        assert reply.headers["Cache-Control"] == "no-store"
        body = reply.get_json()
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 300)
        identity = authority.tokens.verify(body["id_token"])
        assert (identity.issuer, identity.subject) == (URL, account)

    def test_client_id_and_secret(self, authority: Authority, client: FlaskClient) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": SCANNER,
            "client_secret": PASSWORD,
        }
        token = client.post("/token", data=form).get_json()["id_token"]
        assert authority.tokens.verify(token).subject == SCANNER

    def test_the_published_key_verifies(self, client: FlaskClient, clock: Clock) -> None:
        configuration = client.get("/.well-known/openid-configuration").get_json()
        assert configuration["jwks_uri"] == f"{URL}/keys"
        (key,) = jwt.PyJWKSet.from_dict(client.get("/keys").get_json()).keys
        token = self.ask(client, audience="sealgate-runner").get_json()["id_token"]
        assert jwt.get_unverified_header(token)["kid"] == key.key_id
        claims = jwt.decode(
            token,
            key.key,
            algorithms=["ES256"],
            audience="sealgate-runner",
            issuer=configuration["issuer"],
            options={"verify_exp": False, "verify_iat": False},
        )
        assert (claims["sub"], claims["email"], claims["email_verified"]) == (ALICE, ALICE, True)

    @pytest.mark.parametrize(
        "fields",
        [
            {"password": "wrong password"},
            {"password": ""},
            {"password": PASSWORD + "x" * 2000},
            {"username": "mallory@example.com"},
            {"username": "Alice@example.com"},
            {"username": ""},
        ],
    )
    def test_wrong_credentials(self, client: FlaskClient, fields: dict[str, str]) -> None:
        reply = self.ask(client, **fields)
        refusal(reply, 401, "the account or its password is wrong")
        assert reply.get_json()["error"] == "invalid_grant"

    @pytest.mark.parametrize(
        "fields",
        [
            {"grant_type": "authorization_code"},
            {"grant_type": ""},
            {"audience": "x" * 201},
            {"audience": "a\nb"},
        ],
    )
    def test_malformed_requests(self, client: FlaskClient, fields: dict[str, str]) -> None:
        reply = self.ask(client, **fields)
        refusal(reply, 400, "malformed")
        assert reply.get_json()["error"] == "invalid_request"

    def test_a_field_twice(self, client: FlaskClient) -> None:
        form = {"grant_type": "password", "username": [ALICE, SCANNER], "password": PASSWORD}
        refusal(client.post("/token", data=form), 400, "twice")

    def test_guessing_is_slowed_down(self, client: FlaskClient, clock: Clock) -> None:
        for _ in range(5):
            refusal(self.ask(client, password="guess"), 401, "wrong")
        reply = self.ask(client)
        refusal(reply, 429, "too many failed attempts")
        assert reply.headers["Retry-After"] == "1"
        assert self.ask(client, username=SCANNER).status_code == 200
        clock.now += timedelta(seconds=1)
        assert self.ask(client).status_code == 200
        for _ in range(5):
            refusal(self.ask(client, password="guess"), 401, "wrong")
        for pause in (1, 2, 4, 8, 16, 32, 60, 60):
            clock.now += timedelta(seconds=pause - 1)
            if pause > 1:
                refusal(self.ask(client), 429, "too many")
            clock.now += timedelta(seconds=1)
            refusal(self.ask(client, password="guess"), 401, "wrong")


def entry_request(authority: Authority, digest: bytes = b"d" * 32) -> dict[str, Any]:
    """Return what sigstore-python sends to the log."""
    key = new_ec_key()
    pem = authority.signing_certificate(
        authority.tokens.mint(ALICE), {"certificateSigningRequest": b64(csr_for(key))}
    )[0]
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    signature = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    return {
        "hashedRekordRequestV002": {
            "digest": b64(digest),
            "signature": {
                "content": b64(signature),
                "verifier": {
                    "x509Certificate": {"rawBytes": b64(der)},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        }
    }


class TestLogEntries:
    def test_a_good_entry(self, authority: Authority, client: FlaskClient) -> None:
        reply = client.post("/api/v2/log/entries", json=entry_request(authority))
        assert reply.status_code == 201
        assert reply.get_json()["logIndex"] == "0"
        assert authority.log_service.log.size == 1

    @pytest.mark.parametrize(
        ("path", "value", "text"),
        [
            ((), {}, "malformed"),
            ((), {"dsseRequestV002": {}}, "malformed"),
            (("digest",), "!", "not base64"),
            (("digest",), b64(b"short"), "wrong length"),
            (("digest",), b64(b"x" * 32), "not the certificate's"),
            (("extra",), 1, "malformed"),
            (("signature", "content"), b64(b"junk"), "not the certificate's"),
            (("signature", "content"), 5, "not base64"),
            (("signature", "verifier", "keyDetails"), "PKIX_ED25519", "accepted kind"),
            (("signature", "verifier", "publicKey"), {}, "malformed"),
            (
                ("signature", "verifier", "x509Certificate", "rawBytes"),
                b64(b"junk"),
                "not this authority's",
            ),
        ],
    )
    def test_malformed_entries(
        self,
        authority: Authority,
        client: FlaskClient,
        path: tuple[str, ...],
        value: object,
        text: str,
    ) -> None:
        request = entry_request(authority)
        if path:
            place: Any = request["hashedRekordRequestV002"]
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
        else:
            request = value  # type: ignore[assignment]  # malformed on purpose
        refusal(client.post("/api/v2/log/entries", json=request), 400, text)
        assert authority.log_service.log.size == 0

    def test_another_authority_s_certificate(
        self, authority: Authority, client: FlaskClient, clock: Clock
    ) -> None:
        other = Authority(AuthorityKeys.generate(clock()), URL, None, clock)
        reply = client.post("/api/v2/log/entries", json=entry_request(other))
        refusal(reply, 400, "not this authority's")

    @pytest.mark.parametrize("later", [timedelta(minutes=10, seconds=1), -timedelta(seconds=1)])
    def test_a_certificate_out_of_its_time(
        self, authority: Authority, client: FlaskClient, clock: Clock, later: timedelta
    ) -> None:
        request = entry_request(authority)
        clock.now += later
        reply = client.post("/api/v2/log/entries", json=request)
        refusal(reply, 400, "the certificate is not valid now")

    def test_a_broken_log_is_an_honest_503(self, authority: Authority, client: FlaskClient) -> None:
        request = entry_request(authority)
        authority.log_service.log.close()
        reply = client.post("/api/v2/log/entries", json=request)
        refusal(reply, 503, "the transparency log is not available")


class TestTimestamps:
    def ask(self, client: FlaskClient, **fields: Any) -> bytes:
        request = {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": hashlib.sha256(b"x").digest(),
            },
        }
        data = tsp.TimeStampReq(request | fields).dump()
        reply = client.post("/api/v1/timestamp", data=data)
        assert reply.status_code == 201
        assert reply.mimetype == "application/timestamp-reply"
        return reply.get_data()

    def test_a_stamp(self, client: FlaskClient, clock: Clock) -> None:
        stamp = tsp.TimeStampResp.load(self.ask(client, nonce=77, cert_req=True), strict=True)
        assert stamp["status"]["status"].native == "granted"
        signed = stamp["time_stamp_token"]["content"]
        info = signed["encap_content_info"]["content"].parsed
        assert info["gen_time"].native == clock()
        assert info["nonce"].native == 77
        assert len(signed["certificates"]) == 1
        bare = tsp.TimeStampResp.load(self.ask(client))["time_stamp_token"]["content"]
        assert bare["certificates"].native is None
        serial = bare["encap_content_info"]["content"].parsed["serial_number"].native
        assert serial != info["serial_number"].native

    @pytest.mark.parametrize(
        ("fields", "failure"),
        [
            (
                {
                    "message_imprint": {
                        "hash_algorithm": {"algorithm": "sha1"},
                        "hashed_message": b"x" * 20,
                    }
                },
                "bad_alg",
            ),
            (
                {
                    "message_imprint": {
                        "hash_algorithm": {"algorithm": "sha256"},
                        "hashed_message": b"x" * 31,
                    }
                },
                "bad_data_format",
            ),
            ({"req_policy": "1.2.3"}, "unaccepted_policy"),
            (
                {"extensions": [{"extn_id": "1.2.3.4", "critical": True, "extn_value": b"x"}]},
                "unaccepted_extensions",
            ),
        ],
    )
    def test_rejections(self, client: FlaskClient, fields: dict[str, Any], failure: str) -> None:
        reply = core.SequenceOf.load(self.ask(client, **fields), strict=True, spec=PKIStatusInfo)
        (status,) = reply
        assert status["status"].native == "rejection"
        assert status["fail_info"].native == {failure}

    @pytest.mark.parametrize("data", [b"", b"junk", b"\x30\x80", b"\x30\x03\x02\x01\x01"])
    def test_not_a_request(self, client: FlaskClient, data: bytes) -> None:
        refusal(client.post("/api/v1/timestamp", data=data), 400, "malformed")

    def test_trailing_bytes(self, client: FlaskClient) -> None:
        request = tsp.TimeStampReq(
            {
                "version": "v1",
                "message_imprint": {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "hashed_message": b"x" * 32,
                },
            }
        ).dump()
        refusal(client.post("/api/v1/timestamp", data=request + b"\0"), 400, "malformed")


class TestHTTP:
    def test_unknown_addresses_and_methods(self, client: FlaskClient) -> None:
        refusal(client.get("/nothing"), 404, "Not Found")
        refusal(client.get("/token"), 405, "Method")

    def test_an_internal_error_shows_nothing(
        self, authority: Authority, client: FlaskClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A real one: the keys are gone."""
        authority.keys = None  # type: ignore[assignment]  # broken on purpose
        reply = client.get("/api/v2/trustBundle")
        assert reply.status_code == 500
        assert reply.get_json() == {"code": 13, "message": "internal error", "problems": []}
        assert "Traceback" in caplog.text

    def test_the_published_root_is_the_configured_one(
        self, authority: Authority, client: FlaskClient
    ) -> None:
        root = client.get("/trusted_root.json").get_json()
        assert root == authority.client_trust_config()["trustedRoot"]
        assert TrustedRoot(TrustedRootModel.from_json(json.dumps(root)))

    def test_health(self, client: FlaskClient) -> None:
        assert client.get("/healthz").get_json() == {"status": "ok", "log_size": 0}
