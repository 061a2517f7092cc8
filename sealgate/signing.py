"""Who signs, and against which registry: what every signing command shares."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sealgate.deployment import Deployment
from trust.errors import SealgateError, problem


class CannotSign(SealgateError):
    """The command does not know with what to sign, or where to send it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a command works.

    Attributes:
        home: the deployment's folder.
        registry: the registry's URL, None: the deployment's own.
        trust_config: path of a Sigstore `ClientTrustConfig`, None: the deployment's own.
    """

    home: Path
    registry: str | None = None
    trust_config: Path | None = None

    @property
    def url(self) -> str:
        """The registry's base URL, without a trailing slash.

        Raises:
            NotADeployment: none was given, and there is no deployment to take it from.
        """
        given = self.registry or Deployment.load(self.home).addresses.registry
        return given.rstrip("/")

    def client_trust_config(self) -> bytes:
        """Return the Sigstore `ClientTrustConfig` (JSON).

        Raises:
            CannotSign: it cannot be read.
            NotADeployment: none was given, and there is no deployment to take it from.
        """
        path = self.trust_config or Deployment.load(self.home).client_trust_config
        try:
            return path.read_bytes()
        except OSError as error:
            raise CannotSign(
                problem(
                    "sign.trust-config",
                    "the Sigstore configuration cannot be read",
                    value=error,
                    expected="a ClientTrustConfig (JSON)",
                    advice="name it with --trust-config, or run `sealgate init`",
                )
            ) from error

    def sign(self, statement: bytes, account: str | None) -> bytes:
        """Sign an in-toto Statement and return the Sigstore bundle.

        Args:
            statement: the statement (JSON).
            account: an account of the embedded authority; None: the identity token of the
                environment (SEALGATE_ID_TOKEN), or that of the CI system around us.

        Raises:
            SigningFailed: no token, or no signature.
            NoToken: the embedded authority refuses the account.
        """
        from trust.signing import sign_statement

        return sign_statement(self.client_trust_config(), self._token(account), statement)

    def _token(self, account: str | None) -> str:
        from trust.signing import ENVIRONMENT_VARIABLE, AmbientToken, EnvironmentToken

        if account is not None:
            from sealgate.commands.token import fetch_token, password_for

            deployment = Deployment.load(self.home)
            password = password_for(deployment, account)
            return fetch_token(deployment.addresses.authority, account, password, "sigstore")
        if os.environ.get(ENVIRONMENT_VARIABLE):
            return EnvironmentToken().token()
        return AmbientToken().token()
