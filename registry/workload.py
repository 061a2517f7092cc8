"""A workload identity that signs: the scanner's, or the registry's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from registry.worker_settings import SigningAccount, WorkerSettings
from trust.signing import ClientCredentials, sign_statement


@dataclass(frozen=True, slots=True)
class Workload:
    """Signs statements as one identity.

    Attributes:
        subject: the identity's subject, as certificates will name it.
        sign: an in-toto Statement (JSON) -> a Sigstore bundle (JSON); raises SigningFailed.
    """

    subject: str
    sign: Callable[[bytes], bytes]

    @classmethod
    def of(cls, settings: WorkerSettings, account: SigningAccount) -> Workload:
        """Return the workload that signs with this account's tokens.

        The secret and the trust configuration are read at each signature and never kept.
        """
        source = ClientCredentials(settings.token_url, account.username, account.secret_file)

        def sign(statement: bytes) -> bytes:
            config = settings.client_trust_config.read_bytes()
            return sign_statement(config, source.token(), statement)

        return cls(account.username, sign)
