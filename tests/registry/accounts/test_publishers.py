"""Trusted publishing: who registers what, which identity tokens are exchanged, and for what."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import TestResponse

from registry.accounts import publishers, tokens
from registry.accounts.issuers import KINDS, checked_claims
from registry.accounts.settings import AccountSettings
from registry.errors import InvalidSettings
from registry.settings import account_settings
from tests.registry.accounts.ci import REGISTERED, Service, certificate
from tests.registry.accounts.people import ADMIN, AUTHOR, OTHER, OWN, Town
from tests.registry.accounts.test_tokens import account, code, upload
from tests.registry.pypi.tools import BIN
from tests.registry.pypi.tools import Town as Served
from tests.support import ports, servers
from tests.support.evidence import TrustFixture
from tests.support.registry import BASE_URL, RegistryFixture, settings_for
from tests.support.wheels import make_wheel
from trust.identity import Identity

PAGE = "/plugins/example-plugin/publishers"


@pytest.fixture(scope="module")
def ci() -> Service:
    return Service()


@pytest.fixture
def town(trust: TrustFixture, ci: Service, tmp_path: Path) -> Iterator[Town]:
    made = Town(trust, tmp_path, publisher_issuers=ci.write(tmp_path / "issuers.json"))
    made.registry.submit(*make_wheel())
    made.registry.submit(*make_wheel(name="other-plugin"), by=OTHER)
    yield made
    made.registry.services.close()


@pytest.fixture(scope="module")
def trusting(
    trust: TrustFixture, ci: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """A registry with one trusted publisher, shared by tests that must not change it."""
    folder = tmp_path_factory.mktemp("trusting")
    made = Town(trust, folder, publisher_issuers=ci.write(folder / "issuers.json"))
    made.registry.submit(*make_wheel())
    register(made, environment="release")
    yield made
    made.registry.services.close()


def register(town: Town, who: str = AUTHOR, page: str = PAGE, **changes: str) -> TestResponse:
    return town.client(who).post(page, data=REGISTERED | changes, headers=OWN)


def exchange(town: Town, token: str) -> TestResponse:
    return town.client().post("/_/oidc/mint-token", json={"token": token})


def reason(reply: TestResponse) -> str:
    body = reply.get_json()
    assert (reply.status_code, body["message"]) == (422, body["problems"][0]["what"])
    found: str = body["errors"][0]["code"]
    return found


def test_a_job_gets_a_token_that_uploads_its_plugin_for_15_minutes(town: Town, ci: Service) -> None:
    assert register(town).status_code == 303
    assert town.client().get("/_/oidc/audience").get_json() == {"audience": BASE_URL}
    minted = exchange(town, ci.token(BASE_URL)).get_json()
    assert (minted["success"], minted["plugins"]) == (True, ["example-plugin"])
    token = minted["token"]
    assert upload(town, token).status_code == 200
    other = upload(town, token, "other-plugin", by=OTHER)
    assert (other.status_code, code(other)) == (403, "accounts.token-plugin")
    assert code(account(town, token)) == "accounts.scope"
    town.registry.now = lambda: datetime.now(UTC) + timedelta(minutes=15)
    assert upload(town, token).status_code == 401


def test_the_job_does_not_stand_in_for_the_author(town: Town, ci: Service) -> None:
    register(town)
    token = exchange(town, ci.token(BASE_URL)).get_json()["token"]
    reply = upload(town, token, by=OTHER)
    assert (reply.status_code, code(reply)) == (403, "registry.name-taken")


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "mallory/plugin"},
        {"repository": "alice/plugin2"},
        {"repository": None},
        {"job_workflow_ref": "alice/plugin/.github/workflows/test.yml@refs/tags/v1.0.0"},
        {"job_workflow_ref": "mallory/x/.github/workflows/release.yml@refs/tags/v1.0.0"},
        {"job_workflow_ref": "alice/plugin/.github/workflows/release.yml@refs/heads/other"},
        {"job_workflow_ref": None},
        {"environment": "test"},
        {"environment": None},
        {"repository_id": None},
    ],
    ids=str,
)
def test_claims_that_are_not_the_registered_ones(
    trusting: Town, ci: Service, changes: dict[str, Any]
) -> None:
    assert reason(exchange(trusting, ci.token(BASE_URL, **changes))) == "publishing.no-publisher"
    assert exchange(trusting, ci.token(BASE_URL)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "pypi"},
        {"aud": f"{BASE_URL}/"},
        {"aud": [BASE_URL, "pypi"]},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1 << 40},
        {"exp": float("nan")},
        {"iat": float("nan")},
        {"nbf": float("nan")},
        {"iat": 1 << 40},
        {"nbf": 1 << 40},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"sub": "line\nbreak"},
    ],
    ids=str,
)
def test_a_token_that_is_not_good(trusting: Town, ci: Service, changes: dict[str, Any]) -> None:

    assert reason(exchange(trusting, ci.token(BASE_URL, **changes))) == "publishing.token"


def with_the_public_key(claims: dict[str, Any], public: bytes) -> str:
    """Return a token under HS256 whose secret is the public key (RFC 8725 section 2.1)."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = {"alg": "HS256", "typ": "JWT", "kid": "ci-1"}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    return f"{text}.{encoded(hmac.digest(public, text.encode(), hashlib.sha256))}"


def test_a_token_that_somebody_else_signed(trusting: Town, ci: Service) -> None:

    claims = ci.claims(BASE_URL)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = ci.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    good = ci.token(BASE_URL)
    forged = [
        jwt.encode(claims, other, "RS256", {"kid": "ci-1"}),
        jwt.encode(claims, ci.key, "RS256", {"kid": "ci-2"}),
        jwt.encode(claims, ci.key, "RS256"),
        jwt.encode(claims, ci.key, "RS512", {"kid": "ci-1"}),
        with_the_public_key(claims, public),
        jwt.encode(claims, None, "none", {"kid": "ci-1"}),
        good[:-4] + "AAAA",
        good.rsplit(".", 1)[0] + ".",
        "x",
        "",
        "a.b.c",
        "x" * 20_000,
    ]
    assert [reason(exchange(trusting, text)) for text in forged] == ["publishing.token"] * len(
        forged
    )


def test_a_token_is_exchanged_once(town: Town, ci: Service) -> None:
    register(town)
    token = ci.token(BASE_URL)
    assert exchange(town, token).status_code == 200
    assert reason(exchange(town, token)) == "publishing.replay"
    # Nor another token with the same id, nor after the record could be forgotten.
    claims = ci.claims(BASE_URL)
    again = jwt.decode(token, options={"verify_signature": False})["jti"]
    assert reason(exchange(town, ci.token(BASE_URL, jti=again))) == "publishing.replay"
    assert exchange(town, ci.token(BASE_URL, jti=claims["jti"])).status_code == 200
    assert len(tokens.listed(town.registry.services, None)) == 2


def test_a_repository_that_was_made_anew_is_another(town: Town, ci: Service) -> None:
    """Whoever takes a freed name gets new ids: the first token's ids are kept."""
    register(town)
    assert exchange(town, ci.token(BASE_URL)).status_code == 200
    for changes in ({"repository_id": "2002"}, {"repository_owner_id": "88"}):
        assert reason(exchange(town, ci.token(BASE_URL, **changes))) == "publishing.taken-over"
    assert "1001" in town.client(AUTHOR).get(PAGE).text


@pytest.mark.parametrize("who", [None, OTHER, "somebody@example.com"])
def test_others_neither_see_nor_change_a_plugins_publishers(town: Town, who: str | None) -> None:
    register(town)
    client = town.client(who)
    assert client.get(PAGE).status_code in (303, 403)
    assert client.post(PAGE, data=REGISTERED, headers=OWN).status_code in (401, 403)
    assert client.post(f"{PAGE}/1/remove", headers=OWN).status_code in (401, 403)
    assert len(publishers.listed(town.registry.services, "example-plugin")) == 1


def test_a_publisher_is_removed_with_its_tokens(town: Town, ci: Service) -> None:
    assert register(town, ADMIN).status_code == 303  # an admin may, for a plugin that a CI owns
    token = exchange(town, ci.token(BASE_URL)).get_json()["token"]
    (row,) = publishers.listed(town.registry.services, "example-plugin")
    assert row.added_by.subject == ADMIN
    # By another plugin's address it is not found.
    theirs = f"/plugins/other-plugin/publishers/{row.id}/remove"
    assert town.client(OTHER).post(theirs, headers=OWN).status_code == 404
    assert town.client(AUTHOR).post(f"{PAGE}/{row.id}/remove", headers=OWN).status_code == 303
    assert upload(town, token).status_code == 401
    assert reason(exchange(town, ci.token(BASE_URL))) == "publishing.no-publisher"


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": ""},
        {"repository": "alice"},
        {"repository": "alice/../x"},
        {"repository": "<script>/x"},
        {"workflow": "release.sh"},
        {"workflow": "../release.yml"},
        {"workflow": ""},
        {"environment": "a b"},
    ],
    ids=str,
)
def test_a_registration_that_is_wrong(trusting: Town, changes: dict[str, str]) -> None:
    page = register(trusting, **changes)
    assert page.status_code == 400
    assert "<script>" not in page.text
    assert len(publishers.listed(trusting.registry.services, "example-plugin")) == 1


def test_a_registration_stands_once(town: Town) -> None:
    assert [register(town).status_code for _ in range(2)] == [303, 409]


def test_without_the_setting_there_is_none(trust: TrustFixture, tmp_path: Path) -> None:
    town = Town(trust, tmp_path)
    for reply in (town.client().get("/_/oidc/audience"), exchange(town, "x")):
        assert (reply.status_code, code(reply)) == (404, "publishing.off")
    town.registry.services.close()


@pytest.mark.parametrize("text", ["", "[]", '{"https://x": {}}', '{"https://x": {"kind": "y"}}'])
def test_a_damaged_file_of_services_exchanges_nothing(
    town: Town, ci: Service, tmp_path: Path, text: str
) -> None:
    register(town)
    (tmp_path / "issuers.json").write_text(text)
    assert exchange(town, ci.token(BASE_URL)).status_code in (422, 503)
    assert tokens.listed(town.registry.services, None) == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'"x"', b"{", b"x" * 40_000])
def test_requests_that_are_none(trusting: Town, body: bytes) -> None:
    reply = trusting.client().post("/_/oidc/mint-token", data=body, content_type="application/json")
    assert reply.status_code in (400, 413)


def test_settings_are_read_from_text(tmp_path: Path) -> None:
    path = tmp_path / "issuers.json"
    found = account_settings(
        {
            "SEALGATE_REGISTRY_ADMINS": "a@example.com b@example.com",
            "SEALGATE_REGISTRY_PUBLISHER_ISSUERS": str(path),
            "SEALGATE_REGISTRY_UPLOADS_PER_MINUTE": "7",
            "SEALGATE_REGISTRY_SIGN_INS_PER_MINUTE": "0",
        }
    )
    admins = frozenset({"a@example.com", "b@example.com"})
    assert found == AccountSettings(admins, path, 7, 0)
    assert account_settings({}) == AccountSettings()
    with pytest.raises(InvalidSettings):
        account_settings({"SEALGATE_REGISTRY_UPLOADS_PER_MINUTE": "many"})


GITLAB = {
    "iss": "https://gitlab.example",
    "sub": "project_path:group/sub/project:ref_type:tag:ref:v1",
    "project_path": "group/sub/project",
    "project_id": "20",
    "namespace_id": "72",
    "ref_path": "refs/tags/v1",
    "ci_config_ref_uri": "gitlab.example/group/sub/project//.gitlab-ci.yml@refs/tags/v1",
    "environment": "release",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"project_path": "group/sub/other"},
        {"ci_config_ref_uri": "gitlab.example/group/sub/project//other.yml@refs/tags/v1"},
        {"ci_config_ref_uri": "gitlab.example/evil/x//.gitlab-ci.yml@refs/tags/v1"},
        {"ref_path": "refs/heads/main"},
        {"environment": "test"},
        {"iss": "https://evil.example"},
    ],
    ids=str,
)
def test_jobs_of_gitlab(changes: dict[str, str]) -> None:
    kind = KINDS["gitlab"]
    form = {
        "project": "group/sub/project",
        "workflow": ".gitlab-ci.yml",
        "environment": "release",
    }
    registered = checked_claims(kind, form)
    assert registered == form
    assert kind.matches(form, GITLAB)
    assert not kind.matches(form, GITLAB | changes)


def test_jobs_of_another_service() -> None:
    kind, form = KINDS["other"], {"sub": "https://ci.example/release"}
    assert checked_claims(kind, form) == form
    assert kind.matches(form, form)
    assert not kind.matches(form, {"sub": "https://ci.example/release2"})
    assert not kind.matches(form, {})


def test_settings_that_are_wrong(trust: TrustFixture, tmp_path: Path) -> None:
    for wrong in ({"publisher_issuers": tmp_path / "none"}, {"uploads_per_minute": -1}):
        with pytest.raises(InvalidSettings):
            settings_for(trust, tmp_path, accounts=AccountSettings(**wrong))  # type: ignore[arg-type]


@pytest.mark.slow
def test_uv_publishes_as_a_trusted_publisher(
    trust: TrustFixture, ci: Service, tmp_path: Path
) -> None:
    """`uv publish --trusted-publishing always`, unmodified, as in a job of GitHub Actions."""
    with served(trust, ci, tmp_path) as town, ci.job() as environment:
        assert town.registry.submit(*town.wheel("1.0.0")).status_code == 201
        services = town.registry.services
        wheel = town.wheel("1.1.0")
        town.dist(*wheel, town.attestation(*wheel))

        def publish() -> subprocess.CompletedProcess[str]:
            kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_NO_CONFIG": "1"}
            return subprocess.run(
                [
                    *(str(BIN / "uv"), "--no-progress", "publish"),
                    *("--publish-url", f"{town.url}/legacy/"),
                    *("--trusted-publishing", "always", "dist/*"),
                ],
                cwd=tmp_path,
                env=kept | environment | {"SSL_CERT_FILE": str(tmp_path / "ca.pem")},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        stranger = publish()
        assert stranger.returncode != 0
        assert "no plugin trusts this publisher" in stranger.stderr
        publishers.add(services, "example-plugin", Identity(trust.issuer, AUTHOR), REGISTERED)
        done = publish()
        assert done.returncode == 0, done.stderr
        assert town.registry.view(version="1.1.0")["author"]["subject"] == AUTHOR
        (token,) = tokens.listed(services, None)
        assert (token.kind, token.plugins) == ("publisher", ("example-plugin",))
        assert token.last_used_at is not None


@contextmanager
def served(trust: TrustFixture, ci: Service, folder: Path) -> Iterator[Served]:
    """Serve an empty registry over TLS, which `uv` wants for the exchange."""
    accounts = AccountSettings(publisher_issuers=ci.write(folder / "issuers.json"))
    (port,) = ports.free()
    url = f"https://localhost:{port}"
    registry = RegistryFixture.make(trust, folder, base_url=url, accounts=accounts)
    files = tuple(map(str, certificate(folder)[1:]))
    try:
        with servers.application(registry.app, port, ssl_context=files):
            yield Served(registry, url, folder)
    finally:
        registry.services.close()
