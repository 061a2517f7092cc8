"""A CI service: its keys, its identity tokens, and the endpoint at which its jobs ask for one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.support.servers import serving

ISSUER = "https://token.actions.githubusercontent.com"
REGISTERED = {"issuer": ISSUER, "repository": "alice/plugin", "workflow": "release.yml"}


class Service:
    """GitHub Actions, as far as its tokens go."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def write(self, path: Path) -> Path:
        """Write the registry's file of issuers."""
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        jwks = {"keys": [jwk | {"kid": "ci-1", "use": "sig", "alg": "RS256"}]}
        path.write_text(json.dumps({ISSUER: {"kind": "github", "jwks": jwks}}))
        return path

    def claims(self, audience: str, **changes: Any) -> dict[str, Any]:
        """Return what a job of the registered workflow says."""
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": ISSUER,
            "sub": "repo:alice/plugin:environment:release",
            "aud": audience,
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
            "repository": "alice/plugin",
            "repository_id": "1001",
            "repository_owner": "alice",
            "repository_owner_id": "77",
            "ref": "refs/tags/v1.0.0",
            "sha": "a" * 40,
            "job_workflow_ref": "alice/plugin/.github/workflows/release.yml@refs/tags/v1.0.0",
            "environment": "release",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, audience: str, **changes: Any) -> str:
        """Return a job's identity token."""
        return jwt.encode(self.claims(audience, **changes), self.key, "RS256", {"kid": "ci-1"})

    @contextmanager
    def job(self) -> Iterator[dict[str, str]]:
        """Serve the endpoint that a job asks; yield the job's environment."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                (audience,) = parse_qs(urlsplit(self.path).query)["audience"]
                assert self.headers["Authorization"].lower() == "bearer job"
                body = json.dumps({"count": 1, "value": service.token(audience)}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        with serving(Handler) as address:
            yield {
                "GITHUB_ACTIONS": "true",
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"{address}/?v=1",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job",
            }


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """Make a certificate for localhost: files of the issuer's, of its own, and of its key."""
    pem, now = serialization.Encoding.PEM, datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    paths = folder / "ca.pem", folder / "tls.pem", folder / "tls.key"
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("ca", "localhost")
    ]
    for number, path in enumerate(paths[:2]):
        made = (
            x509.CertificateBuilder()
            .subject_name(names[number])
            .issuer_name(names[0])
            .public_key(keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
            .sign(keys[0], hashes.SHA256())
        )
        path.write_bytes(made.public_bytes(pem))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[2].write_bytes(keys[1].private_bytes(pem, *private))
    return paths
