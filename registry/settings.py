"""The registry's settings: what the web application knows. They hold no secret and name none.

What only the worker knows is in `registry.worker_settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from registry.accounts.settings import AccountSettings
from registry.calling import EXPECTED, CallingSettings
from registry.errors import InvalidSettings
from registry.revocations.settings import RevocationSettings, parse_revokers
from registry.setting_reader import PREFIX, Reader, bad_setting, is_url
from trust.errors import Problem
from trust.wheel.bounds import MAX_CLOSURE_BYTES

MIB = 1 << 20
DEFAULT_MAX_UPLOAD = 20 * MIB
MAX_BUNDLE = 256 * 1024
"""The largest accepted Sigstore bundle, in bytes; real ones have 5 to 15 thousand."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in at the registry, and how they sign in its pages.

    Attributes:
        issuer: the OIDC issuer, as its discovery document names itself.
        client_id: the registry's own client, a public one.
        session_key: the file with the key of the session cookies; made when it is not there.
        signing_client_id: the client of the pages that sign; "" for no signing in pages.
        client_trust_config: the Sigstore `ClientTrustConfig` (JSON) to sign with; it goes with
            `signing_client_id`.
    """

    issuer: str
    client_id: str
    session_key: Path
    signing_client_id: str = ""
    client_trust_config: Path | None = None

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        if not is_url(self.issuer):
            problems.append(bad_setting("OIDC_ISSUER", self.issuer, "an absolute http(s) URL"))
        if not self.client_id:
            problems.append(bad_setting("OIDC_CLIENT_ID", "", "the id that the issuer registered"))
        config = self.client_trust_config
        if self.signing_client_id and (config is None or not config.is_file()):
            problems.append(bad_setting("CLIENT_TRUST_CONFIG", config or "", "a file that exists"))
        if problems:
            raise InvalidSettings(problems)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the web application needs.

    Attributes:
        database_url: any SQLAlchemy URL.
        blob_dir: the folder of the blob store.
        trusted_root: path of the Sigstore `TrustedRoot` (JSON).
        layout: path of the signed in-toto layout.
        layout_owners: path of the layout owners' keys.
        trusted_issuers: OIDC issuers whose identities may submit.
        base_url: the registry's own address as clients see it, without a trailing slash.
        max_upload_bytes: the largest accepted wheel, in bytes.
        reserved_names: normalised plugin names that nobody can claim.
        sign_in: how people sign in; None: the pages have no sign-in.
        max_dependency_bytes: what an upload may have beyond the wheel for locked wheels, in bytes.
        dependency_index: the Simple API that missing locked wheels are fetched from, by digest;
            None: nothing is fetched.
        vulnerabilities: a database in the OSV format to look locked wheels up in; None: not done.
        accounts: who administers, who may exchange tokens, how often.
        revocations: the revocation log, and who may revoke anything.
        tuf_dir: the folder of the TUF repository, which is served at `/tuf/`; None: there is none.
        calling: the runner that pages may call, for people who are signed in; None: none.
    """

    database_url: str
    blob_dir: Path
    trusted_root: Path
    layout: Path
    layout_owners: Path
    trusted_issuers: frozenset[str]
    base_url: str
    max_upload_bytes: int = DEFAULT_MAX_UPLOAD
    reserved_names: frozenset[str] = frozenset({"sealgate"})
    sign_in: SignIn | None = None
    max_dependency_bytes: int = MAX_CLOSURE_BYTES
    dependency_index: str | None = None
    vulnerabilities: Path | None = None
    accounts: AccountSettings = field(default_factory=AccountSettings)
    revocations: RevocationSettings = field(default_factory=RevocationSettings)
    tuf_dir: Path | None = None
    calling: CallingSettings | None = None

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        try:
            make_url(self.database_url)
        except ArgumentError:
            problems.append(bad_setting("DATABASE_URL", "(not shown)", "an SQLAlchemy URL"))
        for name, path in (
            ("TRUSTED_ROOT", self.trusted_root),
            ("LAYOUT", self.layout),
            ("LAYOUT_OWNERS", self.layout_owners),
        ):
            if not path.is_file():
                problems.append(bad_setting(name, path, "the path of a file that exists"))
        if self.blob_dir.exists() and not self.blob_dir.is_dir():
            problems.append(bad_setting("BLOB_DIR", self.blob_dir, "a folder"))
        if not self.trusted_issuers:
            problems.append(bad_setting("TRUSTED_ISSUERS", "", "at least one OIDC issuer URL"))
        problems += [
            bad_setting("TRUSTED_ISSUERS", issuer, "an absolute http(s) URL")
            for issuer in sorted(self.trusted_issuers)
            if not is_url(issuer)
        ]
        if not is_url(self.base_url) or self.base_url.endswith("/"):
            problems.append(
                bad_setting("BASE_URL", self.base_url, "a http(s) URL without a final slash")
            )
        issuers = self.accounts.publisher_issuers
        if issuers is not None and not issuers.is_file():
            problems.append(
                bad_setting("PUBLISHER_ISSUERS", issuers, "the path of a file that exists")
            )
        if min(self.accounts.uploads_per_minute, self.accounts.sign_ins_per_minute) < 0:
            problems.append(
                bad_setting(
                    "UPLOADS_PER_MINUTE, SIGN_INS_PER_MINUTE", "below 0", "0 (no bound) or more"
                )
            )
        if not 1024 <= self.max_upload_bytes <= 1024 * MIB:
            problems.append(
                bad_setting("MAX_UPLOAD_BYTES", self.max_upload_bytes, f"1024 to {1024 * MIB}")
            )
        if not 0 <= self.max_dependency_bytes <= MAX_CLOSURE_BYTES:
            problems.append(
                bad_setting(
                    "MAX_DEPENDENCY_BYTES", self.max_dependency_bytes, f"0 to {MAX_CLOSURE_BYTES}"
                )
            )
        if self.dependency_index is not None and not is_url(self.dependency_index):
            problems.append(
                bad_setting(
                    "DEPENDENCY_INDEX", self.dependency_index, "the http(s) URL of a Simple API"
                )
            )
        if self.vulnerabilities is not None and not self.vulnerabilities.exists():
            problems.append(
                bad_setting("VULNERABILITIES", self.vulnerabilities, "a file or folder that exists")
            )
        if problems:
            raise InvalidSettings(problems)

    @classmethod
    def from_mapping(cls, values: Mapping[str, str], prefix: str = PREFIX) -> Settings:
        """Read settings from text, such as `os.environ`.

        Lists (`TRUSTED_ISSUERS`, `RESERVED_NAMES`) are separated by blanks.

        Raises:
            InvalidSettings: names every missing or wrong setting together.
        """
        reader = Reader(values, prefix)
        found: dict[str, Any] = {
            "database_url": reader.text("DATABASE_URL"),
            "blob_dir": reader.path("BLOB_DIR"),
            "trusted_root": reader.path("TRUSTED_ROOT"),
            "layout": reader.path("LAYOUT"),
            "layout_owners": reader.path("LAYOUT_OWNERS"),
            "trusted_issuers": frozenset(reader.text("TRUSTED_ISSUERS").split()),
            "base_url": reader.text("BASE_URL"),
        }
        if reader.has("MAX_UPLOAD_BYTES"):
            found["max_upload_bytes"] = reader.number("MAX_UPLOAD_BYTES", int)
        if reader.has("RESERVED_NAMES"):
            found["reserved_names"] = frozenset(reader.text("RESERVED_NAMES").split())
        if reader.has("TUF_DIR"):
            found["tuf_dir"] = reader.path("TUF_DIR")
        if reader.has("MAX_DEPENDENCY_BYTES"):
            found["max_dependency_bytes"] = reader.number("MAX_DEPENDENCY_BYTES", int)
        if reader.has("DEPENDENCY_INDEX"):
            found["dependency_index"] = reader.text("DEPENDENCY_INDEX")
        if reader.has("VULNERABILITIES"):
            found["vulnerabilities"] = reader.path("VULNERABILITIES")
        found["sign_in"] = _sign_in(reader)
        found["accounts"] = _accounts(reader)
        found["calling"] = _calling(reader)
        found["revocations"] = _revocations(reader)
        reader.finish()
        return cls(**found)


def _sign_in(reader: Reader) -> SignIn | None:
    """Return how people sign in; nothing where no issuer is named."""
    if not reader.has("OIDC_ISSUER"):
        return None
    issuer, client_id = reader.text("OIDC_ISSUER"), reader.text("OIDC_CLIENT_ID")
    key = reader.path("SESSION_KEY")
    signing, config = "", None
    if reader.has("SIGNING_CLIENT_ID"):
        signing, config = reader.text("SIGNING_CLIENT_ID"), reader.path("CLIENT_TRUST_CONFIG")
    reader.finish()
    return SignIn(issuer, client_id, key, signing, config)


def _calling(reader: Reader) -> CallingSettings | None:
    if not reader.has("RUNNER_URL"):
        return None
    url, client_id = reader.text("RUNNER_URL"), reader.text("CALL_CLIENT_ID")
    reader.text("OIDC_ISSUER")
    reader.finish()
    try:
        return CallingSettings(url, client_id)
    except ValueError as error:
        raise InvalidSettings(bad_setting("RUNNER_URL", error, EXPECTED)) from error


def _revocations(reader: Reader) -> RevocationSettings:
    log = reader.path("REVOCATION_LOG") if reader.has("REVOCATION_LOG") else None
    if not reader.has("REVOKERS"):
        return RevocationSettings(log)
    text = reader.text("REVOKERS")
    try:
        return RevocationSettings(log, parse_revokers(text))
    except ValueError as error:
        expected = "identities ISSUER|SUBJECT, separated by blanks"
        raise InvalidSettings(bad_setting("REVOKERS", error, expected)) from error


def account_settings(values: Mapping[str, str], prefix: str = PREFIX) -> AccountSettings:
    """Read what the operator says about accounts from text, such as `os.environ`.

    Raises:
        InvalidSettings: names every wrong setting together.
    """
    reader = Reader(values, prefix)
    found = _accounts(reader)
    reader.finish()
    return found


def _accounts(reader: Reader) -> AccountSettings:
    found: dict[str, Any] = {}
    if reader.has("ADMINS"):
        found["admins"] = frozenset(reader.text("ADMINS").split())
    if reader.has("PUBLISHER_ISSUERS"):
        found["publisher_issuers"] = reader.path("PUBLISHER_ISSUERS")
    if reader.has("UPLOADS_PER_MINUTE"):
        found["uploads_per_minute"] = reader.number("UPLOADS_PER_MINUTE", int)
    if reader.has("SIGN_INS_PER_MINUTE"):
        found["sign_ins_per_minute"] = reader.number("SIGN_INS_PER_MINUTE", int)
    return AccountSettings(**found)
