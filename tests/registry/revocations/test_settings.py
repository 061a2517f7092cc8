"""The settings of the revocation log."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import InvalidSettings
from registry.revocations.settings import HEAD_SECONDS, parse_revokers
from registry.setting_reader import PREFIX
from registry.worker_settings import WorkerSettings
from tests.support.evidence import TrustFixture
from tests.support.registry import settings_for
from trust.identity import Identity
from trust.revocation.keyfile import KeyUnusable, create_signer, load_signer

ADMIN = Identity("https://issuer.example", "admin@example.com")


def environment(trust: TrustFixture, folder: Path, **more: str) -> dict[str, str]:
    settings = settings_for(trust, folder)
    secret = folder / "secret"
    secret.write_text("secret")
    values = {
        "DATABASE_URL": settings.database_url,
        "BLOB_DIR": str(settings.blob_dir),
        "TRUSTED_ROOT": str(settings.trusted_root),
        "LAYOUT": str(settings.layout),
        "LAYOUT_OWNERS": str(settings.layout_owners),
        "TRUSTED_ISSUERS": trust.issuer,
        "BASE_URL": settings.base_url,
        "CLIENT_TRUST_CONFIG": str(folder / "keys" / "client_trust_config.json"),
        "TOKEN_URL": "https://issuer.example/token",
        "SCANNER_ACCOUNT": "scanner",
        "SCANNER_SECRET_FILE": str(secret),
    }
    return {PREFIX + name: value for name, value in (values | more).items()}


def test_the_log_and_its_revokers(trust: TrustFixture, tmp_path: Path) -> None:
    key = tmp_path / "log.key"
    create_signer(key, "sealgate.test/revocations")
    values = environment(
        trust,
        tmp_path,
        REVOCATION_LOG=str(tmp_path / "log.sqlite"),
        REVOKERS=f"{ADMIN.issuer}|{ADMIN.subject} https://ci.example|https://ci.example/x",
        REVOCATION_KEY=str(key),
    )
    found = WorkerSettings.from_mapping(values)
    assert ADMIN in found.registry.revocations.revokers
    assert len(found.registry.revocations.revokers) == 2
    assert (found.revocation_log.key, found.revocation_log.head_seconds) == (key, HEAD_SECONDS)


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("REVOKERS", "admin@example.com", "REVOKERS"),
        ("REVOCATION_KEY", "/nowhere", "REVOCATION_KEY"),
        ("REVOCATION_HEAD_SECONDS", "-1", "REVOCATION_HEAD_SECONDS"),
        ("REVOCATION_LOG", "", "REVOCATION_LOG"),
    ],
)
def test_what_makes_no_sense_is_named(
    trust: TrustFixture, tmp_path: Path, name: str, value: str, where: str
) -> None:
    key = tmp_path / "log.key"
    create_signer(key, "sealgate.test/revocations")
    good = {"REVOCATION_LOG": str(tmp_path / "log.sqlite"), "REVOCATION_KEY": str(key)}
    with pytest.raises(InvalidSettings) as caught:
        WorkerSettings.from_mapping(environment(trust, tmp_path, **(good | {name: value})))
    assert PREFIX + where in [p.where for p in caught.value.problems]


def test_a_revoker_is_written_in_one_way() -> None:
    assert parse_revokers("https://i|a@b") == {Identity("https://i", "a@b")}
    for wrong in ("https://i", "|a@b", "https://i|"):
        with pytest.raises(ValueError, match=r"i|b"):
            parse_revokers(wrong)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    key = tmp_path / "log.key"
    made = create_signer(key, "sealgate.test/revocations")
    assert load_signer(key).verifier_key == made.verifier_key
    assert create_signer(key, "other.test/x").verifier_key == made.verifier_key, "it is kept"
    key.chmod(0o640)
    with pytest.raises(KeyUnusable, match=r"revocation-log\.key"):
        load_signer(key)
