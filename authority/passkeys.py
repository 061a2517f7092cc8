"""Passkeys: public keys of people's authenticators, and the checks of their answers.

Web Authentication Level 3, with py_webauthn for the formats and the cryptography. The rules, in
order (section 7.2):
 1. the credential is known, not locked, and not tried too often;
 2. the challenge is ours, made for this form, not too old, not used (`authority.challenges`);
 3. type, origin, RP id, presence, user verification and signature are right;
 4. the user handle is that of the credential's account;
 5. the flag "may be backed up" is what it was at registration;
 6. the signature counter grew, where there is one: else the credential was copied, and is locked.
Credentials are discoverable, and user verification is required: a passkey stands alone. A passkey
belongs to the authority's origin, so a page elsewhere that looks like ours gets nothing of it.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from authority.attempts import Attempts
from authority.challenges import Challenges
from authority.clients import origin_of
from authority.errors import Unauthenticated
from authority.passkeystore import Passkey, PasskeyStore, base64url, checked_name
from trust.errors import problem

_LOGGER = logging.getLogger("sealgate.authority")

MAX_RESPONSE = 16 * 1024
"""Characters of the longest answer of an authenticator that is looked at."""


def _refusal(what: str, expected: str, value: object = "") -> Unauthenticated:
    return Unauthenticated(
        problem(
            "authority.passkey",
            what,
            value=value,
            expected=expected,
            advice="try again, with another passkey or with the password",
        )
    )


class Passkeys:
    """The ceremonies. `clock` returns the time in UTC."""

    def __init__(self, path: Path, base_url: str, clock: Callable[[], datetime]) -> None:
        """Open the store.

        Args:
            path: the store's file.
            base_url: the authority's address; its origin is the one that answers are for, its
                host name the RP id.
            clock: the time.

        Raises:
            StateRefused: the file is open to others or malformed.
        """
        self.store = PasskeyStore(path, clock)
        self.origin = origin_of(base_url)
        self.rp_id = urlsplit(base_url).hostname or ""
        self.challenges = Challenges(clock)
        self._attempts = Attempts(clock)

    @property
    def available(self) -> bool:
        """Whether browsers make passkeys for this address: a host name, not a bare IP address."""
        try:
            ipaddress.ip_address(self.rp_id)
        except ValueError:
            return bool(self.rp_id)
        return False

    def question(self, purpose: str) -> dict[str, str]:
        """Return what a page asks any passkey (`PublicKeyCredentialRequestOptions`)."""
        return {
            "challenge": self.challenges.make(purpose),
            "rpId": self.rp_id,
            "userVerification": "required",
        }

    def authenticate(self, answer: str, challenge: str, purpose: str) -> str:
        """Return the account whose passkey answered.

        Args:
            answer: the `AuthenticationResponseJSON` of the browser.
            challenge: the challenge of the page that asked.
            purpose: what the challenge must have been made for.

        Raises:
            Unauthenticated: one of the module's rules does not hold.
            TooManyAttempts: the credential was tried too often without success.
        """
        given = _parsed(answer)
        known = self._known(given.id)
        self._attempts.admit(f"the passkey {known.id[:12]}")
        asked = self.challenges.check(challenge, purpose)
        try:
            verified = verify_authentication_response(
                credential=given,
                expected_challenge=asked,
                expected_rp_id=self.rp_id,
                expected_origin=self.origin,
                credential_public_key=base64url_to_bytes(known.public_key),
                # Checked below, after the signature: nobody locks a credential without its key.
                credential_current_sign_count=0,
                require_user_verification=True,
            )
            client: Any = json.loads(given.response.client_data_json)
            crossed = client.get("crossOrigin", False)
        except Exception as error:  # a hostile answer is never more than refused
            raise _refusal(
                "the passkey's answer is not good", "an answer given on this page", error
            ) from error
        if crossed is not False:
            raise _refusal("the passkey answered in a frame", "this page by itself")
        self.challenges.burn(asked)
        if given.response.user_handle != base64url_to_bytes(self.store.handle(known.account)):
            raise _refusal("the passkey answered for another account", "its own account")
        multi = verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE
        if multi != known.synced:
            raise _refusal("the passkey changed its kind", "the kind that was registered")
        if not self.store.used(known.id, verified.new_sign_count):
            raise _refusal("this passkey seems to be copied; it is locked", "a growing counter")
        self._attempts.succeeded(f"the passkey {known.id[:12]}")
        _LOGGER.info("%s answered with the passkey %r", known.account, known.name)
        return known.account

    def _known(self, credential_id: str) -> Passkey:
        found = self.store.find(credential_id)
        if found is None or found.locked:
            raise _refusal(
                "this passkey is not known here, or locked", "a passkey of this authority"
            )
        return found

    def creation_options(self, account: str, purpose: str) -> tuple[str, str]:
        """Return a challenge, and the `PublicKeyCredentialCreationOptions` (JSON) with it."""
        challenge = self.challenges.make(purpose)
        options = generate_registration_options(
            rp_id=self.rp_id,
            rp_name="Sealgate authority",
            user_name=account,
            user_id=base64url_to_bytes(self.store.handle(account)),
            challenge=base64url_to_bytes(challenge),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.id))
                for each in self.store.of(account)
            ],
        )
        return challenge, options_to_json(options)

    def register(
        self, account: str, name: str, answer: str, challenge: str, purpose: str
    ) -> Passkey:
        """Store a new passkey of an account that has just signed in.

        Raises:
            Unauthenticated: the challenge or the authenticator's answer is not good.
            RequestRefused: the name is unusable, it is registered already, or there are too many.
        """
        checked_name(name)
        if len(answer) > MAX_RESPONSE:
            raise _refusal("the answer is too long", f"{MAX_RESPONSE} characters", len(answer))
        asked = self.challenges.check(challenge, purpose)
        try:
            given = parse_registration_credential_json(answer)
            verified = verify_registration_response(
                credential=given,
                expected_challenge=asked,
                expected_rp_id=self.rp_id,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        except Exception as error:  # a hostile answer is never more than refused
            raise _refusal(
                "the new passkey is not good", "an answer given on this page", error
            ) from error
        self.challenges.burn(asked)
        return self.store.add(
            account,
            name,
            base64url(verified.credential_id),
            base64url(verified.credential_public_key),
            verified.sign_count,
            verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        )


def _parsed(answer: str) -> AuthenticationCredential:
    if len(answer) > MAX_RESPONSE:
        raise _refusal("the answer is too long", f"at most {MAX_RESPONSE} characters", len(answer))
    try:
        return parse_authentication_credential_json(answer)
    except Exception as error:  # a hostile answer is never more than refused
        raise _refusal(
            "the passkey's answer cannot be read", "an AuthenticationResponseJSON", error
        ) from error
