"""What only the worker knows: the accounts that sign scans and publications.

Each has a password file of its own; the web process is never given one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.errors import InvalidSettings
from registry.revocations.settings import HEAD_SECONDS, LogKeeping
from registry.setting_reader import PREFIX, Reader, bad_setting, is_url
from registry.settings import Settings
from trust.errors import Problem


@dataclass(frozen=True, slots=True)
class SigningAccount:
    """A workload's account: where its tokens come from and the file with its password."""

    username: str
    secret_file: Path


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What the worker needs beyond `Settings`.

    Attributes:
        registry: the shared settings.
        client_trust_config: path of the Sigstore `ClientTrustConfig` (JSON).
        token_url: the OAuth 2 token endpoint of the accounts.
        scanner: the account that signs scans; None: this worker does not scan.
        publisher: the account that signs publications; None: this worker does not publish.
        poll_seconds: pause between two looks at the queue, in seconds.
        lease_seconds: after this time without a sign of life a claimed version is claimable
            again, in seconds.
        max_attempts: scans that may be begun and not ended before the version becomes
            `scan_incomplete`.
        revocation_log: how the worker keeps the revocation log.
        tuf_keys: the folder of the TUF repository's online keys, private to the worker; it goes
            with `registry.tuf_dir` and `tuf_root`.
        tuf_root: path of the TUF root that the deployment pins.
    """

    registry: Settings
    client_trust_config: Path
    token_url: str
    scanner: SigningAccount | None
    publisher: SigningAccount | None
    poll_seconds: float = 0.5
    lease_seconds: float = 30.0
    max_attempts: int = 3
    revocation_log: LogKeeping = field(default_factory=LogKeeping)
    tuf_keys: Path | None = None
    tuf_root: Path | None = None

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        if not self.client_trust_config.is_file():
            problems.append(
                bad_setting("CLIENT_TRUST_CONFIG", self.client_trust_config, "a file that exists")
            )
        if not is_url(self.token_url):
            problems.append(bad_setting("TOKEN_URL", self.token_url, "an absolute http(s) URL"))
        if self.scanner is None and self.publisher is None:
            problems.append(
                bad_setting("SCANNER_ACCOUNT", "", "a scanner's or a publisher's account")
            )
        for role, account in (("SCANNER", self.scanner), ("PUBLISHER", self.publisher)):
            if account is not None and not account.secret_file.is_file():
                problems.append(
                    bad_setting(f"{role}_SECRET_FILE", account.secret_file, "a file that exists")
                )
        if self.tuf_keys is not None:
            if self.registry.tuf_dir is None:
                problems.append(bad_setting("TUF_DIR", "", "the folder of the TUF repository"))
            if self.tuf_root is None or not self.tuf_root.is_file():
                problems.append(bad_setting("TUF_ROOT", self.tuf_root or "", "a file that exists"))
        if self.poll_seconds <= 0 or self.lease_seconds <= 0 or self.max_attempts < 1:
            value = f"{self.poll_seconds}, {self.lease_seconds}, {self.max_attempts}"
            problems.append(
                bad_setting("POLL_SECONDS, LEASE_SECONDS, MAX_ATTEMPTS", value, "positive numbers")
            )
        keeping = self.revocation_log
        if keeping.key is not None and not keeping.key.is_file():
            problems.append(bad_setting("REVOCATION_KEY", keeping.key, "a file that exists"))
        if keeping.key is not None and self.registry.revocations.log is None:
            problems.append(bad_setting("REVOCATION_LOG", "", "the log's file, beside its key"))
        if keeping.head_seconds <= 0:
            problems.append(
                bad_setting("REVOCATION_HEAD_SECONDS", keeping.head_seconds, "a positive number")
            )
        if problems:
            raise InvalidSettings(problems)

    @classmethod
    def from_mapping(cls, values: Mapping[str, str], prefix: str = PREFIX) -> WorkerSettings:
        """Read settings from text, such as `os.environ`.

        Raises:
            InvalidSettings: names every missing or wrong setting together.
        """
        reader = Reader(values, prefix)
        found: dict[str, Any] = {
            "client_trust_config": reader.path("CLIENT_TRUST_CONFIG"),
            "token_url": reader.text("TOKEN_URL"),
            "scanner": _account(reader, "SCANNER"),
            "publisher": _account(reader, "PUBLISHER"),
        }
        for name in ("POLL_SECONDS", "LEASE_SECONDS"):
            if reader.has(name):
                found[name.lower()] = reader.number(name, float)
        if reader.has("MAX_ATTEMPTS"):
            found["max_attempts"] = reader.number("MAX_ATTEMPTS", int)
        if reader.has("REVOCATION_KEY"):
            found["revocation_log"] = LogKeeping(
                reader.path("REVOCATION_KEY"),
                reader.number("REVOCATION_HEAD_SECONDS", float)
                if reader.has("REVOCATION_HEAD_SECONDS")
                else HEAD_SECONDS,
            )
        if reader.has("TUF_KEYS"):
            found["tuf_keys"] = reader.path("TUF_KEYS")
            found["tuf_root"] = reader.path("TUF_ROOT")
        reader.finish()
        return cls(registry=Settings.from_mapping(values, prefix), **found)


def _account(reader: Reader, role: str) -> SigningAccount | None:
    if not reader.has(f"{role}_ACCOUNT") and not reader.has(f"{role}_SECRET_FILE"):
        return None
    return SigningAccount(reader.text(f"{role}_ACCOUNT"), reader.path(f"{role}_SECRET_FILE"))
