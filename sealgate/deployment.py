"""Where a deployment keeps its things, and the addresses of its services.

One folder, the home, holds everything: `keys/` (public, pinned), `var/` (private, mode 0700) and
`sealgate.json` (addresses). Every path that a service or a command uses is named here once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trust import strictjson
from trust.errors import SealgateError, problem


class NotADeployment(SealgateError):
    """The folder has no `sealgate.json`, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Base URLs of the services, without a trailing slash."""

    authority: str = "http://127.0.0.1:8600"
    registry: str = "http://127.0.0.1:8601"
    runner: str = "http://127.0.0.1:8602"

    @classmethod
    def on_ports(cls, first: int, host: str = "127.0.0.1") -> Addresses:
        """Return addresses of `host` on three consecutive ports that start with `first`."""
        return cls(*(f"http://{host}:{first + i}" for i in range(3)))


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment's folder. Properties name paths; nothing here creates them."""

    home: Path
    addresses: Addresses

    @property
    def keys(self) -> Path:
        """Public material that the deployment pins."""
        return self.home / "keys"

    @property
    def trusted_root(self) -> Path:
        """Sigstore `TrustedRoot` (JSON)."""
        return self.keys / "trusted_root.json"

    @property
    def client_trust_config(self) -> Path:
        """Sigstore `ClientTrustConfig` (JSON): trusted root and signing config."""
        return self.keys / "client_trust_config.json"

    @property
    def layout(self) -> Path:
        """The in-toto layout, a DSSE envelope signed by its owners."""
        return self.keys / "layout.json"

    @property
    def layout_owners(self) -> Path:
        """The layout owners' public keys and their threshold."""
        return self.keys / "layout_owners.json"

    @property
    def runner_policy(self) -> Path:
        """The runner's policy: plugins, publishers, methods, callers, revocations."""
        return self.keys / "runner_policy.json"

    @property
    def audit_key(self) -> Path:
        """The audit log's public key, a C2SP signed-note verifier key line."""
        return self.keys / "audit_log.vkey"

    @property
    def tuf_root(self) -> Path:
        """The TUF root that runner and worker begin with."""
        return self.keys / "tuf-root.json"

    @property
    def tuf_repository(self) -> Path:
        """The TUF repository's public files, served at `/tuf/`."""
        return self.var / "registry" / "tuf"

    @property
    def tuf_online_keys(self) -> Path:
        """The TUF repository's online keys, the worker's own."""
        return self.var / "worker" / "tuf"

    @property
    def tuf_offline_keys(self) -> Path:
        """The TUF repository's offline keys, which a local deployment keeps beside the rest."""
        return self.var / "tuf-offline"

    @property
    def revocation_key(self) -> Path:
        """The revocation log's public key, a C2SP signed-note verifier key line."""
        return self.keys / "revocation_log.vkey"

    @property
    def revokers(self) -> Path:
        """The identities that may revoke anything, for the registry (JSON)."""
        return self.keys / "revokers.json"

    @property
    def revocation_signer(self) -> Path:
        """The revocation log's signing key (0600), the worker's alone."""
        return self.state("worker") / "revocation_log.key"

    @property
    def var(self) -> Path:
        """Private state, mode 0700."""
        return self.home / "var"

    def state(self, service: str) -> Path:
        """Private state of one service: `authority`, `registry`, `runner`, `engine`."""
        return self.var / service

    def secret(self, account: str) -> Path:
        """The password file (0600) of an account of the embedded authority."""
        return self.var / "accounts" / f"{account}.secret"

    def caller_token(self, caller: str) -> Path:
        """The bearer token file (0600) of a caller of the runner."""
        return self.var / "callers" / f"{caller}.token"

    @classmethod
    def load(cls, home: Path) -> Deployment:
        """Read `home`/sealgate.json.

        Raises:
            NotADeployment: the file is missing or not valid.
        """
        path = home / "sealgate.json"
        try:
            data = strictjson.loads(path.read_bytes())
            return cls(home, Addresses(**data["addresses"]))
        except (OSError, SealgateError, TypeError, KeyError) as error:
            raise NotADeployment(
                problem(
                    "deployment.missing",
                    "this folder is not a Sealgate deployment",
                    value=f"{path}: {error}",
                    expected="a sealgate.json with the services' addresses",
                    advice="run `sealgate init` here, or name the folder with --home",
                )
            ) from error

    def save(self) -> None:
        """Write `home`/sealgate.json."""
        text = json.dumps(
            {
                "addresses": {
                    "authority": self.addresses.authority,
                    "registry": self.addresses.registry,
                    "runner": self.addresses.runner,
                }
            },
            indent=2,
        )
        (self.home / "sealgate.json").write_text(text + "\n", encoding="utf-8")
