"""Settings: every missing or wrong one is named, together."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import InvalidSettings
from registry.setting_reader import PREFIX
from registry.settings import Settings
from registry.worker_settings import WorkerSettings


@pytest.fixture
def values(tmp_path: Path) -> dict[str, str]:
    """A complete environment."""
    for name in ("root", "layout", "owners", "config", "scanner", "publisher"):
        (tmp_path / name).write_text("{}")
    return {
        PREFIX + name: value
        for name, value in {
            "DATABASE_URL": f"sqlite:///{tmp_path}/registry.db",
            "BLOB_DIR": str(tmp_path / "blobs"),
            "TRUSTED_ROOT": str(tmp_path / "root"),
            "LAYOUT": str(tmp_path / "layout"),
            "LAYOUT_OWNERS": str(tmp_path / "owners"),
            "TRUSTED_ISSUERS": "https://a.example https://b.example",
            "BASE_URL": "https://registry.example",
            "CLIENT_TRUST_CONFIG": str(tmp_path / "config"),
            "TOKEN_URL": "https://a.example/token",
            "SCANNER_ACCOUNT": "https://a.example/scanner",
            "SCANNER_SECRET_FILE": str(tmp_path / "scanner"),
            "PUBLISHER_ACCOUNT": "https://a.example/registry",
            "PUBLISHER_SECRET_FILE": str(tmp_path / "publisher"),
        }.items()
    }


def test_a_complete_environment_is_read(values: dict[str, str]) -> None:
    settings = Settings.from_mapping(values | {PREFIX + "MAX_UPLOAD_BYTES": "4096"})
    assert settings.trusted_issuers == {"https://a.example", "https://b.example"}
    assert settings.max_upload_bytes == 4096
    worker = WorkerSettings.from_mapping(values | {PREFIX + "LEASE_SECONDS": "5"})
    assert worker.registry == Settings.from_mapping(values)
    assert worker.lease_seconds == 5.0
    assert worker.scanner is not None
    assert worker.scanner.username == "https://a.example/scanner"


def test_everything_that_is_missing_is_named_together() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_mapping({})
    assert {p.where for p in caught.value.problems} == {
        PREFIX + name
        for name in (
            "DATABASE_URL",
            "BLOB_DIR",
            "TRUSTED_ROOT",
            "LAYOUT",
            "LAYOUT_OWNERS",
            "TRUSTED_ISSUERS",
            "BASE_URL",
        )
    }
    assert all(p.expected and p.advice for p in caught.value.problems)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "not a url"),
        ("TRUSTED_ROOT", "/nowhere"),
        ("LAYOUT", "/nowhere"),
        ("LAYOUT_OWNERS", "/"),
        ("BLOB_DIR", "/etc/hostname"),
        ("TRUSTED_ISSUERS", "accounts.example"),
        ("TRUSTED_ISSUERS", "https://"),
        ("BASE_URL", "https://registry.example/"),
        ("BASE_URL", "javascript:alert(1)"),
        ("MAX_UPLOAD_BYTES", "many"),
        ("MAX_UPLOAD_BYTES", "-1"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_mapping(values | {PREFIX + name: value})
    assert {p.where for p in caught.value.problems} == {PREFIX + name}


def test_a_database_url_is_never_shown(values: dict[str, str]) -> None:
    """It may carry a password."""
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_mapping(values | {PREFIX + "DATABASE_URL": "postgres//u:hunter2@h"})
    assert "hunter2" not in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIENT_TRUST_CONFIG", "/nowhere"),
        ("TOKEN_URL", "token"),
        ("SCANNER_SECRET_FILE", "/nowhere"),
        ("PUBLISHER_SECRET_FILE", ""),
        ("POLL_SECONDS", "soon"),
        ("LEASE_SECONDS", "0"),
        ("MAX_ATTEMPTS", "0"),
    ],
)
def test_a_wrong_setting_of_the_worker_is_named(
    values: dict[str, str], name: str, value: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        WorkerSettings.from_mapping(values | {PREFIX + name: value})
    assert any(name in p.where for p in caught.value.problems)


def test_a_worker_without_any_account_does_not_start(values: dict[str, str]) -> None:
    bare = {k: v for k, v in values.items() if "ACCOUNT" not in k and "SECRET" not in k}
    with pytest.raises(InvalidSettings):
        WorkerSettings.from_mapping(bare)
    half = {k: v for k, v in values.items() if "PUBLISHER" not in k}
    assert WorkerSettings.from_mapping(half).publisher is None
