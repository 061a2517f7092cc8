"""What a page needs to sign in the browser: addresses, and a policy that allows its one script.

The script is ours, served from here; it may talk to this registry and to the issuer's origins,
and the DOM's text sinks are closed to it (Trusted Types). Pages that check a file, follow a
version or call a runner have the same policy; the other pages allow no script at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Response, make_response

from registry.errors import Unavailable
from registry.http import SECURITY_HEADERS
from registry.services import current
from registry.signin.completion import SIGNING_CALLBACK, SigningServices


@dataclass(frozen=True, slots=True)
class SigningPage:
    """What the script reads from the page.

    Attributes:
        issuer: the OIDC issuer.
        client_id: the client of the pages that sign.
        redirect_uri: where the authority sends the signing window back to.
        certificates: base URL of the certificate authority.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    certificates: str

    @property
    def origins(self) -> frozenset[str]:
        """The origins that the page talks to beside its own."""
        return frozenset(
            f"{parts.scheme}://{parts.netloc}"
            for parts in (urlsplit(self.issuer), urlsplit(self.certificates))
        )


def offered() -> SigningPage | None:
    """Return how to sign in the page; None where the operator has not set it up, or it is broken.

    The way by command stays on the page in any case.
    """
    settings = current().settings
    sign_in = settings.sign_in
    if sign_in is None or sign_in.client_trust_config is None:
        return None
    try:
        services = SigningServices.read(sign_in.client_trust_config.read_bytes())
    except (OSError, Unavailable):
        return None
    return SigningPage(
        sign_in.issuer,
        sign_in.signing_client_id,
        settings.base_url + SIGNING_CALLBACK,
        services.certificates,
    )


def dressed(page: str, connect: Collection[str] | None) -> Response:
    """Return the page's response, with a policy for its script.

    Args:
        page: the HTML.
        connect: origins that the script may talk to; None for a page without script.
    """
    response = make_response(page)
    if connect is not None:
        response.headers["Content-Security-Policy"] = "; ".join(
            (
                SECURITY_HEADERS["Content-Security-Policy"],
                "script-src 'self'",
                " ".join(("connect-src 'self'", *sorted(connect))),
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            )
        )
    return response


def page(html: str, offer: SigningPage | None) -> Response:
    """Return the response of a page on which something can be signed."""
    return dressed(html, None if offer is None else offer.origins)
