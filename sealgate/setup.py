"""Set up a local deployment: authority, layout, runner policy, accounts and callers.

Nothing that exists is overwritten: a private key or a password that is there already is kept, and
a deployment whose `keys/` are complete is left as it is.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # declares no exports

import authority.setup
import runner.setup
from authority.clients import Client, origin_of
from authority.oidc import RUNNER_AUDIENCE
from sealgate.deployment import Addresses, Deployment
from trust.errors import SealgateError, problem
from trust.identity import Identity
from trust.layout import Owners, build_layout, sign_layout
from trust.revocation.keyfile import create_signer
from trust.tuf import names

SCANNER = "https://sealgate.local/scanner"
REGISTRY = "https://sealgate.local/registry"
WORKLOADS = {"scanner": SCANNER, "registry": REGISTRY}
"""Account file name -> subject of the workload's identity."""

LAYOUT_DAYS = 365

REVOCATION_ORIGIN = "sealgate.local/revocations"
"""The name under which a local deployment's revocation log signs."""
REVOCATION_POLL_SECONDS = 2
REVOCATION_MAX_AGE_SECONDS = 60

LOCAL_DISTRIBUTION = {"refresh_seconds": 5, "max_age_seconds": 3600, "follow_trust": False}
"""The runner's policy member `distribution` in a local deployment; `keys/` there is meant."""

REGISTRY_CLIENT = "sealgate-registry"
PAGES_CLIENT = "sealgate-registry-pages"
CALL_CLIENT = "sealgate-runner-pages"
"""The registry's clients at the authority: to sign in, to sign in its pages, to call a runner."""
PEOPLE_CALLS_PER_MINUTE = 60


class SetupRefused(SealgateError):
    """The deployment cannot be set up as asked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a local deployment starts with.

    Attributes:
        authors: e-mail addresses of plugin authors.
        reviewers: e-mail addresses of reviewers.
        threshold: approvals needed.
        owners: number of layout owners' keys to make; all but one must sign.
        plugins: plugin name -> the author who may publish it.
        callers: names of the runner's callers; each may call every plugin named here.
        runtime: the engine's runtime for the sandbox, `runc` or `runsc`.
        driver: what makes the containers of calls, `engine` or `oci`.
        image: the runtime image's id, `sha256:...`.
        tuf: whether a TUF repository is set up, and the runner follows it.
        revokers: e-mail addresses of those who may revoke anything.
    """

    image: str
    authors: Sequence[str] = ("alice@example.com",)
    reviewers: Sequence[str] = ("bob@example.com", "carol@example.com", "dave@example.com")
    threshold: int = 2
    owners: int = 3
    plugins: Mapping[str, str] = field(
        default_factory=lambda: {
            "markdown-render": "alice@example.com",
            "table-query": "alice@example.com",
            "limit-probe": "alice@example.com",
        }
    )
    callers: Sequence[str] = ("demo",)
    runtime: str = "runc"
    driver: str = "engine"
    tuf: bool = True
    revokers: Sequence[str] = ("security@example.com",)


def write_private(path: Path, data: bytes) -> None:
    """Write a new file with mode 0600 in a folder with mode 0700.

    Raises:
        FileExistsError: the file is there already.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write_public(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    temporary.replace(path)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _password(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24).encode() + b"\n")
    return path.read_text(encoding="ascii").strip()


def _owner_keys(deployment: Deployment, count: int) -> list[Ed25519PrivateKey]:
    keys = []
    for number in range(1, count + 1):
        path = deployment.var / "owners" / f"owner-{number}.pem"
        if not path.exists():
            fresh = Ed25519PrivateKey.generate()
            write_private(
                path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise SetupRefused(
                problem(
                    "setup.owner-key",
                    "a layout owner's key is not Ed25519",
                    value=str(path),
                    expected="an Ed25519 private key in PEM",
                    advice="move the file away and run `sealgate init` again",
                )
            )
        keys.append(key)
    return keys


def initialise(home: Path, addresses: Addresses, plan: Plan) -> Deployment:
    """Set up the deployment in `home`; see the module's docstring.

    Raises:
        SetupRefused: the plan contradicts itself.
        SealgateError: a part refused, for instance a key file with a mode that is too open.
    """
    _check(plan)
    deployment = Deployment(home, addresses)
    home.mkdir(parents=True, exist_ok=True)
    deployment.var.mkdir(mode=0o700, exist_ok=True)
    deployment.keys.mkdir(exist_ok=True)

    people = dict.fromkeys((*plan.authors, *plan.reviewers, *plan.revokers))
    accounts = {who: _password(deployment.secret(who)) for who in people}
    for name, subject in WORKLOADS.items():
        accounts[subject] = _password(deployment.secret(name))
    trust_config = authority.setup.initialise(
        deployment.state("authority"), addresses.authority, accounts, _clients(addresses)
    )
    _write_public(deployment.client_trust_config, _json(trust_config))
    _write_public(deployment.trusted_root, _json(trust_config["trustedRoot"]))

    if not deployment.layout.exists():
        keys = _owner_keys(deployment, plan.owners)
        threshold = max(1, plan.owners - 1)
        owners = Owners.of(threshold, [key.public_key() for key in keys])
        layout = build_layout(
            issuer=addresses.authority,
            reviewers=list(plan.reviewers),
            scanner=SCANNER,
            registry=REGISTRY,
            review_threshold=plan.threshold,
            expires=datetime.now(UTC) + timedelta(days=LAYOUT_DAYS),
            readme=f"{plan.threshold} of {len(plan.reviewers)} reviewers approve each version.",
        )
        signers = [CryptoSigner(key) for key in keys[:threshold]]
        _write_public(deployment.layout_owners, owners.dumps())
        _write_public(deployment.layout, sign_layout(layout, signers))

    if plan.tuf:
        _distribution(deployment)
    runner.setup.initialise(deployment.state("runner"), deployment.keys)
    if not deployment.runner_policy.exists():
        _revocation_log(deployment, plan)
    if not deployment.runner_policy.exists():
        _write_public(deployment.runner_policy, _json(_policy(deployment, plan)))
    deployment.save()
    return deployment


def _revokers(deployment: Deployment, plan: Plan) -> list[dict[str, str]]:
    issuer = deployment.addresses.authority
    return [Identity(issuer, who).as_dict() for who in plan.revokers]


def _revocation_log(deployment: Deployment, plan: Plan) -> None:
    """Make the revocation log's key and pin it, before the policy that names it."""
    signer = create_signer(deployment.revocation_signer, REVOCATION_ORIGIN)
    _write_public(deployment.revocation_key, f"{signer.verifier_key}\n".encode())
    _write_public(deployment.revokers, _json(_revokers(deployment, plan)))


def _distribution(deployment: Deployment) -> None:
    """Set the TUF repository up, unless its root is pinned already."""
    from sealgate.ceremony import local

    local.initialise(
        deployment.tuf_repository,
        deployment.tuf_offline_keys,
        deployment.tuf_online_keys,
        deployment.tuf_root,
        {
            names.LAYOUT: deployment.layout.read_bytes(),
            names.LAYOUT_OWNERS: deployment.layout_owners.read_bytes(),
            names.TRUSTED_ROOT: deployment.trusted_root.read_bytes(),
        },
    )


def _clients(addresses: Addresses) -> tuple[Client, ...]:
    base, title = addresses.registry, "The plugin registry"
    return (
        Client(REGISTRY_CLIENT, "sign-in", f"{base}/signin/callback", title),
        Client(PAGES_CLIENT, "signing", f"{base}/signing/callback", title),
        Client(CALL_CLIENT, "call", f"{base}/signing/callback", title),
    )


def _check(plan: Plan) -> None:
    if not 1 <= plan.threshold <= len(set(plan.reviewers)):
        raise SetupRefused(
            problem(
                "setup.threshold",
                "the threshold does not fit the number of reviewers",
                value=f"{plan.threshold} of {len(set(plan.reviewers))}",
                expected="1 <= threshold <= reviewers",
                advice="name more reviewers with --reviewer, or lower --threshold",
            )
        )
    for name, author in plan.plugins.items():
        if author not in plan.authors:
            raise SetupRefused(
                problem(
                    "setup.publisher",
                    f"the publisher of {name} has no account",
                    value=author,
                    expected="one of the authors",
                    advice=f"add --author {author}",
                )
            )


def _policy(deployment: Deployment, plan: Plan) -> dict[str, Any]:
    callers = {}
    for caller in plan.callers:
        fresh = runner.setup.make_caller_token()
        write_private(deployment.caller_token(caller), fresh.token.encode() + b"\n")
        callers[caller] = fresh.sha256
    policy = runner.setup.default_policy(
        image=plan.image,
        registry=deployment.addresses.registry,
        callers=callers,
        plugins={
            name: [Identity(deployment.addresses.authority, author)]
            for name, author in sorted(plan.plugins.items())
        },
        runtime=plan.runtime,
        driver=plan.driver,
    )
    policy["revocation"] = {
        "poll_seconds": REVOCATION_POLL_SECONDS,
        "max_age_seconds": REVOCATION_MAX_AGE_SECONDS,
        "log_key": deployment.revocation_key.read_text(encoding="utf-8").strip(),
        "revokers": _revokers(deployment, plan),
    }
    if plan.tuf:
        policy["distribution"] = dict(LOCAL_DISTRIBUTION)
    return policy | _people(deployment, plan, policy["callers"])


def _people(
    deployment: Deployment, plan: Plan, callers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the policy's members that let authors and reviewers try plugins in the pages."""
    addresses = deployment.addresses
    issuer = {
        "issuer": addresses.authority,
        "audience": RUNNER_AUDIENCE,
        "jwks": authority.setup.read_jwks(deployment.state("authority")),
    }
    allow = [{"plugin": name, "versions": "*", "methods": ["*"]} for name in sorted(plan.plugins)]
    people = [
        {
            "name": f"{number}-{re.sub('[^a-z0-9]+', '-', who.lower()).strip('-')}"[:60].rstrip(
                "-"
            ),
            "identity": Identity(addresses.authority, who).as_dict(),
            "calls_per_minute": PEOPLE_CALLS_PER_MINUTE,
            "allow": allow,
        }
        for number, who in enumerate(dict.fromkeys((*plan.authors, *plan.reviewers)), 1)
    ]
    return {
        "issuers": [issuer],
        "browser_origins": [origin_of(addresses.registry)],
        "callers": [*callers, *people],
    }
