"""From a local deployment's folder to the settings of its services."""

from __future__ import annotations

import os

from authority.clients import origin_of
from registry.calling import CallingSettings
from registry.revocations.settings import LogKeeping, RevocationSettings
from registry.settings import Settings, SignIn, account_settings
from registry.worker_settings import SigningAccount, WorkerSettings
from runner.main import RunnerSettings
from sealgate.deployment import Deployment
from sealgate.setup import CALL_CLIENT, PAGES_CLIENT, REGISTRY_CLIENT, WORKLOADS
from trust import strictjson
from trust.identity import Identity


def registry_settings(deployment: Deployment) -> Settings:
    """Return what the registry's web process knows: no account; the key of its cookies at most.

    What the folder does not say is read from the environment: admins, CI services, rates.

    Raises:
        InvalidSettings: a setting in the environment is wrong.
    """
    state = deployment.state("registry")
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Settings(
        database_url=f"sqlite:///{(state / 'registry.sqlite').resolve()}",
        blob_dir=state / "blobs",
        trusted_root=deployment.trusted_root,
        layout=deployment.layout,
        layout_owners=deployment.layout_owners,
        trusted_issuers=frozenset({deployment.addresses.authority}),
        base_url=deployment.addresses.registry,
        revocations=_revocations(deployment),
        sign_in=SignIn(
            issuer=deployment.addresses.authority,
            client_id=REGISTRY_CLIENT,
            session_key=state / "session.key",
            signing_client_id=PAGES_CLIENT,
            client_trust_config=deployment.client_trust_config,
        ),
        accounts=account_settings(os.environ),
        tuf_dir=deployment.tuf_repository if deployment.tuf_root.exists() else None,
        calling=_calling(deployment),
    )


def _calling(deployment: Deployment) -> CallingSettings | None:
    """Return the runner that pages may call: this deployment's, where its policy lets them."""
    try:
        policy = strictjson.loads(deployment.runner_policy.read_bytes())
    except (OSError, strictjson.InvalidJSON):
        return None
    origins = policy.get("browser_origins", ()) if isinstance(policy, dict) else ()
    if origin_of(deployment.addresses.registry) not in origins:
        return None
    return CallingSettings(deployment.addresses.runner, CALL_CLIENT)


def _revocations(deployment: Deployment) -> RevocationSettings:
    """Return where the revocation log is; a deployment older than it has none."""
    if not deployment.revocation_key.exists():
        return RevocationSettings()
    revokers = strictjson.loads(deployment.revokers.read_bytes())
    return RevocationSettings(
        deployment.state("registry") / "revocations.sqlite",
        frozenset(Identity(**who) for who in revokers),
    )


def worker_settings(deployment: Deployment) -> WorkerSettings:
    """Return what the scan worker knows: the accounts that sign scans and publications."""
    return WorkerSettings(
        registry=registry_settings(deployment),
        client_trust_config=deployment.client_trust_config,
        token_url=f"{deployment.addresses.authority}/token",
        scanner=SigningAccount(WORKLOADS["scanner"], deployment.secret("scanner")),
        publisher=SigningAccount(WORKLOADS["registry"], deployment.secret("registry")),
        tuf_keys=deployment.tuf_online_keys if deployment.tuf_root.exists() else None,
        tuf_root=deployment.tuf_root if deployment.tuf_root.exists() else None,
        revocation_log=LogKeeping(
            deployment.revocation_signer if deployment.revocation_key.exists() else None
        ),
    )


def runner_settings(deployment: Deployment) -> RunnerSettings:
    """Return what the runner knows: its own copies of the pinned keys, and its policy."""
    return RunnerSettings.under(deployment.keys, deployment.state("runner"))
